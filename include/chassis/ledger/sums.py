"""The sums of a ledger's entries, updated entry by entry.

Pure: reads no file and no clock. Money is counted in whole billionths of a dollar, so that ten calls of ten cents are
one dollar in any order, and a call that is no longer lost leaves exactly nothing behind.

Rules:

1. A call counts at its bound while it is open, and at its cost once it is closed.
2. A closed call stays closed: closing it again changes nothing. Only ``lost`` is replaced by what really happened.
3. A call that is open after its ``until`` counts as lost.
4. Of an ended call, only eight bytes remain, which stand for its name. They tell a second closing from the closing of
   a call whose opening was deleted with the run's records; the latter counts for the run.
"""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from dataclasses import asdict, dataclass, replace
from typing import Any

from chassis.contract.spending import Bound, Totals
from chassis.contract.usage import Usage
from chassis.ledger.entries import Closed, Entry, Opened, TaskKey, lost

NANOS = 1_000_000_000
"""Units of money in a dollar."""
_MARK = 8


def nanos(usd: float) -> int:
    """Convert US dollars to whole billionths."""
    return round(usd * NANOS)


@dataclass(slots=True)
class Sums:
    """What is spent, and what open calls may spend, in whole numbers."""

    calls: int = 0
    counted_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cost_nanos: int = 0
    unpriced_calls: int = 0
    simulated_calls: int = 0
    uncertain_calls: int = 0
    uncertain_tokens: int = 0
    uncertain_nanos: int = 0
    open_calls: int = 0
    open_tokens: int = 0
    open_nanos: int = 0

    @property
    def tokens(self) -> int:
        """Tokens that were counted."""
        return self.input_tokens + self.output_tokens + self.cache_read_tokens + self.cache_write_tokens

    def close(self, closed: Closed, sign: int = 1) -> None:
        """Add a closed call; with ``sign`` -1, subtract it again."""
        usage, uncertain = closed.usage, closed.uncertain
        is_uncertain = closed.outcome == "lost" or uncertain.tokens > 0 or uncertain.cost_usd != 0
        self.calls += sign * max(usage.calls, int(is_uncertain))
        self.counted_calls += sign * usage.calls
        self.input_tokens += sign * usage.input_tokens
        self.output_tokens += sign * usage.output_tokens
        self.cache_read_tokens += sign * usage.cache_read_tokens
        self.cache_write_tokens += sign * usage.cache_write_tokens
        self.cost_nanos += sign * nanos(closed.cost_usd or 0)
        self.uncertain_calls += sign * is_uncertain
        self.uncertain_tokens += sign * uncertain.tokens
        self.uncertain_nanos += sign * nanos(uncertain.cost_usd or 0)
        unpriced = (closed.cost_usd is None and usage != Usage()) or uncertain.cost_usd is None
        self.unpriced_calls += sign * unpriced
        self.simulated_calls += sign * closed.simulated

    def open(self, opened: Opened) -> None:
        """Add a call in flight."""
        self.open_calls += 1
        self.open_tokens += opened.bound.tokens
        self.open_nanos += nanos(opened.bound.cost_usd or 0)

    def state(self) -> dict[str, int]:
        """The values other than 0, by name."""
        return {name: number for name, number in asdict(self).items() if number}

    def totals(self) -> Totals:
        """The same for people and reports."""
        return Totals(
            calls=self.calls,
            usage=Usage(
                input_tokens=self.input_tokens,
                output_tokens=self.output_tokens,
                cache_read_tokens=self.cache_read_tokens,
                cache_write_tokens=self.cache_write_tokens,
                calls=self.counted_calls,
            ),
            cost_usd=self.cost_nanos / NANOS,
            unpriced_calls=self.unpriced_calls,
            simulated_calls=self.simulated_calls,
            uncertain_calls=self.uncertain_calls,
            uncertain=Bound(tokens=self.uncertain_tokens, cost_usd=self.uncertain_nanos / NANOS),
            open_calls=self.open_calls,
            open=Bound(tokens=self.open_tokens, cost_usd=self.open_nanos / NANOS),
        )


