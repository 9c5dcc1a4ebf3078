"""A board's view of a run: rows by task, what waits for what, and which rows a refresh draws. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from chassis.contract.run_view import InstanceView, RunView, TaskView
from chassis.text import one_line
from chassis.ui.queries import EVER
from chassis.ui.run_reader import GONE
from chassis.workflow.names import items_task

MANY = 40
"""Number of items from which a task shows only those that need a look, until the rest is requested."""
NEVER_BEGUN = frozenset({None, "scheduled", "queued", "upstream_failed", "skipped"})
"""States in which a task did nothing, although Airflow gives some of them a start and an end."""
_DONE = frozenset({"success", "skipped"})
_NOT_DONE_WELL = {"failed": "failed", "upstream_failed": "did not run"}
"""States that block downstream tasks, in words; the first is the reason of the second."""
_QUIET = frozenset({None, "success", "skipped", "scheduled", "queued", GONE})
_LONGEST_LINE = 200


@dataclass(frozen=True)
class Row:
    """One task, or one item of a mapped task.

    :ivar waits: names of what it still waits for; empty once it has started
    :ivar problem: why it failed, or did not run, if its card doesn't say so
    """

    task: TaskView
    at: InstanceView
    waits: tuple[str, ...] = ()
    problem: str = ""

    @property
    def name(self) -> str:
        """The task's name, or the item's; an unknown item has a number."""
        if self.at.map_index < 0:
            return self.task.name
        return self.at.item or f"item {self.at.map_index + 1}"

    @property
    def key(self) -> str:
        """The row's name within its page."""
        return f"{self.task.id}--{self.at.map_index}"

    @property
    def label(self) -> str:
        """The task's id with its item, as errors name it: unique, unlike names."""
        return f"{self.task.id} [{self.name}]" if self.at.map_index >= 0 else self.task.id

    @property
    def quiet(self) -> bool:
        """Whether it needs no look, and may be folded away among many."""
        return self.at.state in _QUIET

    def seconds(self, now: datetime) -> float | None:
        """Duration of the current try; None before it started."""
        if self.at.start is None or self.at.state in NEVER_BEGUN:
            return None
        return max(0.0, ((self.at.end or now) - self.at.start).total_seconds())


@dataclass(frozen=True)
class Group:
    """A task with its rows; a task that isn't mapped has one.

    :ivar after: names of the tasks that it waits for
    """

    task: TaskView
    after: tuple[str, ...]
    rows: tuple[Row, ...]

    @property
    def counts(self) -> Mapping[str, int]:
        """Instances by state, the state that needs a look first, without instances that the run no longer has."""
        found = Counter(row.at.state or "none" for row in self.rows if row.at.state != GONE)
        return dict(sorted(found.items(), key=lambda each: (each[0] in _DONE, each[0])))

    @property
    def many(self) -> bool:
        return len(self.rows) > MANY

    @property
    def key(self) -> str:
        """The group's name within its page."""
        return f"task--{self.task.id}"


class Board:
    """A run's board.

    :ivar instances: those that Airflow has, by task id and map index
    :param since: a refresh draws what changed after this moment
    """

    def __init__(self, run: RunView, since: datetime = EVER) -> None:
        self.run = run
        self._since = since
        self._tasks = {task.id: task for task in run.tasks}
        self._there = {task.id: _in_database(task) for task in run.tasks}
        self.instances = {(name, at.map_index): at for name, there in self._there.items() for at in there}
        # Computed once, not for each of a thousand rows.
        self._states = {name: {at.state for at in there} for name, there in self._there.items()}

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """The run's tasks, in order."""
        found = []
        for task in self.run.tasks:
            rows = tuple(
                Row(task, at, self._waits(task, at), self._problem(task, at)) for at in self._there[task.id]
            )
            if rows:
                found.append(Group(task, tuple(self._tasks[up].name for up in self._upstream(task)), rows))
        return tuple(found)

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """Instances of the whole run by state, without those that it no longer has."""
        found: Counter[str] = Counter()
        for group in self.groups:
            found.update(group.counts)
        return dict(found.most_common())

    def changed(self) -> list[tuple[Group, Row]]:
        """The rows to redraw: what changed, and what waits for a changed task."""
        moved = {name for name, there in self._there.items() if any(map(self._moved, there))}
        return [
            (group, row)
            for group in self.groups
            for row in group.rows
            if self._moved(row.at) or (row.waits and moved.intersection(self._upstream(group.task)))
        ]

    def causes(self, task_id: str, map_index: int) -> list[Row]:
        """The failed tasks and items that blocked one, however far upstream."""
        todo, seen = [(task_id, map_index)], set[tuple[str, int]]()
        while todo:
            place = todo.pop()
            if (at := self.instances.get(place)) is None:
                continue
            task = self._tasks[place[0]]
            for up in self._upstream(task):
                for each in self._needed(up, task, at):
                    if each.state in _NOT_DONE_WELL and (up, each.map_index) not in seen:
                        seen.add((up, each.map_index))
                        todo += [(up, each.map_index)] if each.state != "failed" else []
        rows = (row for group in self.groups for row in group.rows if row.at.state == "failed")
        return [row for row in rows if (row.task.id, row.at.map_index) in seen]

    def _moved(self, at: InstanceView) -> bool:
        return at.updated is not None and at.updated > self._since

    def _upstream(self, task: TaskView) -> Sequence[str]:
        """The tasks that one waits for, including the helper that finds its items."""
        helper = items_task(task.id)
        return (*task.depends_on, helper) if helper in self._tasks else task.depends_on

    def _own_item(self, up: str, task: TaskView, at: InstanceView) -> InstanceView | None:
        """The same item of a task upstream, if an instance waits only for that."""
        same = at.map_index >= 0 and task.group is not None and self._tasks[up].group == task.group
        return self.instances.get((up, at.map_index)) if same else None

    def _needed(self, up: str, task: TaskView, at: InstanceView) -> Sequence[InstanceView]:
        own = self._own_item(up, task, at)
        return self._there[up] if own is None else [own]

    def _needed_states(self, up: str, task: TaskView, at: InstanceView) -> set[str | None]:
        own = self._own_item(up, task, at)
        return self._states[up] if own is None else {own.state}

    def _waits(self, task: TaskView, at: InstanceView) -> tuple[str, ...]:
        if at.state not in {None, "scheduled"} or not self.run.active:
            return ()
        return tuple(
            self._tasks[up].name
            for up in self._upstream(task)
            if not self._needed_states(up, task, at) <= _DONE | {GONE}
        )

    def _problem(self, task: TaskView, at: InstanceView) -> str:
        """Why an instance failed without a card, or didn't run; else empty."""
        if at.state != "upstream_failed":
            return one_line(at.error.message, _LONGEST_LINE) if at.error and not at.card else ""
        told = []
        for up in self._upstream(task):
            states = self._needed_states(up, task, at)
            if words := next((words for state, words in _NOT_DONE_WELL.items() if state in states), ""):
                told.append(f"{self._tasks[up].name} {words}")
        return f"Not started: {'; '.join(told) or 'an upstream task failed'}."


def _in_database(task: TaskView) -> tuple[InstanceView, ...]:
    """The instances that Airflow has; one for a task that isn't expanded yet, whatever items it will have."""
    there = tuple(each for each in task.instances if each.updated is not None)
    return there if any(each.map_index >= 0 for each in there) else there[:1]
