"""The ledger of one run: every call to Claude, opened before it is made and closed when it has ended.

The problem: calls of a run are made by several processes on several machines, over retries and clears, and each may
be killed at any moment. A limit must hold over all of them, and nothing that was paid may be forgotten.

Where the state lives, below the root of the records (a folder or an S3 prefix, see ``chassis.files``)::

    add_pet_insurance/manual__2026-11-22T10%3A00/run.json            the ids themselves
    add_pet_insurance/manual__2026-11-22T10%3A00/ledger/000001.json  entries, numbered without gaps

Invariants that must not be relaxed:

1. An entry's number is taken together with its content, by one writer only, and only when the writer has read all
   entries before it. So whoever writes entry N has held the limits against entries 1 to N-1: check and append are
   one step, over all processes, without a lock that a killed process could keep.
2. A call is opened before it is made. So no call goes uncounted; one whose process was killed counts at its bound.
3. An entry that is missing or can't be understood is an error, never nothing: a limit would be forgotten.
"""

from __future__ import annotations

import json
import logging
import math
import re
import threading
import time
from typing import TYPE_CHECKING

from pydantic import ValidationError

from chassis.contract.record_paths import RunPaths
from chassis.contract.spending import RunLimits
from chassis.crashpoints import ENTRY_APPENDED, reached
from chassis.errors import LimitSpentError, NotStoredError, RecordBrokenError
from chassis.ledger.entries import entry_text, lost, parse_entry
from chassis.ledger.run_limits import may_start
from chassis.ledger.sums import Fold

if TYPE_CHECKING:
    from collections.abc import Callable

    from chassis.contract.spending import Totals
    from chassis.files import Files
    from chassis.ledger.entries import Closed, Entry, Opened, TaskKey

__all__ = ["RunLedger", "RunLimits"]

log = logging.getLogger(__name__)

_NAME = re.compile(r"(\d{6,})\.json")
_RELIED_ON = 10.0
"""Seconds for which what was read is relied on; a call that other processes make in a run is noticed anyway."""
_PAUSE = 0.05
"""Seconds until a number is tried again that nobody has, and S3 doesn't give."""


class RunLedger:
    """The ledger of a DAG run. It remembers the entries that it has read, and may be used by many threads.

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
        self._clock = clock
        self._lock = threading.RLock()
        self._forget()

    def _forget(self) -> None:
        self._fold = Fold()
        self._last = 0
        self._read_at = -math.inf

    def reserve(self, opening: Opened, limits: RunLimits) -> bool:
        """Open a call if the limits allow it. False: not yet; ask again when another call of the run has ended.

        The task's own earlier calls that are open are given up for lost: a task makes one call at a time, so the
        process that made them is gone. Asking again for a call that is open is safe.

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
                self._give_up(opening.task_key)
                if not may_start(opening, limits, self._fold, self._clock(), self._dag_id):
                    return False
                if not self._append(opening):
                    self._read_winner()
            return True

    def give_up(self, task: TaskKey) -> None:
        """Close a task's open calls as lost, because the task begins anew. Errors as of :meth:`close`.

        To be done before the task waits for others: they may be waiting for these very calls to end.
        """
        with self._lock:
            self._refresh()
            self._give_up(task)

    def _give_up(self, task: TaskKey) -> None:
        for earlier in self._fold.open_calls(task):
            self.close(lost(earlier, self._clock()))

    def _reserved_by_memory(self, opening: Opened, limits: RunLimits) -> bool:
        """Open a call by what was read before, without reading again. False if it has to be done with care.

        That the next number is free shows that nobody has written since. It doesn't when someone deletes the
        run's records, so memory is not relied on for long.
        """
        if time.monotonic() - self._read_at > _RELIED_ON:
            return False
        known = self._fold.is_open(opening.call) or self._fold.is_closed(opening.call)
        if known or self._fold.open_calls(opening.task_key):
            return False
        try:
            free = may_start(opening, limits, self._fold, self._clock(), self._dag_id)
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

    def totals_by_task(self) -> dict[TaskKey, Totals]:
        """The same of each task, and each item, that has made a call. Errors as of :meth:`totals`."""
        with self._lock:
            self._refresh()
            now = self._clock()
            return {task: self._fold.sums(now, task).totals() for task in self._fold.tasks()}

    def open_calls(self, task: TaskKey | None = None) -> list[Opened]:
        """The calls that were opened and not closed: of one task, or all. Errors as of :meth:`totals`."""
        with self._lock:
            self._refresh()
            return self._fold.open_calls(task)

    def entries(self) -> list[Entry]:
        """Every entry, in order. Errors as of :meth:`totals`."""
        with self._lock:
            self._refresh()
            return list(self._fold.entries)

    def _name(self, number: int) -> str:
        return f"{self._paths.ledger}/{number:06d}.json"

    def _append(self, entry: Entry) -> bool:
        """Write the entry after the last one that was read; False if there is one already."""
        number = self._last + 1
        if number == 1:
            ids = {"dag_id": self._dag_id, "run_id": self._run_id}
            self._files.create(self._paths.ids, json.dumps(ids, sort_keys=True).encode())
        if not self._files.create(self._name(number), entry_text(entry)):
            return False
        reached(ENTRY_APPENDED)
        self._take(number, entry)
        return True

    def _take(self, number: int, entry: Entry) -> None:
        self._fold.add(entry)
        self._last = number

    def _read_winner(self) -> None:
        """Read what was written under the number that this process wanted.

        The file is asked for by its name: a network folder may go on listing what it knew. When it isn't there,
        S3 has told of a writer that is still at it.
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
        """Read the entries that others have written since: one listing, and the files that are new."""
        newest = self._newest()
        if newest < self._last and self._is_gone(self._last):
            log.warning(
                "The records of run %r of %r were deleted; it starts anew.", self._run_id, self._dag_id
            )
            self._forget()
        numbers = range(self._last + 1, newest + 1)
        contents = self._files.read_all(self._name(number) for number in numbers)
        for number in numbers:
            # A listing that is made while entries are written may lack one of them; reading doesn't.
            content = contents.get(self._name(number))
            if content is None:
                raise RecordBrokenError(f"The ledger has no {self._where(number)}, but later entries.")
            self._take(number, self._parse(number, content))
        self._read_at = time.monotonic()

    def _newest(self) -> int:
        names = self._files.names(self._paths.ledger)
        matches = (_NAME.fullmatch(name.rpartition("/")[2]) for name in names)
        return max((int(match[1]) for match in matches if match), default=0)

    def _is_gone(self, number: int) -> bool:
        try:
            self._files.read(self._name(number))
        except NotStoredError:
            return True
        return False

    def _parse(self, number: int, content: bytes) -> Entry:
        try:
            return parse_entry(content)
        except ValidationError as error:
            fault = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(str(part) for part in fault["loc"])
            raise RecordBrokenError(
                f"{self._where(number)} is no entry of a ledger: {f'{where}: ' if where else ''}{fault['msg']}."
            ) from None

    def _where(self, number: int) -> str:
        return self._files.locate(self._name(number))
