"""The ledger of one run: every call to Claude, opened before it is made and closed when it has ended.

The problem: several processes on several machines make calls of one run, over retries and clears, and each may be
killed at any moment. Limits must hold over all of them, and no cost may be forgotten. A run may make ten thousand
calls, and a process that joins it must know their cost before it makes one.

The state, below the root of the record store (a folder or an S3 prefix, see ``chassis.files``)::

    add_pet_insurance/manual__2026-11-22T10%3A00/run.json                       the ids themselves
    add_pet_insurance/manual__2026-11-22T10%3A00/ledger/000001.json             entries, numbered without gaps
    add_pet_insurance/manual__2026-11-22T10%3A00/ledger/checkpoints/000250.json the sums of the entries up to there

Invariants that must not be relaxed:

1. One step takes an entry's number and writes its content, for one writer only, and only if that writer has read all
   entries before it. So the writer of entry N has checked the limits against entries 1 to N-1: check and append are
   one step over all processes, without a lock that a killed process could keep.
2. A call is opened before it is made. So every call counts; if its process is killed, it counts at its bound.
3. An entry that is missing or invalid is an error, never nothing: otherwise a limit would be forgotten. A checkpoint
   replaces the entries before it, and nobody reads them again. If one of them is missing or was edited, only a reader
   that lacks the checkpoint notices.
"""

from __future__ import annotations

import json
import logging
import math
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError

from chassis.contract.record_paths import RunPaths
from chassis.crashpoints import CHECKPOINT_WRITTEN, ENTRY_APPENDED, reached
from chassis.errors import LimitSpentError, RecordBrokenError
from chassis.files import LAST_NUMBER, numbered
from chassis.ledger.checkpoints import EVERY, Checkpoints
from chassis.ledger.entries import entry_text, lost, parse_entry
from chassis.ledger.run_limits import may_start
from chassis.ledger.sums import Fold

if TYPE_CHECKING:
    from collections.abc import Callable

    from chassis.contract.spending import RunLimits, Totals
    from chassis.files import Files
    from chassis.ledger.entries import Closed, Entry, Opened, TaskKey

log = logging.getLogger(__name__)

_AT_ONCE = 1000
"""Entries read at once, to limit memory."""
_RELIED_ON = 10.0
"""Seconds for which the process relies on what it has read. It notices calls of other processes anyway."""
_PAUSE = 0.05
"""Seconds to wait before retrying a number that no entry has yet but S3 refuses."""


@dataclass(frozen=True)
class RunSpending:
    """What a run has spent.

    :ivar began_at: when its first call was opened, in seconds since 1970; None if it made none
    :ivar simulated: whether the simulator gave all answers
    """

    totals: Totals
    began_at: float | None
    simulated: bool


