"""The order of tasks: which waits for which, which can run in parallel, which share their items.

Everything here is deterministic and, among equals, keeps the order in which the plan names the tasks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any

from chassis.errors import PlanError, PlanFault
from chassis.workflow.names import items_task

if TYPE_CHECKING:
    from chassis.workflow.spec import TaskSpec

Edges = Mapping[str, Sequence[str]]
"""The names that each name waits for."""


def in_order(waits_for: Edges) -> list[str]:
    """The names, each after those that it waits for; leaves out names in a cycle, and after one.

    Of several that could be next, the first in the mapping comes first. Unknown names don't count.
    """
    rank = {name: index for index, name in enumerate(waits_for)}
    missing = {name: len({up for up in ups if up in rank}) for name, ups in waits_for.items()}
    waiting: dict[str, list[str]] = {name: [] for name in waits_for}
    for name, ups in waits_for.items():
        for up in dict.fromkeys(ups):
            if up in rank:
                waiting[up].append(name)
    ready = [(rank[name], name) for name, count in missing.items() if count == 0]
    heapify(ready)
    order: list[str] = []
    while ready:
        _, name = heappop(ready)
        order.append(name)
        for follower in waiting[name]:
            missing[follower] -= 1
            if missing[follower] == 0:
                heappush(ready, (rank[follower], follower))
    return order


def find_cycles(waits_for: Edges) -> list[list[str]]:
    """Cycles as paths that end where they begin, each name leading to one that waits for it.

    No name is in two of them. The list is empty if, and only if, there is no cycle. Each is the shortest through its
    first name.
    """
    ordered = set(in_order(waits_for))
    rest = {name: ups for name, ups in waits_for.items() if name not in ordered}
    cycles: list[list[str]] = []
    for name in list(rest):
        if name in rest and (way := path(rest, name, name)):
            cycles.append(way)
            rest = {other: ups for other, ups in rest.items() if other not in way}
    return cycles


def path(waits_for: Edges, start: str, end: str) -> list[str]:
    """The shortest path from one name to another that waits for it, directly or not; empty if there is none."""
    # Walks backwards, from the one that waits, as the edges point.
    came_from: dict[str, str] = {}
    queue = deque([end])
    while queue:
        name = queue.popleft()
        for up in waits_for[name]:
            if up in came_from or up not in waits_for:
                continue
            came_from[up] = name
            if up == start:
                way = [start]
                while way[-1] != end or len(way) == 1:
                    way.append(came_from[way[-1]])
                return way
            queue.append(up)
    return []


def reachable(waits_for: Edges, name: str) -> set[str]:
    """All names that a name waits for, directly or through others."""
    found: set[str] = set()
    stack = [name]
    while stack:
        for up in waits_for.get(stack.pop(), ()):
            if up in waits_for and up not in found:
                found.add(up)
                stack.append(up)
    return found


def share_items(tasks: Sequence[TaskSpec]) -> dict[str, str]:
    """The root of each mapped task: the task whose items it goes through, maybe itself."""
    return {task.id: task.for_each.same_as or task.id for task in tasks if task.for_each is not None}


@dataclass(frozen=True)
class ItemSource:
    """Where a mapped task gets its items. An item's index in the list is its map index.

    :ivar root: id of the task whose ``for_each`` names the source; tasks with the same root share their items
    :ivar items: the items, if the plan lists them; None if an input or a task's output has them
    :ivar path: dotted path to the list in the output of ``output_of``; empty: the output is the list
    """

    root: str
    items: tuple[str, ...] | None = None
    input: str | None = None
    output_of: str | None = None
    path: str = ""

    @property
    def finder(self) -> str | None:
        """Id of the Airflow task that finds the items during a run; None if the plan lists them."""
        return items_task(self.root) if self.items is None else None

    @property
    def several(self) -> bool:
        """Whether there is more than one item; assumed if the plan doesn't list them."""
        return self.items is None or len(self.items) > 1

    def known(self, inputs: Mapping[str, Any]) -> tuple[str, ...] | None:
        """The items, given the values of inputs, if they are known before a run finds them; else None."""
        if self.items is not None or self.input is None:
            return self.items
        value = inputs.get(self.input)
        return tuple(map(str, value)) if isinstance(value, list | tuple) else None

    def at(self, index: int) -> str | None:
        """The item of a map index, if the plan lists it."""
        return self.items[index] if self.items is not None and 0 <= index < len(self.items) else None


class TaskGraph:
    """The graph of a plan's tasks.

    :raises PlanError: a dependency doesn't exist, or there is a cycle
    """

    def __init__(self, tasks: Sequence[TaskSpec]) -> None:
        self.tasks = {task.id: task for task in tasks}
        self._waits_for: dict[str, tuple[str, ...]] = {task.id: task.depends_on for task in tasks}
        self._roots = share_items(tasks)
        faults = [
            PlanFault("unknown_dependency", f"task {task.id!r}", f"depends on {up!r}, which does not exist")
            for task in tasks
            for up in task.depends_on
            if up not in self.tasks
        ]
        faults += [
            PlanFault("cycle", f"task {cycle[0]!r}", f"is in a cycle: {' -> '.join(cycle)}")
            for cycle in find_cycles(self._waits_for)
        ]
        if faults:
            raise PlanError(faults)

    @cached_property
    def order(self) -> tuple[str, ...]:
        """The tasks, each after all that it depends on."""
        return tuple(in_order(self._waits_for))

    @cached_property
    def levels(self) -> tuple[tuple[str, ...], ...]:
        """The tasks by the number of tasks before them: tasks of one level don't wait for each other."""
        by_level: dict[int, list[str]] = {}
        for task_id in self.order:
            by_level.setdefault(self._depth[task_id], []).append(task_id)
        return tuple(tuple(by_level[level]) for level in sorted(by_level))

    @cached_property
    def critical_path(self) -> tuple[str, ...]:
        """The longest chain of tasks, each waiting for the one before: no run can be shorter."""
        if not self.order:
            return ()
        way = [max(self.order, key=lambda task_id: self._depth[task_id])]
        while ups := self._waits_for[way[-1]]:
            way.append(max(ups, key=lambda up: self._depth[up]))
        return tuple(reversed(way))

    @cached_property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """The mapped tasks that share their items, in order, by the task that has the items."""
        groups: dict[str, list[str]] = {root: [] for root in self.order if self._roots.get(root) == root}
        for task_id in self.order:
            if task_id in self._roots:
                groups[self._roots[task_id]].append(task_id)
        return {root: tuple(members) for root, members in groups.items()}

    def group_of(self, task_id: str) -> str | None:
        """The root of the group that a task is in; None if it isn't mapped."""
        return self._roots.get(task_id)

    def items(self, task_id: str) -> ItemSource | None:
        """Where a task gets its items; None if it isn't mapped, or isn't one of the plan's."""
        root = self._roots.get(task_id)
        source = self.tasks[root].for_each if root is not None else None
        if root is None or source is None:
            return None
        return ItemSource(root, source.items, source.input, source.output_of, source.path)

    def same_items(self, one: str, other: str) -> bool:
        """Whether two tasks are steps for the same items, so that each item of one reads its own of the other."""
        return self.group_of(one) is not None and self.group_of(one) == self.group_of(other)

    @cached_property
    def _depth(self) -> dict[str, int]:
        depth: dict[str, int] = {}
        for task_id in self.order:
            depth[task_id] = max((depth[up] + 1 for up in self._waits_for[task_id]), default=0)
        return depth
