"""The queue of a run's calls in this process: each starts when the run's limits and the pace allow it.

The problem: two hundred triggers of one run wait in one process. If each checked the ledger, they would read the same
files over and over, and late ones could keep overtaking an early one. So only the first in line checks, and the others
wait at no cost.

File operations run in threads. Once started, one is awaited even if the call is cancelled: an entry that nobody knows
of would count against the limits until its time ran out.
"""

from __future__ import annotations

import asyncio
import logging
import time
import weakref
from typing import TYPE_CHECKING, TypeVar

from chassis.errors import StoreError
from chassis.ledger.entries import Closed
from chassis.ledger.journal import RunLedger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from chassis.claude.pace import Pace
    from chassis.contract.spending import RunLimits, Totals
    from chassis.files import Files
    from chassis.ledger.call_identity import CallIdentity
    from chassis.ledger.entries import Opened, TaskKey

log = logging.getLogger(__name__)

T = TypeVar("T")

_LOOK_AGAIN = 2.0
"""Seconds between checks of a run at a limit for changes by other processes."""
_STORE_PATIENCE = 60.0
"""Seconds that the record store may be out of reach before the call is left to Airflow's retries."""
_STORE_PAUSE = 1.0


class RunGate:
    """The calls of one DAG run in this process. ``files`` is the record store."""

    def __init__(self, files: Files, dag_id: str, run_id: str) -> None:
        self.files = files
        self._ledger = RunLedger(files, dag_id, run_id)
        self._turnstile = asyncio.Lock()
        self._changed = asyncio.Event()

    async def begin(self, identity: CallIdentity, owner: str) -> None:
        """Start a try: calls that the task had open before its process died now count as lost.

        Each try does so before it queues, because the first in line may be waiting for these very calls.

        :param owner: who makes the calls; the same owner's calls stay open
        :raises StoreError: the record store stayed out of reach
        """
        task, attempt = identity.task_key, identity.attempt
        await finished(patiently(lambda: self._ledger.give_up(task, owner, attempt)))
        self._changed.set()

    async def enter(self, open_call: Callable[[], Opened], limits: RunLimits, pace: Pace) -> Opened:
        """Wait until a call may start, and open it in the ledger.

        The caller then holds one of the pace's slots and must :meth:`close` the call.

        :param open_call: makes the entry at the moment when the call may start
        :raises LimitSpentError: a limit of the run or of the task is spent
        :raises StoreError: the record store stayed out of reach
        """
        async with self._turnstile:
            while True:
                await pace.acquire()
                try:
                    opened = open_call()
                    self._changed.clear()
                    if await self._reserve(opened, limits):
                        return opened
                except BaseException:
                    pace.release()
                    raise
                pace.release()
                await self._change()

    async def close(self, closed: Closed) -> None:
        """Record in the ledger how a call ended, and let the next call check the limits.

        :raises StoreError: the record store stayed out of reach; the call then counts at its upper bound
        """
        try:
            await finished(patiently(lambda: self._ledger.close(closed)))
        finally:
            self._changed.set()

    async def totals(self, task: TaskKey | None = None) -> Totals:
        """What the run, or one task of it, has spent over all tries and clears."""
        return await asyncio.to_thread(self._ledger.totals, task)

    async def _reserve(self, opened: Opened, limits: RunLimits) -> bool:
        work = asyncio.ensure_future(patiently(lambda: self._ledger.reserve(opened, limits)))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            if not work.done() or work.exception() is None:
                await self._take_back(work, opened)
            raise

    async def _take_back(self, work: Awaitable[bool], opened: Opened) -> None:
        try:
            if await work:
                await self.close(Closed(call=opened.call, outcome="cancelled", closed_at=time.time()))
        except Exception:
            log.warning("A call that was cancelled before it began can't be struck out.", exc_info=True)

    async def _change(self) -> None:
        try:
            await asyncio.wait_for(self._changed.wait(), _LOOK_AGAIN)
        except TimeoutError:
            return


async def patiently(work: Callable[[], T]) -> T:
    """Run file operations in a thread; repeat them while the store is out of reach.

    :raises StoreError: it stayed out of reach for a minute
    """
    deadline = time.monotonic() + _STORE_PATIENCE
    while True:
        try:
            return await asyncio.to_thread(work)
        except StoreError as error:
            if time.monotonic() + _STORE_PAUSE > deadline:
                raise
            log.warning("%s Trying again.", error.message)
        await asyncio.sleep(_STORE_PAUSE)


async def finished(work: Awaitable[T]) -> T:
    """Wait for ``work`` to end even if cancelled, then pass the cancellation on."""
    running = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        if not running.cancelled() and (error := running.exception()):
            log.warning("While the call was being cancelled: %s", error)
        raise


_gates: weakref.WeakKeyDictionary[
    asyncio.AbstractEventLoop, weakref.WeakValueDictionary[tuple[str, ...], RunGate]
] = weakref.WeakKeyDictionary()


def gate_of(files: Files, dag_id: str, run_id: str) -> RunGate:
    """Return the gate that all calls of a run share in the running event loop."""
    gates = _gates.setdefault(asyncio.get_running_loop(), weakref.WeakValueDictionary())
    key = (files.locate(""), dag_id, run_id)
    gate = gates.get(key)
    if gate is None:
        gate = gates[key] = RunGate(files, dag_id, run_id)
    return gate
