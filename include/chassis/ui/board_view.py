"""What a board shows, from what the database has: rows by task, who waits for whom, what was spent. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from chassis.outdated import outdated_instances
from chassis.ui.queries import EVER, Instance, RunState
from chassis.workflow import TaskGraph, TaskSpec, WorkflowSpec
from chassis.workflow.names import items_task

MANY = 40
"""Items of a task from which on only those are shown that need a look, until the rest is asked for."""

OVERLAP = timedelta(seconds=5)
"""How far a refresh looks back behind the last one: clocks of several machines differ, and commits take time."""

SETTLED = timedelta(seconds=60)
"""How long after a change nothing that happened before it is still to come."""

ACTIVE = frozenset({"queued", "running"})
DONE = frozenset({"success", "skipped"})
GONE = "removed"
"""State of an item that the run doesn't have any more, and of a task that its plan doesn't."""
NEVER_BEGUN = frozenset({None, "scheduled", "queued", "upstream_failed", "skipped"})
"""States in which a task did nothing; Airflow gives some of them a start and an end all the same."""
_ENDED = frozenset({"success", "failed", GONE})
_NOT_DONE_WELL = {"failed": "failed", "upstream_failed": "did not run"}
"""States that keep what follows from running, in words; the first is the reason of the second."""
_QUIET = frozenset({None, "success", "skipped", "scheduled", "queued", "removed"})


@dataclass(frozen=True)
class Row:
    """One task, or one item of a mapped task.

    :ivar task: name of its task
    :ivar waits: names of what it still waits for; empty once it has started
    :ivar problem: why it failed, or did not run, where its card doesn't say so
    :ivar outdated: whether a task that it depends on, however far upstream, gave its result later: it was amended or
        cleared, and this one was not run again
    :ivar quiet: whether it needs no look, and may be folded away among many
    """

    at: Instance
    name: str
    mapped: bool
    waits: tuple[str, ...]
    task: str = ""
    problem: str = ""
    outdated: bool = False

    @property
    def key(self) -> str:
        """The row's name within its page."""
        return f"{self.at.task_id}--{self.at.map_index}"

    @property
    def label(self) -> str:
        """Its task's id with its item, as errors name it: no other row has that, while names may be the same."""
        return f"{self.at.task_id} [{self.name}]" if self.at.map_index >= 0 else self.at.task_id

    @property
    def quiet(self) -> bool:
        return self.at.state in _QUIET

    def seconds(self, now: datetime) -> float | None:
        """How long its current try has taken; None before it started."""
        if self.at.start is None or self.at.state in NEVER_BEGUN:
            return None
        return max(0.0, ((self.at.end or now) - self.at.start).total_seconds())


@dataclass(frozen=True)
class Group:
    """A task of the plan with its rows; a task that isn't mapped has one."""

    task_id: str
    name: str
    mapped: bool
    after: tuple[str, ...]
    rows: tuple[Row, ...]

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """Instances by state, the state that needs a look first; what is gone from the run isn't counted."""
        found = Counter(row.at.state or "none" for row in self.rows if row.at.state != GONE)
        return dict(sorted(found.items(), key=lambda each: (each[0] in DONE, each[0])))

    @property
    def many(self) -> bool:
        return len(self.rows) > MANY

    @property
    def key(self) -> str:
        """The group's name within its page."""
        return f"task--{self.task_id}"


