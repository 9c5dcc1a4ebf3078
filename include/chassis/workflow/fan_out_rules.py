"""Rules of ``for_each``: where a task's items come from, and which tasks may share them.

Tasks that share their items become one mapped task group, in which each item advances by itself. For Airflow, the
group as a whole waits for everything outside that any of its tasks waits for; so nothing in it may wait, through a
task outside, for the group itself.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from chassis.workflow.graph import find_cycles, reachable, share_items
from chassis.workflow.names import shown, suggestion
from chassis.workflow.output_schemas import list_fault

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from chassis.workflow.plan_draft import Draft
    from chassis.workflow.spec import TaskSpec


def source_faults(draft: Draft, task: TaskSpec) -> Iterator[tuple[str, str]]:
    """Faults in where a mapped task gets its items, each as code and message."""
    if task.for_each is None:
        return
    if task.for_each.input is not None:
        yield from _input_faults(draft, task.for_each.input)
    if task.for_each.same_as is not None:
        yield from _same_as_faults(draft, task, task.for_each.same_as)
    if task.for_each.output_of is not None:
        yield from _output_faults(draft, task, task.for_each.output_of, task.for_each.path)


def _input_faults(draft: Draft, name: str) -> Iterator[tuple[str, str]]:
    inputs, says = draft.spec.inputs, f"for_each names the input {shown(name)}"
    if name not in inputs:
        arrays = [other for other, given in inputs.items() if given.type == "array"]
        yield "unknown_input", f"{says}, which does not exist{suggestion(name, arrays)}"
    elif inputs[name].type != "array":
        yield "input_not_array", f"{says}, which is not an array but of type {inputs[name].type}"


def _same_as_faults(draft: Draft, task: TaskSpec, name: str) -> Iterator[tuple[str, str]]:
    roots = [other.id for other in draft.tasks.values() if other.for_each and other.for_each.same_as is None]
    says = f"for_each says same_as {shown(name)}"
    if name == task.id:
        yield "same_as_itself", f"{says}, which is the task itself{suggestion(name, set(roots))}"
    elif name not in draft.tasks:
        yield "unknown_task", f"{says}, which does not exist{suggestion(name, roots)}"
    elif (theirs := draft.tasks[name].for_each) is None:
        yield "same_as_unmapped", f"{says}, which has no for_each{suggestion(name, roots)}"
    elif theirs.same_as is not None:
        root = shown(theirs.same_as)
        message = f"{says}, which has its items from {root} itself; write same_as: {theirs.same_as:.100}"
        yield "same_as_chain", message


def _output_faults(draft: Draft, task: TaskSpec, name: str, path: str) -> Iterator[tuple[str, str]]:
    says = f"for_each takes its items from the output of {shown(name)}"
    if name not in draft.tasks:
        others = draft.tasks.keys() - {task.id}
        yield "unknown_task", f"{says}, which does not exist{suggestion(name, others)}"
        return
    source = draft.tasks[name]
    if name not in reachable(draft.waits_for, task.id):
        yield "items_not_upstream", f"{says}, which it doesn't wait for; add {name} to depends_on"
    if source.for_each is not None:
        yield "nested_for_each", f"{says}, which is mapped itself: a fan-out inside a fan-out isn't possible"
    elif source.output_schema is None:
        message = f"{says}, which has no output_schema and so answers in prose; give it one"
        yield "items_without_schema", message
    elif wrong := list_fault(source.output_schema, path):
        yield "items_no_list", f"{says}, whose output_schema {wrong}"


def waiting_faults(
    tasks: Sequence[TaskSpec], waits_for: Mapping[str, Sequence[str]]
) -> Iterator[tuple[str, str]]:
    """Groups of mapped tasks that wait for themselves: the id of a task of the group, and the message.

    Ignores plans whose tasks already form a cycle.
    """
    if find_cycles(waits_for):
        return
    roots = share_items(tasks)
    mapped = {task_id: root for task_id, root in roots.items() if roots.get(root) == root}
    group = {task_id: mapped.get(task_id, task_id) for task_id in waits_for}
    outer: dict[str, list[str]] = {name: [] for name in group.values()}
    for task_id, ups in waits_for.items():
        outer[group[task_id]] += [group[up] for up in ups if up in group and group[up] != group[task_id]]
    for cycle in find_cycles(outer):
        # One node of the cycle is a group of several tasks; else it would be a cycle of tasks.
        root = next(name for name in cycle if sum(theirs == name for theirs in group.values()) > 1)
        start = cycle.index(root)
        around = [*cycle[start:-1], *cycle[: start + 1]]
        steps = [_edge(group, waits_for, earlier, later) for earlier, later in pairwise(around)]
        chain = ", ".join(f"{later!r} waits for {earlier!r}" for earlier, later in reversed(steps))
        message = (
            f"shares its items with {root!r} and so would wait for itself: {chain}. Tasks that share their "
            "items may not wait for one that joins them; give the later one a for_each of its own"
        )
        yield steps[-1][1], message


def _edge(
    group: Mapping[str, str], waits_for: Mapping[str, Sequence[str]], earlier: str, later: str
) -> tuple[str, str]:
    return next(
        (up, task_id)
        for task_id, ups in waits_for.items()
        if group[task_id] == later
        for up in ups
        if group.get(up) == earlier
    )