class Fold:
    """The state that a ledger's entries add up to, in their order.

    :ivar began_at: when the first call was opened, in seconds since 1970; None before
    :ivar answers: calls that Claude answered, not the simulator
    """

    def __init__(self) -> None:
        self.began_at: float | None = None
        self.answers = 0
        self._open: dict[str, Opened] = {}
        self._lost: dict[str, tuple[TaskKey | None, Closed]] = {}
        self._ended: set[int] = set()
        self._run = Sums()
        self._tasks: dict[TaskKey, Sums] = {}

    def add(self, entry: Entry) -> None:
        """Add the next entry."""
        if isinstance(entry, Closed):
            if not self.is_settled(entry):
                self._close(entry)
        elif not self.is_closed(entry.call):
            self._open.setdefault(entry.call, entry)
            self.began_at = entry.opened_at if self.began_at is None else self.began_at

    def _close(self, closed: Closed) -> None:
        opened = self._open.pop(closed.call, None)
        task, earlier = self._lost.pop(closed.call, (opened.task_key if opened else None, None))
        for sums in (self._run, *([] if task is None else [self._tasks.setdefault(task, Sums())])):
            if earlier is not None:
                sums.close(earlier, -1)
            sums.close(closed)
        self.answers += closed.outcome == "answered" and not closed.simulated
        if closed.outcome == "lost":
            self._lost[closed.call] = task, closed
        else:
            self._ended.add(_mark(closed.call))

    def is_open(self, call: str) -> bool:
        """Whether the call was opened and not closed, even if its time has run out."""
        return call in self._open

    def is_closed(self, call: str) -> bool:
        """Whether the call has ended or was closed as lost."""
        return call in self._lost or _mark(call) in self._ended

    def is_settled(self, closed: Closed) -> bool:
        """Whether this closing would change nothing."""
        return self.is_closed(closed.call) and (closed.call not in self._lost or closed.outcome == "lost")

    def left_open(self, task: TaskKey, owner: str, attempt: tuple[int, int]) -> list[Opened]:
        """A task's open calls that another owner made in this or an earlier attempt: an earlier try, or the same try in
        another process.

        :param attempt: how often the task was cleared, and the number of the try
        """
        return [
            call
            for call in self._open.values()
            if call.task_key == task and call.attempt <= attempt and not (owner and call.owner == owner)
        ]

    def sums(self, now: float, task: TaskKey | None = None) -> Sums:
        """What one task, or the whole run, has spent and has open at time ``now``."""
        sums = replace(self._run if task is None else self._tasks.get(task, Sums()))
        for opened in self._open.values():
            if task is not None and opened.task_key != task:
                continue
            if opened.until <= now:
                sums.close(lost(opened, now))
            else:
                sums.open(opened)
        return sums

    def state(self) -> dict[str, Any]:
        """The whole state as JSON-safe data."""
        return {
            "began_at": self.began_at,
            "answers": self.answers,
            "open": [opened.model_dump(mode="json") for opened in self._open.values()],
            "lost": [[task, closed.model_dump(mode="json")] for task, closed in self._lost.values()],
            "ended": b64encode(b"".join(mark.to_bytes(_MARK) for mark in sorted(self._ended))).decode(),
            "run": self._run.state(),
            "tasks": [[*task, sums.state()] for task, sums in self._tasks.items()],
        }

    @classmethod
    def restored(cls, state: dict[str, Any]) -> Fold:
        """The fold of a :meth:`state`."""
        fold = cls()
        fold.began_at, fold.answers = state["began_at"], state["answers"]
        fold._open = {each["call"]: Opened.model_validate(each) for each in state["open"]}
        for task, end in state["lost"]:
            fold._lost[end["call"]] = task and (task[0], task[1]), Closed.model_validate(end)
        marks = b64decode(state["ended"])
        fold._ended = {int.from_bytes(marks[at : at + _MARK]) for at in range(0, len(marks), _MARK)}
        fold._run = Sums(**state["run"])
        fold._tasks = {(task_id, item): Sums(**sums) for task_id, item, sums in state["tasks"]}
        return fold


def _mark(call: str) -> int:
    """The bytes that stand for the name of an ended call."""
    return int.from_bytes(hashlib.sha256(call.encode()).digest()[:_MARK])
