"""Finds outdated results: a task upstream was amended or cleared, gave a new result, and they were not made again.

The board and the command line share this one definition. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from chassis.workflow.names import items_task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from chassis.rerun_scope import Instance


class Ended(Protocol):
    """The part of a task instance that is needed here; ``map_index`` is -1 for a task that isn't mapped."""

    @property
    def task_id(self) -> str: ...
    @property
    def map_index(self) -> int: ...
    @property
    def state(self) -> str | None: ...
    @property
    def start(self) -> datetime | None: ...
    @property
    def end(self) -> datetime | None: ...


def outdated_instances(
    instances: Iterable[Ended],
    depends_on: Mapping[str, Sequence[str]],
    same_items: Callable[[str, str], bool],
) -> frozenset[Instance]:
    """The instances whose success is older than a result that they are based on, however far upstream.

    :param depends_on: each task's dependencies, with every task after those that it depends on
    :param same_items: whether two tasks are steps for the same items, so that each item reads only its own
    """
    by_task: dict[str, list[Ended]] = {}
    for instance in instances:
        by_task.setdefault(instance.task_id, []).append(instance)
    found: set[Instance] = set()
    newest: dict[Instance, datetime | None] = {}  # of an instance and everything that it is based on
    of_task: dict[str, datetime | None] = {}
    for task_id, upstream in depends_on.items():
        helper = items_task(task_id)
        for name in (helper, task_id) if helper in by_task else (task_id,):
            rests_on = () if name == helper else (*upstream, helper)
            for each in by_task.get(name, []):
                at = (name, each.map_index)
                before = _latest(
                    newest.get((other, each.map_index))
                    if each.map_index >= 0 and same_items(other, name)
                    else of_task.get(other)
                    for other in rests_on
                )
                success = each.state == "success"
                if success and before is not None and each.start is not None and before > each.start:
                    found.add(at)
                newest[at] = _latest([before, each.end if success else None])
                of_task[name] = _latest([of_task.get(name), newest[at]])
    return frozenset(found)


def _latest(moments: Iterable[datetime | None]) -> datetime | None:
    return max((each for each in moments if each is not None), default=None)