class RunLedger:
    """The ledger of a DAG run, in the record store ``files``. It caches the sums of its entries and is thread-safe.

    Every method reads and writes files, so it blocks. ``clock`` returns seconds since 1970.
    """

    def __init__(
        self, files: Files, dag_id: str, run_id: str, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._files = files
        self._dag_id = dag_id
        self._run_id = run_id
        self._paths = RunPaths(dag_id, run_id)
        self._checkpoints = Checkpoints(files, self._paths)
        self._clock = clock
        self._lock = threading.RLock()
        self._fold, self._last, self._read_at = Fold(), 0, -math.inf

    def reserve(self, opening: Opened, limits: RunLimits) -> bool:
        """Open a call if the limits allow it. False: not yet; ask again when another call of the run has ended.

        Closes calls that earlier attempts at the task left open, as :meth:`give_up` does. Asking again for an open call
        is safe.

        :raises LimitSpentError: a limit is spent
        :raises PriceUnknownError: a limit in dollars can't be enforced
        :raises StoreError: it is unknown whether the call was opened; asking again is safe
        :raises RecordBrokenError: an entry is missing or was edited
        """
        with self._lock:
            if self._reserved_by_memory(opening, limits):
                return True
            self._refresh()
            while not self._fold.is_open(opening.call):
                if self._fold.is_closed(opening.call):
                    raise ValueError(f"Call {opening.call!r} has ended; a name is used once.")
                self._give_up(opening.task_key, opening.owner, opening.attempt)
                if not may_start(opening, limits, self._fold, self._clock(), self._dag_id):
                    return False
                if not self._append(opening):
                    self._read_winner()
            return True

    def give_up(self, task: TaskKey, owner: str, attempt: tuple[int, int]) -> None:
        """Close as lost the calls that earlier attempts at a task left open. Raises what :meth:`close` raises.

        Do this before the task waits for other calls, because those may be waiting for the calls that it left open.
        Calls of the same owner, which may have several at a time, and of later attempts stay open.

        :param owner: who starts now; empty if it has no calls yet
        :param attempt: how often the task was cleared, and the number of the try
        """
        with self._lock:
            self._refresh()
            self._give_up(task, owner, attempt)

    def _give_up(self, task: TaskKey, owner: str, attempt: tuple[int, int]) -> None:
        for earlier in self._fold.left_open(task, owner, attempt):
            self.close(lost(earlier, self._clock()))

    def _reserved_by_memory(self, opening: Opened, limits: RunLimits) -> bool:
        """Open a call by the cached sums, without reading. False if the ledger must be read first.

        A free next number shows that nobody has written since, unless someone deleted the run's records. So the cache
        is trusted only for a short time.
        """
        fold = self._fold
        if (
            time.monotonic() - self._read_at > _RELIED_ON
            or fold.is_open(opening.call)
            or fold.is_closed(opening.call)
            or fold.left_open(opening.task_key, opening.owner, opening.attempt)
        ):
            return False
        try:
            free = may_start(opening, limits, fold, self._clock(), self._dag_id)
        except LimitSpentError:
            return False
        return free and self._append(opening)

    def close(self, closed: Closed) -> None:
        """Record how a call ended. Closing it again changes nothing, except that a real end replaces ``lost``.

        :raises StoreError: it is unknown whether the end was recorded; closing again is safe
        :raises RecordBrokenError: an entry is missing or was edited
        """
        with self._lock:
            if not self._last:
                self._refresh()
            while not self._fold.is_settled(closed):
                if not self._append(closed):
                    self._read_winner()

    def totals(self, task: TaskKey | None = None) -> Totals:
        """Read the current totals of one task, or of the whole run.

        :raises StoreError: the ledger can't be read
        :raises RecordBrokenError: an entry is missing or was edited
        """
        with self._lock:
            self._refresh()
            return self._fold.sums(self._clock(), task).totals()

    def spending(self) -> RunSpending:
        """Read what the run has spent. Raises what :meth:`totals` raises."""
        with self._lock:
            totals = self.totals()
            simulated = not self._fold.answers and totals.simulated_calls > 0
            return RunSpending(totals, self._fold.began_at, simulated)

    def _append(self, entry: Entry) -> bool:
        """Write the entry after the last one read; False if that number is taken."""
        number, content = self._last + 1, entry_text(entry)
        if number > LAST_NUMBER:
            raise RecordBrokenError(f"{self._where(self._last)} is the last entry that a ledger can have.")
        if number == 1:
            ids = {"dag_id": self._dag_id, "run_id": self._run_id}
            self._files.create(self._paths.ids, json.dumps(ids, sort_keys=True).encode())
        if not self._files.create(self._name(number), content):
            return False
        reached(ENTRY_APPENDED)
        self._take(number, entry)
        if number % EVERY == 0:
            self._checkpoints.write(number, content, self._fold)
            reached(CHECKPOINT_WRITTEN)
        return True

    def _take(self, number: int, entry: Entry) -> None:
        self._fold.add(entry)
        self._last = number

    def _read_winner(self) -> None:
        """Read the entry that another writer put under the number that this process wanted.

        Reads the file by name, because a store may serve an old listing. If the file isn't there, another writer is
        still writing it, and S3 has refused this one.
        """
        wanted = self._last + 1
        self._refresh()
        if self._last < wanted:
            content = self._files.read_all([self._name(wanted)]).get(self._name(wanted))
            if content is None:
                time.sleep(_PAUSE)
            else:
                self._take(wanted, self._parse(wanted, content))

    def _refresh(self) -> None:
        """Read the entries that others have written since, or all since the newest checkpoint."""
        while True:
            if not self._last:
                self._last, self._fold = self._checkpoints.newest()
            found = self._files.numbered_after(self._paths.ledger, self._last, _AT_ONCE)
            if found is None:
                log.warning(
                    "The records of run %r of %r were deleted; it starts anew.", self._run_id, self._dag_id
                )
                self._fold, self._last = Fold(), 0
                continue
            for number in range(self._last + 1, max(found, default=0) + 1):
                if number not in found:
                    raise RecordBrokenError(f"The ledger has no {self._where(number)}, but later entries.")
                self._take(number, self._parse(number, found[number]))
            if len(found) < _AT_ONCE:
                break
        self._read_at = time.monotonic()

    def _parse(self, number: int, content: bytes) -> Entry:
        try:
            return parse_entry(content)
        except ValidationError as error:
            fault = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(str(part) for part in fault["loc"])
            raise RecordBrokenError(
                f"{self._where(number)} is no entry of a ledger: {f'{where}: ' if where else ''}{fault['msg']}."
            ) from None

    def _name(self, number: int) -> str:
        return numbered(self._paths.ledger, number)

    def _where(self, number: int) -> str:
        return self._files.locate(self._name(number))
