"""Token counts and the prompt cache.

A token is taken as four characters. The cache is real in its rules: it remembers every prefix of a prompt
(tools, system, messages, in this order) that ended in ``cache_control``, for five minutes from its last use,
and a later prompt that begins with the same blocks reads it. Claude's least length of such a prefix (1,024 to
4,096 tokens, by model) does not hold here: short prompts would otherwise never show a cache read.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from chassis.simulator.message import TokenCount

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CHARACTERS_PER_TOKEN = 4
CACHE_SECONDS = 300


def count_tokens(text: str) -> int:
    """Tokens of a text; at least one."""
    return max(1, -(-len(text) // CHARACTERS_PER_TOKEN))


def prompt_tokens(body: dict[str, Any]) -> int:
    """Tokens of the whole prompt, whatever of it is cached."""
    return sum(count_tokens(text) for text, _ in _blocks(body))


@dataclass(frozen=True)
class Prompt:
    """A prompt's tokens, what of it the cache read, and the prefixes (``written``) to be remembered."""

    total: int
    cache_read: int
    cache_write: int
    written: tuple[str, ...]

    def count(self, answer: str) -> TokenCount:
        """The whole call's tokens."""
        uncached = self.total - self.cache_read - self.cache_write
        return TokenCount(uncached, self.cache_read, self.cache_write, count_tokens(answer) if answer else 1)


@dataclass
class PromptCache:
    """The prefixes seen, each with the time until which it is kept."""

    clock: Callable[[], float] = time.monotonic
    _kept_until: dict[str, float] = field(default_factory=dict)

    def look_up(self, model: str, body: dict[str, Any]) -> Prompt:
        """Measure a prompt against the cache. Nothing is remembered before :meth:`store`: until the first
        answer begins, calls side by side each write the prefix that they share, as they do on Bedrock."""
        now = self.clock()
        running = hashlib.sha256(model.encode())
        total = read = breakpoint_total = 0
        written: list[str] = []
        for text, marked in _blocks(body):
            running.update(text.encode("utf-8", "surrogatepass") + b"\x00")
            total += count_tokens(text)
            prefix = running.hexdigest()
            if self._kept_until.get(prefix, 0) > now:
                read = total
            if marked:
                breakpoint_total = total
                written.append(prefix)
        read = read if written else 0
        return Prompt(total, read, max(0, breakpoint_total - read), tuple(written))

    def store(self, prompt: Prompt) -> None:
        """Remember the prompt's marked prefixes; forget those whose time is over."""
        now = self.clock()
        self._kept_until = {prefix: until for prefix, until in self._kept_until.items() if until > now}
        self._kept_until |= dict.fromkeys(prompt.written, now + CACHE_SECONDS)


def _blocks(body: dict[str, Any]) -> Iterator[tuple[str, bool]]:
    """The prompt's blocks as text without ``cache_control``, each with whether it had one."""
    for tool in body.get("tools") or []:
        yield _plain(tool, "tool")
    yield from _content(body.get("system") or [], "system")
    for message in body.get("messages") or []:
        yield from _content(message.get("content", []), str(message.get("role")))


def _content(content: Any, role: str) -> Iterator[tuple[str, bool]]:
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    for block in blocks:
        yield _plain(block, role)


def _plain(block: dict[str, Any], role: str) -> tuple[str, bool]:
    bare = {key: value for key, value in block.items() if key != "cache_control"}
    text = str(bare["text"]) if bare.get("type") == "text" else json.dumps(bare, sort_keys=True)
    return f"{role}:{text}", block.get("cache_control") is not None
