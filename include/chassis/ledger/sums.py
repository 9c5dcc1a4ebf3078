"""The sums over a ledger's entries, kept up to date entry by entry.

Pure: it reads no file and no clock. Money is counted in whole billionths of a dollar, so that ten calls of ten cents
are a dollar, whatever their order, and a call that is no longer lost leaves exactly nothing behind.

Rules:

1. A call counts at its bound while it is open, and at what it cost once it is closed.
2. Once closed, a call stays so: a second closing changes nothing. Only ``lost`` is replaced by what really happened.
3. A call that is open after its ``until`` counts as lost.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace

from chassis.contract.spending import Bound, Totals
from chassis.contract.usage import Usage
from chassis.ledger.entries import Closed, Entry, Opened, TaskKey, lost

NANOS = 1_000_000_000
"""Parts of a dollar that are counted."""


def nanos(usd: float) -> int:
    """US dollars as whole billionths."""
    return round(usd * NANOS)


@dataclass(slots=True)
class Sums:
    """What has been spent, and what open calls may spend, in whole numbers."""

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
        """Take in how a call ended; with ``sign`` -1, take that out again."""
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
        """Take in a call in flight."""
        self.open_calls += 1
        self.open_tokens += opened.bound.tokens
        self.open_nanos += nanos(opened.bound.cost_usd or 0)

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
    """The state that a ledger's entries, in their order, lead to."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._task_of: dict[str, TaskKey] = {}
        self._open: dict[str, Opened] = {}
        self._closed: dict[str, Closed] = {}
        self._run = Sums()
        self._tasks: defaultdict[TaskKey, Sums] = defaultdict(Sums)

    def add(self, entry: Entry) -> None:
        """Take in the next entry."""
        self.entries.append(entry)
        if isinstance(entry, Opened):
            self._add_opened(entry)
        elif not self.is_settled(entry):
            self._add_closed(entry)

    def _add_opened(self, opened: Opened) -> None:
        if opened.call in self._task_of:
            return
        self._task_of[opened.call] = opened.task_key
        if opened.call in self._closed:
            self._tasks[opened.task_key].close(self._closed[opened.call])
        else:
            self._open[opened.call] = opened

    def _add_closed(self, closed: Closed) -> None:
        self._open.pop(closed.call, None)
        earlier = self._closed.get(closed.call)
        self._closed[closed.call] = closed
        task = self._task_of.get(closed.call)
        for sums in (self._run, *([] if task is None else [self._tasks[task]])):
            if earlier is not None:
                sums.close(earlier, -1)
            sums.close(closed)

    def is_open(self, call: str) -> bool:
        """Whether the call was opened and not closed, also when its time has run out."""
        return call in self._open

    def is_closed(self, call: str) -> bool:
        """Whether the call's end is known, or given up for lost."""
        return call in self._closed

    def is_settled(self, closed: Closed) -> bool:
        """Whether this closing would change nothing."""
        earlier = self._closed.get(closed.call)
        return earlier is not None and (earlier.outcome != "lost" or closed.outcome == "lost")

    def open_calls(self, task: TaskKey | None = None) -> list[Opened]:
        """The calls that were opened and not closed: of one task, or all."""
        return [opened for opened in self._open.values() if task is None or opened.task_key == task]

    def sums(self, now: float, task: TaskKey | None = None) -> Sums:
        """What one task, or the whole run, has spent and has open at a time."""
        sums = replace(self._run if task is None else self._tasks.get(task, Sums()))
        for opened in self.open_calls(task):
            if opened.until <= now:
                sums.close(lost(opened, now))
            else:
                sums.open(opened)
        return sums

    def tasks(self) -> list[TaskKey]:
        """The tasks that have made calls, in the order of their first ones."""
        return list(dict.fromkeys(self._task_of.values()))
