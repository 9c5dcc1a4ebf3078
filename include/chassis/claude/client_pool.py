"""The client for a call: shared by all calls of a triggerer, or a worker's own.

Without sharing, hundreds of simultaneous calls in a triggerer would each open their own sockets. Each call reads the
Airflow connection again, so a change takes effect at once: a new client replaces the old one, which closes after its
last call.

A client belongs to the event loop that made it, and so does everything here: there are no locks.

Invariants that must not be relaxed:

- A client that a call uses is not closed.
- Cancelling a call harms no other call, whether that uses the same client or waits until it is made.
"""

from __future__ import annotations

import asyncio
import copy
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from chassis.errors import ChassisError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from chassis.claude.access import BedrockAccess
    from chassis.claude.client import BedrockClient
    from chassis.claude.hook import ClaudeBedrockHook

_MOST_IDLE = 4
"""Maximum number of idle clients (and connections) to keep. Each holds the sockets of its last calls."""


@asynccontextmanager
async def connected(conn_id: str, *, shared: bool) -> AsyncIterator[BedrockClient]:
    """Yield a client for one call, or for the calls of one conversation.

    :param shared: use the client that all calls in this event loop share; otherwise a separate one, closed at the end
    :raises ClaudeError: see :meth:`ClaudeBedrockHook.access <chassis.claude.hook.ClaudeBedrockHook.access>`
    """
    if not shared:
        hook = await asyncio.to_thread(_hook, conn_id)
        async with await hook.aclient() as client:
            yield client
        return
    shelf = _shelf()
    entry = await shelf.borrow(conn_id)
    try:
        yield entry.client
    finally:
        shelf.give_back(entry)


@dataclass(eq=False)
class _Entry:
    """A shared client.

    :ivar users: calls that use it now
    :ivar outworn: whether its connection has changed since
    """

    conn_id: str
    fingerprint: str
    client: BedrockClient
    users: int = 0
    outworn: bool = False


@dataclass
class _Shelf:
    """The shared clients of one event loop, the most recently used last."""

    entries: list[_Entry] = field(default_factory=list)
    _findings: dict[str, asyncio.Task[_Entry]] = field(default_factory=dict)
    _closing: set[asyncio.Task[None]] = field(default_factory=set)

    async def borrow(self, conn_id: str) -> _Entry:
        """The client for the connection's current content; simultaneous callers share one read of the connection."""
        finding = self._findings.get(conn_id)
        if finding is None:
            finding = self._findings[conn_id] = asyncio.create_task(self._find(conn_id))
            finding.add_done_callback(partial(self._found, conn_id))
        # Unlike awaiting it, this doesn't cancel it when one call is cancelled.
        await asyncio.wait([finding])
        if (error := finding.exception()) is not None:
            # Raise copies: an exception that many tasks raise collects all their tracebacks.
            raise copy.copy(error) if isinstance(error, ChassisError) else error
        entry = finding.result()
        if entry not in self.entries:  # outworn and closed before this call got it
            return await self.borrow(conn_id)
        entry.users += 1
        return entry

    def _found(self, conn_id: str, finding: asyncio.Task[_Entry]) -> None:
        del self._findings[conn_id]
        if not finding.cancelled():
            finding.exception()  # retrieve it, even if every call that waited for it was cancelled

    def give_back(self, entry: _Entry) -> None:
        """End one use; close the client if it is idle and won't be used again."""
        entry.users -= 1
        self._tidy()

    async def _find(self, conn_id: str) -> _Entry:
        hook, access = await asyncio.to_thread(_read, conn_id)
        fingerprint = access.fingerprint
        for entry in self.entries:
            if entry.fingerprint == fingerprint and not entry.outworn:
                self.entries.remove(entry)
                break
        else:
            entry = _Entry(conn_id, fingerprint, await asyncio.to_thread(hook.build, access))
        for other in self.entries:
            other.outworn |= other.conn_id == conn_id
        self.entries.append(entry)
        return entry

    def _tidy(self) -> None:
        idle = [entry for entry in self.entries if not entry.users]
        fresh = [entry for entry in idle if not entry.outworn]
        unwanted = [entry for entry in idle if entry.outworn] + fresh[: max(0, len(fresh) - _MOST_IDLE)]
        for entry in unwanted:
            self.entries.remove(entry)
            closing = asyncio.create_task(entry.client.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)


_shelves: dict[asyncio.AbstractEventLoop, _Shelf] = {}


def _shelf() -> _Shelf:
    """The running loop's shelf. Drops shelves of loops that have ended: their clients can't even be closed."""
    loop = asyncio.get_running_loop()
    if loop not in _shelves:
        for other in [other for other in _shelves if other.is_closed()]:
            del _shelves[other]
        _shelves[loop] = _Shelf()
    return _shelves[loop]


def _hook(conn_id: str) -> ClaudeBedrockHook:
    from chassis.claude.hook import ClaudeBedrockHook

    return ClaudeBedrockHook(conn_id)


def _read(conn_id: str) -> tuple[ClaudeBedrockHook, BedrockAccess]:
    hook = _hook(conn_id)
    return hook, hook.access()
