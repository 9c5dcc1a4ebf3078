"""Starts one call of a wave first, so that the others can read what it writes to the prompt cache.

Bedrock's prompt cache can be read once the answer of the call that wrote it has begun. Seven calls that start at once
would all miss their shared prefix and pay seven times to write it: a quarter more than without a cache. So the first
call goes alone, and the others follow when its answer begins, after a second or two.

This covers the calls of one event loop, such as a triggerer's, which makes most of them. Nothing is stored.

Invariants that must not be relaxed:

- A waiting call holds nothing that others need, neither a slot of the pace nor an entry of the ledger.
- No call waits longer than :data:`PATIENCE`, whatever the first call does. If the first call fails before an answer, or
  is cancelled, the next one becomes the first.
- A call without a breakpoint never waits, nor does one whose prefix was recently read or written.
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
"""Maximum seconds that a call waits for another's answer to begin. A schema's first compile each day takes longer."""
KEPT_SECONDS = 270.0
"""Seconds since its last use for which a prefix counts as cached: a little less than Bedrock's five minutes."""


def prefixes_of(conn_id: str, payload: Mapping[str, Any]) -> tuple[str, ...]:
    """Digests of a request up to each of its breakpoints, the longest first; empty if it has none.

    They cover everything that decides whether one call can read what another wrote: the account behind the connection,
    the model, tools, system, the answer's schema, and the settings for tools and thinking.
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

    :ivar writing: set when the answer of the call that writes a prefix has begun, or the call has ended without one
    :ivar kept_until: time until which a prefix counts as cached
    """

    writing: dict[str, asyncio.Event] = field(default_factory=dict)
    kept_until: dict[str, float] = field(default_factory=dict)

    async def wait(self, prefixes: Sequence[str], until: float) -> None:
        """Wait until the longest prefix that a call is writing can be read, or this call would be the first."""
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
        """Become the first call for each prefix that has none."""
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
        """Release the waiting calls."""
        self.writing = {prefix: other for prefix, other in self.writing.items() if other is not event}
        event.set()


_waves: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Waves] = weakref.WeakKeyDictionary()


def patience_ends() -> float:
    """When a call that comes now has waited long enough: the ``until`` of all its turns."""
    return asyncio.get_running_loop().time() + PATIENCE


@asynccontextmanager
async def turn(prefixes: Sequence[str], until: float) -> AsyncIterator[Callable[[], None]]:
    """Wait for a turn in a wave; make the call inside the context.

    :param prefixes: see :func:`prefixes_of`; none if there is nothing to wait for
    :param until: time of the event loop after which to stop waiting
    :yield: call it when the answer begins
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