class Board:
    """A run's board.

    :param spec: the run's plan; None for a DAG that isn't from the plan store
    :param reasons: why tasks failed that left no card, by task id and map index
    """

    def __init__(
        self,
        run: RunState,
        spec: WorkflowSpec | None,
        reasons: Mapping[tuple[str, int], str] | None = None,
    ) -> None:
        self.run = run
        self.spec = spec
        self._reasons = reasons or {}
        self._tasks: Mapping[str, TaskSpec] = {task.id: task for task in spec.tasks} if spec else {}
        self._graph = TaskGraph(spec.tasks) if spec else None
        self._by_task: dict[str, list[Instance]] = {}
        for instance in run.instances:
            self._by_task.setdefault(instance.task_id, []).append(instance)

    @property
    def active(self) -> bool:
        """Whether anything may still change by itself."""
        return self.run.state in ACTIVE

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """The tasks in the plan's order; what the plan doesn't name comes where it belongs, or last."""
        order = [*self._order(), *sorted(set(self._by_task) - set(self._order()))]
        return tuple(self._group(task_id) for task_id in order if self._by_task.get(task_id))

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """Instances by state, of the whole run; what is gone from it isn't counted."""
        there = (each for each in self.run.instances if each.state != GONE)
        return dict(Counter(instance.state or "none" for instance in there).most_common())

    @property
    def simulated(self) -> bool:
        """Whether anything of the run was answered by the simulator."""
        return bool(self.run.card.get("simulated"))

    def since(self, now: datetime) -> datetime:
        """From where the next refresh looks: a little before the last change, while one may be on its way."""
        newest = max((instance.updated for instance in self.run.instances), default=EVER)
        return newest - OVERLAP if now - newest < SETTLED else newest

    def changed(self) -> list[tuple[Group, Row]]:
        """The rows to draw anew: what changed, and what waits for a task that did."""
        moved = {instance.task_id for instance in self.run.instances if instance.changed}
        return [
            (group, row)
            for group in self.groups
            for row in group.rows
            if row.at.changed or (row.waits and moved.intersection(self._dependencies(group.task_id)))
        ]

    def _order(self) -> list[str]:
        if self._graph is None:
            return []
        order = []
        for task_id in self._graph.order:
            helper = items_task(task_id)
            order += [helper, task_id] if helper in self._by_task else [task_id]
        return order

    def _group(self, task_id: str) -> Group:
        task = self._tasks.get(task_id)
        instances = self._by_task[task_id]
        if any(instance.map_index >= 0 for instance in instances):
            instances = [instance for instance in instances if instance.map_index >= 0]
        mapped = instances[0].map_index >= 0 or bool(task and task.for_each)
        name = self._name(task_id)
        rows = tuple(
            Row(
                each,
                self._item(task_id, each) if each.map_index >= 0 else name,
                mapped,
                self._waits(each),
                task=name,
                problem=self._problem(each),
                outdated=(each.task_id, each.map_index) in self._outdated,
            )
            for each in instances
        )
        return Group(task_id, name, mapped, tuple(map(self._name, self._dependencies(task_id))), rows)

    def _name(self, task_id: str) -> str:
        root = task_id.removesuffix("__items")
        if task_id not in self._tasks and root in self._tasks:
            return f"{self._tasks[root].name}: items"
        return self._tasks[task_id].name if task_id in self._tasks else task_id

    def _item(self, task_id: str, instance: Instance) -> str:
        """An item's name: as Airflow labels what has ended, else the plan's, else its label so far, else its number.

        After a change to another plan, what has ended was done for the item of its label.
        """
        if instance.label and instance.state in _ENDED:
            return instance.label
        source = self._graph.items(task_id) if self._graph else None
        planned = source.at(instance.map_index) if source else None
        return planned or instance.label or f"item {instance.map_index + 1}"

    def _dependencies(self, task_id: str) -> tuple[str, ...]:
        task = self._tasks.get(task_id)
        if task is None:
            return ()
        helper = items_task(task_id)
        return (*task.depends_on, helper) if helper in self._by_task else tuple(task.depends_on)

    def _waits(self, instance: Instance) -> tuple[str, ...]:
        if instance.state not in {None, "scheduled"} or not self.active:
            return ()
        return tuple(
            self._name(upstream)
            for upstream in self._dependencies(instance.task_id)
            if not all(each.state in DONE for each in self._awaited(upstream, instance))
        )

    def causes(self, task_id: str, map_index: int) -> list[Row]:
        """The failed tasks and items that kept one from running, however far upstream."""
        todo = [each for each in self._by_task.get(task_id, []) if each.map_index == map_index]
        seen: set[tuple[str, int]] = set()
        found: list[Instance] = []
        while todo:
            instance = todo.pop()
            for upstream in self._dependencies(instance.task_id):
                for each in self._needed(upstream, instance):
                    if each.state in _NOT_DONE_WELL and (each.task_id, each.map_index) not in seen:
                        seen.add((each.task_id, each.map_index))
                        (found if each.state == "failed" else todo).append(each)
        wanted = {(each.task_id, each.map_index) for each in found}
        rows = (row for group in self.groups for row in group.rows)
        return [row for row in rows if (row.at.task_id, row.at.map_index) in wanted]

    def is_outdated(self, task_id: str, map_index: int) -> bool:
        """Whether a task that this one depends on gave its result later than this one began."""
        return (task_id, map_index) in self._outdated

    def _problem(self, instance: Instance) -> str:
        """Why an instance failed that left no card, or didn't run at all; else empty."""
        if instance.state != "upstream_failed":
            return self._reasons.get((instance.task_id, instance.map_index), "")
        told = []
        for upstream in self._dependencies(instance.task_id):
            states = self._own_item(upstream, instance) or self._states[upstream]
            if words := next((words for state, words in _NOT_DONE_WELL.items() if state in states), ""):
                told.append(f"{self._name(upstream)} {words}")
        return f"Not started: {'; '.join(told) or 'an upstream task failed'}."

    @cached_property
    def _outdated(self) -> frozenset[tuple[str, int]]:
        if self._graph is None:
            return frozenset()
        depends_on = {task_id: self._tasks[task_id].depends_on for task_id in self._graph.order}
        return outdated_instances(self.run.instances, depends_on, self._graph.same_items)

    def _own_item(self, upstream: str, instance: Instance) -> Collection[str | None]:
        """The state of a dependency's same item, where that alone is awaited; else empty."""
        if not self._same_items(upstream, instance):
            return ()
        return {each.state for each in self._needed(upstream, instance)}

    @cached_property
    def _states(self) -> Mapping[str, Collection[str | None]]:
        """The states that each task's instances are in: looked up once, not for each row."""
        found: defaultdict[str, set[str | None]] = defaultdict(set)
        for instance in self.run.instances:
            found[instance.task_id].add(instance.state)
        return found

    def _same_items(self, upstream: str, instance: Instance) -> bool:
        """Whether an instance waits for its own item of a dependency only, and not for all of it."""
        if self._graph is None or instance.map_index < 0:
            return False
        return self._graph.same_items(upstream, instance.task_id)

    def _needed(self, upstream: str, instance: Instance) -> list[Instance]:
        """The instances of a dependency that an instance needs: its own item's, or all."""
        there = self._by_task.get(upstream, [])
        if self._same_items(upstream, instance):
            return [each for each in there if each.map_index == instance.map_index]
        return there

    def _awaited(self, upstream: str, instance: Instance) -> Iterable[Instance]:
        """The same; of all of a big task only one that isn't done, if there is any."""
        if self._same_items(upstream, instance):
            return self._needed(upstream, instance)
        pending = self._pending.get(upstream)
        return (pending,) if pending is not None else ()

    @cached_property
    def _pending(self) -> Mapping[str, Instance]:
        """For each task that isn't done, an instance that isn't: looked up once, not for each row."""
        return {
            task_id: each
            for task_id, instances in self._by_task.items()
            for each in instances
            if each.state not in DONE and each.state != GONE
        }
