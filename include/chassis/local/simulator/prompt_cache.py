"""Token counts and the prompt cache.

A token is taken as four characters. The cache remembers each prefix of a prompt (tools, system, messages, in this
order) that ended in ``cache_control`` and is long enough for the model: shorter ones are neither an error nor cached.
It keeps a prefix for five minutes or an hour from its last use. A later prompt reads the longest prefix that it shares,
up to twenty blocks before one of its own breakpoints. An entry is there once the answer that wrote it has begun, so
calls side by side each write what they share.

What constrains the answer belongs to the prefix's beginning (reported of Bedrock); ``tool_choice`` and ``thinking``
belong to its messages.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from chassis.local.simulator.wire_message import TokenCount

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CHARACTERS_PER_TOKEN = 4
TTLS = {"5m": 300.0, "1h": 3_600.0}  # seconds, by the names that cache_control has for them
_LOOKBACK = 20  # blocks, the marked one included


def count_tokens(text: str) -> int:
    """Tokens of a text; at least one."""
    return max(1, -(-len(text) // CHARACTERS_PER_TOKEN))


def prompt_texts(body: dict[str, Any]) -> Iterator[str]:
    """The texts of a prompt's blocks in order, whatever of it is to be cached."""
    return (text for text, _, _ in _blocks(body))


def prompt_tokens(body: dict[str, Any]) -> int:
    """Tokens of the whole prompt, whatever of it is cached."""
    return sum(map(count_tokens, prompt_texts(body)))


@dataclass(frozen=True)
class Block:
    """A block of a prompt: the tokens up to its end, what identifies that prefix, and the ttl of its breakpoint."""

    total: int
    prefix: str
    ttl: str | None


@dataclass(frozen=True)
class Prompt:
    """A prompt's tokens, what of it the cache read, and the prefixes to be remembered, each with its ttl.

    ``cache_write`` counts all that is written; ``cache_write_1h`` is its share that is kept for an hour.
    """

    total: int
    cache_read: int
    cache_write: int
    cache_write_1h: int
    written: dict[str, str]

    def count(self, output: int, thinking: int = 0) -> TokenCount:
        """The whole call's tokens; ``output`` has those of thinking among them."""
        uncached = self.total - self.cache_read - self.cache_write
        return TokenCount(uncached, self.cache_read, self.cache_write, output, self.cache_write_1h, thinking)


@dataclass
class PromptCache:
    """The prefixes seen, each with the time until which it is kept and its ttl."""

    clock: Callable[[], float] = time.monotonic
    _kept: dict[str, tuple[float, str]] = field(default_factory=dict)

    def look_up(self, model: str, body: dict[str, Any], *, minimum: int) -> Prompt:
        """Measure a prompt against the cache; what it reads is kept anew, what it writes only by :meth:`store`.

        :param model: id or profile; none reads what another one wrote
        :param minimum: tokens that a prefix must have to be cached
        """
        now = self.clock()
        blocks = list(_measured(model, body))
        marked = [index for index, block in enumerate(blocks) if block.ttl and block.total >= minimum]
        near = {place for index in marked for place in range(max(0, index - _LOOKBACK + 1), index + 1)}
        hits = [blocks[place] for place in near if self._kept.get(blocks[place].prefix, (0.0, ""))[0] > now]
        for block in hits:
            ttl = self._kept[block.prefix][1]
            self._kept[block.prefix] = (now + TTLS[ttl], ttl)
        read = max((block.total for block in hits), default=0)
        ends = {
            ttl: max((blocks[i].total for i in marked if blocks[i].ttl == ttl), default=0) for ttl in TTLS
        }
        write, hourly = max(0, max(ends.values()) - read), max(0, ends["1h"] - read)
        written = {blocks[index].prefix: blocks[index].ttl or "" for index in marked}
        return Prompt(blocks[-1].total if blocks else 0, read, write, hourly, written)

    def store(self, prompt: Prompt) -> None:
        """Remember the prompt's marked prefixes, as its answer begins; forget those whose time is over."""
        now = self.clock()
        self._kept = {prefix: entry for prefix, entry in self._kept.items() if entry[0] > now}
        self._kept |= {prefix: (now + TTLS[ttl], ttl) for prefix, ttl in prompt.written.items()}


def _measured(model: str, body: dict[str, Any]) -> Iterator[Block]:
    config = body.get("output_config") or {}
    running = hashlib.sha256(f"{model}\x00{json.dumps(config.get('format'), sort_keys=True)}\x00".encode())
    total, among_messages = 0, False
    for text, ttl, in_messages in _blocks(body):
        if in_messages and not among_messages:
            among_messages = True
            running.update(
                json.dumps([body.get("tool_choice"), body.get("thinking")], sort_keys=True).encode()
            )
        running.update(text.encode("utf-8", "surrogatepass") + b"\x00")
        total += count_tokens(text)
        yield Block(total, running.hexdigest(), ttl)


def _blocks(body: dict[str, Any]) -> Iterator[tuple[str, str | None, bool]]:
    """The prompt's blocks as text without ``cache_control``, each with that mark's ttl and whether it is of a turn."""
    for tool in body.get("tools") or []:
        yield *_plain(tool, "tool"), False
    for text, ttl in _content(body.get("system") or [], "system"):
        yield text, ttl, False
    for message in body.get("messages") or []:
        for text, ttl in _content(message.get("content", []), str(message.get("role"))):
            yield text, ttl, True


def _content(content: Any, role: str) -> Iterator[tuple[str, str | None]]:
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    for block in blocks:
        yield _plain(block, role)


def _plain(block: dict[str, Any], role: str) -> tuple[str, str | None]:
    bare = {key: value for key, value in block.items() if key != "cache_control"}
    text = str(bare["text"]) if bare.get("type") == "text" else json.dumps(bare, sort_keys=True)
    mark = block.get("cache_control")
    return f"{role}:{text}", str(mark.get("ttl") or "5m") if isinstance(mark, dict) else None
