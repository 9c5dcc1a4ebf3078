"""The tasks of a workflow as the command line shows them: from a plan, or from Airflow's DAG of it.

The plan knows more (the items before they run, in the plan's own order), but a plan store may be out of this
machine's reach; Airflow's API always has the DAG.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from chassis.workflow import ForEach, WorkflowSpec

_HELPER = "__items"  # after the id of a plan's task, in the id of the task that finds its items


@dataclass(frozen=True)
class TaskShape:
    """One task.

    :ivar for_each: what it is repeated for, in words; empty for a task that isn't mapped
    :ivar items: the items where they are known beforehand, else None
    :ivar group: the same for tasks that are steps for the same items; None for a task that isn't mapped
    """

    id: str
    name: str
    depends_on: tuple[str, ...]
    for_each: str = ""
    items: tuple[str, ...] | None = None
    group: str | None = None


@dataclass(frozen=True)
class Shape:
    """The tasks of a workflow in the order to show them, and the plan's revision where it is known."""

    tasks: tuple[TaskShape, ...]
    revision: int | None


def shape_of_plan(spec: WorkflowSpec, revision: int | None, inputs: Mapping[str, Any]) -> Shape:
    """The tasks of a plan.

    :param inputs: inputs of the run, which win over the plan's defaults
    """
    from chassis.workflow import TaskGraph

    graph = TaskGraph(spec.tasks)
    values = {name: each.default for name, each in spec.inputs.items()} | dict(inputs)
    shapes = []
    for task_id in graph.order:
        task, source = graph.tasks[task_id], graph.items(task_id)
        shapes.append(
            TaskShape(
                id=task_id,
                name=task.name,
                depends_on=task.depends_on,
                for_each=_in_words(task.for_each) if task.for_each else "",
                items=source.known(values) if source else None,
                group=source.root if source else None,
            )
        )
    return Shape(tuple(shapes), revision)


def shape_of_dag(tasks: Iterable[Mapping[str, Any]], revision: int | None) -> Shape:
    """The tasks of a DAG, as Airflow's API lists them."""
    found = {task["task_id"]: task for task in tasks}
    own = {task_id: task for task_id, task in found.items() if not _is_helper(task_id, found)}
    upstream: dict[str, list[str]] = {task_id: [] for task_id in own}
    for task_id, task in own.items():
        for follower in task["downstream_task_ids"]:
            if follower in upstream:
                upstream[follower].append(task_id)
    shapes = {
        task_id: TaskShape(
            id=task_id,
            name=task["task_display_name"],
            depends_on=tuple(sorted(upstream[task_id])),
            for_each="each item" if task["is_mapped"] else "",
            # Airflow doesn't tell which tasks share their items: mapped ones are taken to go place by place.
            group="mapped" if task["is_mapped"] else None,
        )
        for task_id, task in own.items()
    }
    return Shape(tuple(shapes[task_id] for task_id in _ordered(upstream)), revision)


def _is_helper(task_id: str, others: Mapping[str, Any]) -> bool:
    """Whether Chassis added the task. In a hand-written DAG, Airflow itself gives ids such as ``ask__1``."""
    return task_id.endswith(_HELPER) and task_id.removesuffix(_HELPER) in others


def revision_of_tags(dag: Mapping[str, Any]) -> int | None:
    """The plan's revision that a DAG's tags name; None when they don't."""
    for tag in dag["tags"]:
        kind, _, number = tag["name"].partition(":")
        if kind == "revision" and number.isdecimal():
            return int(number)
    return None


def _in_words(source: ForEach) -> str:
    if source.items is not None:
        return ", ".join(source.items)
    if source.input is not None:
        return f"input {source.input}"
    if source.output_of is not None:
        return f"output of {source.output_of}"
    return f"same as {source.same_as}"


def _ordered(upstream: Mapping[str, list[str]]) -> list[str]:
    """Each task after those it depends on, else by name. Airflow's DAGs have no cycles."""
    order: list[str] = []
    left = sorted(upstream)
    while left:
        ready = [task_id for task_id in left if all(other in order for other in upstream[task_id])]
        order += ready
        left = [task_id for task_id in left if task_id not in ready]
    return order
