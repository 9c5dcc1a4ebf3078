"""One call of a wave begins first, and the others read what it wrote to the prompt cache.

What a call writes to Bedrock's prompt cache can be read once its answer has begun. Seven calls that go out at once all
miss what they share, and pay seven times for writing it: a quarter more than without any cache. So the first call goes
alone; the others go as soon as its answer begins, which takes a second or two.

This knows of the calls of one event loop: of a triggerer, which makes most. Nothing is kept.

Invariants that must not be relaxed:

- Who waits here holds nothing that others need, neither a slot of the pace nor an entry of the ledger.
- Nobody waits longer than :data:`PATIENCE`, whatever the first call does. When its call fails before an
  answer, or is cancelled, the next one is the first.
- A call without a breakpoint never waits, nor does one whose prefix was read or written lately.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
import weakref
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

PATIENCE = 10.0
"""Seconds that a call waits at most for another's answer to begin. A schema's first compile takes longer, each day."""
KEPT_SECONDS = 270.0
"""Seconds from its last use for which a prefix counts as kept: a little less than Bedrock's five minutes."""


def prefixes_of(conn_id: str, payload: Mapping[str, Any]) -> tuple[str, ...]:
    """Digests of what a request has up to each of its breakpoints, the longest first; empty when it has none.

    All that decides whether one call reads what another wrote is part of them: the account behind the connection, the
    model, tools, system, the schema of the answer, and what is said of tools and thinking.
    """
    found: list[str] = []
    head = {name: part for name, part in payload.items() if name not in ("messages", "max_tokens")}
    running = hashlib.sha256(json.dumps([conn_id, head], sort_keys=True).encode())
    for message in payload["messages"]:
        content = message["content"]
        for block in content if isinstance(content, list | tuple) else ():
            running.update(json.dumps([message["role"], block], sort_keys=True).encode())
            if "cache_control" in block:
                found.append(running.hexdigest())
    return tuple(reversed(found))


@dataclass
class _Waves:
    """The waves of one event loop.

    :ivar writing: set when the call that writes a prefix has begun to be answered, or has ended without
    :ivar kept_until: time until which a prefix is taken to be in the cache
    """

    writing: dict[str, asyncio.Event] = field(default_factory=dict)
    kept_until: dict[str, float] = field(default_factory=dict)

    async def wait(self, prefixes: Sequence[str], until: float) -> None:
        """Until the longest prefix that anybody has begun to write can be read, or a call would be the first."""
        with suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                while (event := self._written_now(prefixes)) is not None:
                    await event.wait()

    def _written_now(self, prefixes: Sequence[str]) -> asyncio.Event | None:
        for prefix in prefixes:
            if prefix in self.writing:
                return self.writing[prefix]
            if self._kept(prefix):
                return None
        return None

    def _kept(self, prefix: str) -> bool:
        return self.kept_until.get(prefix, 0.0) > time.monotonic()

    def lead(self, prefixes: Sequence[str]) -> asyncio.Event:
        """Be the first for each prefix for which nobody is."""
        event = asyncio.Event()
        for prefix in prefixes:
            if prefix not in self.writing and not self._kept(prefix):
                self.writing[prefix] = event
        return event

    def begun(self, prefixes: Sequence[str], event: asyncio.Event) -> None:
        """An answer has begun, so its prefixes can be read."""
        now = time.monotonic()
        self.kept_until = {prefix: until for prefix, until in self.kept_until.items() if until > now}
        self.kept_until |= dict.fromkeys(prefixes, now + KEPT_SECONDS)
        self.end(event)

    def end(self, event: asyncio.Event) -> None:
        """Let go those who wait."""
        self.writing = {prefix: other for prefix, other in self.writing.items() if other is not event}
        event.set()


_waves: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Waves] = weakref.WeakKeyDictionary()


def patience_ends() -> float:
    """When a call that comes now has waited long enough: the ``until`` of all its turns."""
    return asyncio.get_running_loop().time() + PATIENCE


@asynccontextmanager
async def turn(prefixes: Sequence[str], until: float) -> AsyncIterator[Callable[[], None]]:
    """Wait for one's turn in a wave; within, the call is made.

    :param prefixes: see :func:`prefixes_of`; none: there is nothing to wait for
    :param until: time of the event loop after which it waits no longer
    :yield: to be called when the answer begins
    """
    if not prefixes:
        yield lambda: None
        return
    waves = _waves.setdefault(asyncio.get_running_loop(), _Waves())
    await waves.wait(prefixes, until)
    event = waves.lead(prefixes)
    try:
        yield lambda: waves.begun(prefixes, event)
    finally:
        waves.end(event)
