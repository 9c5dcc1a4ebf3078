"""The ledger of one run: every call to Claude, opened before it is made and closed when it has ended.

The problem: calls of a run are made by several processes on several machines, over retries and clears, and each may
be killed at any moment. A limit must hold over all of them, and nothing that was paid may be forgotten. A run may make
ten thousand calls, and each process that joins it must know what they cost before it makes one.

Where the state lives, below the root of the records (a folder or an S3 prefix, see ``chassis.files``)::

    add_pet_insurance/manual__2026-11-22T10%3A00/run.json                       the ids themselves
    add_pet_insurance/manual__2026-11-22T10%3A00/ledger/000001.json             entries, numbered without gaps
    add_pet_insurance/manual__2026-11-22T10%3A00/ledger/checkpoints/000250.json what the entries add up to, up to there

Invariants that must not be relaxed:

1. An entry's number is taken together with its content, by one writer only, and only when the writer has taken in all
   entries before it. So whoever writes entry N has held the limits against entries 1 to N-1: check and append are
   one step, over all processes, without a lock that a killed process could keep.
2. A call is opened before it is made. So no call goes uncounted; one whose process was killed counts at its bound.
3. An entry that is missing or can't be understood is an error, never nothing: a limit would be forgotten. A checkpoint
   stands for the entries before its last one, which are not looked at again: one of those that is missing or was
   edited is noticed only by who has to read it, because that checkpoint is gone.
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
"""Entries that are read at once: memory holds no more of them."""
_RELIED_ON = 10.0
"""Seconds for which what was read is relied on; a call that other processes make in a run is noticed anyway."""
_PAUSE = 0.05
"""Seconds until a number is tried again that nobody has, and S3 doesn't give."""


@dataclass(frozen=True)
class RunSpending:
    """What a run has spent.

    :ivar began_at: when its first call was opened, in seconds since 1970; None if it made none
    :ivar simulated: whether only the simulator answered
    """

    totals: Totals
    began_at: float | None
    simulated: bool


class RunLedger:
    """The ledger of a DAG run. It remembers what its entries add up to, and may be used by many threads.

    Every method reads and writes files, and so blocks.

    :param files: the record store
    :param clock: tells the time in seconds since 1970
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

        Calls that earlier attempts at the task left open are given up for lost, as by :meth:`give_up`. Asking again
        for a call that is open is safe.

        :raises LimitSpentError: a limit is spent
        :raises PriceUnknownError: a limit in dollars can't be held
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
        """Close as lost what earlier attempts at a task left open, because it begins anew. Errors as of :meth:`close`.

        To be done before the task waits for others: they may be waiting for these very calls to end. Calls of the
        same owner, of which there may be several at a time, and of later attempts stay open.

        :param owner: who begins; empty for one that owns nothing yet
        :param attempt: how often the task was cleared, and the number of the try
        """
        with self._lock:
            self._refresh()
            self._give_up(task, owner, attempt)

    def _give_up(self, task: TaskKey, owner: str, attempt: tuple[int, int]) -> None:
        for earlier in self._fold.left_open(task, owner, attempt):
            self.close(lost(earlier, self._clock()))

    def _reserved_by_memory(self, opening: Opened, limits: RunLimits) -> bool:
        """Open a call by what was read before, without reading again. False if it has to be done with care.

        That the next number is free shows that nobody has written since. It doesn't when someone deletes the
        run's records, so memory is not relied on for long.
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
        """Note how a call ended. A second closing changes nothing; only ``lost`` gives way to what really happened.

        :raises StoreError: it is unknown whether it was noted; closing again is safe
        :raises RecordBrokenError: an entry is missing or was edited
        """
        with self._lock:
            if not self._last:
                self._refresh()
            while not self._fold.is_settled(closed):
                if not self._append(closed):
                    self._read_winner()

    def totals(self, task: TaskKey | None = None) -> Totals:
        """What one task, or the whole run, has spent and has open, by what stands there now.

        :raises StoreError: the ledger can't be read
        :raises RecordBrokenError: an entry is missing or was edited
        """
        with self._lock:
            self._refresh()
            return self._fold.sums(self._clock(), task).totals()

    def spending(self) -> RunSpending:
        """What the run has spent, since when, and whether it was real. Errors as of :meth:`totals`."""
        with self._lock:
            totals = self.totals()
            simulated = not self._fold.answers and totals.simulated_calls > 0
            return RunSpending(totals, self._fold.began_at, simulated)

    def _append(self, entry: Entry) -> bool:
        """Write the entry after the last one that was read; False if there is one already."""
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
        """Read what was written under the number that this process wanted.

        The file is asked for by its name: a store may go on listing what it knew. When it isn't there, S3 has told of
        a writer that is still at it.
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
