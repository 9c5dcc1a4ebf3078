"""The rules between the parts of a plan. Each finds everything that breaks it and says what is right.

A rule names the parts that it reads. If one of these couldn't be read (``plan_check`` found it faulty by itself), the
rule is skipped: its result might be wrong.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from chassis.errors import PlanFault
from chassis.workflow import fan_out_rules, input_values, output_schemas, service_lists
from chassis.workflow.graph import find_cycles
from chassis.workflow.names import CARRY_OVER, RESERVED_IDS, RESERVED_MARK, is_id, nearest, shown, suggestion
from chassis.workflow.placeholders import ITEM, placeholders
from chassis.workflow.plan_draft import place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chassis.workflow.plan_draft import Draft
    from chassis.workflow.spec import TaskSpec

    TaskRule = Callable[[Draft, TaskSpec], Iterator[tuple[str, str]]]
    Rule = Callable[[Draft], Iterator[PlanFault]]

_ID_RULE = "must be a lower-case letter, then at most 99 of a-z, 0-9 and _"
_RESERVED_TAGS = ("chassis", "plan-error")
_RESERVED_TAG_STARTS = ("plan:", "revision:")


def workflow_id_fault(workflow_id: str) -> str | None:
    """Why a text can't be the id of a workflow; None if it can."""
    if not is_id(workflow_id):
        return f"{shown(workflow_id)} {_ID_RULE}"
    if workflow_id in RESERVED_IDS:
        return f"{workflow_id!r} is the id of a DAG that ships with Chassis; choose another"
    return None


def input_name_fault(name: str) -> str | None:
    """Why a text can't be the name of an input; None if it can."""
    if not is_id(name):
        return f"the name {shown(name)} {_ID_RULE}"
    if name == ITEM:
        return "the name 'item' is taken: {item} stands for the item of a mapped task"
    if name == CARRY_OVER:
        return f"the name {CARRY_OVER!r} is taken: each workflow has a field of this name"
    return None


def _workflow_id(draft: Draft) -> Iterator[PlanFault]:
    if wrong := workflow_id_fault(draft.spec.id):
        yield PlanFault("bad_id", "id", wrong)


def _input_names(draft: Draft) -> Iterator[PlanFault]:
    for name in draft.spec.inputs:
        if wrong := input_name_fault(name):
            yield PlanFault("bad_id", "inputs", wrong)


def _tags(draft: Draft) -> Iterator[PlanFault]:
    for index, tag in enumerate(draft.spec.tags):
        where = f"tags[{index}]"
        if tag in _RESERVED_TAGS or tag.startswith(_RESERVED_TAG_STARTS):
            yield PlanFault("reserved_tag", where, f"{shown(tag)} is a tag that Chassis sets itself")
        if tag in draft.spec.tags[:index]:
            yield PlanFault("duplicate_tag", where, f"{shown(tag)} is there twice")


def _schedule(draft: Draft) -> Iterator[PlanFault]:
    for name, given in draft.spec.inputs.items() if draft.spec.schedule else ():
        if given.default is None:
            message = "has no default, and nobody gives inputs to a scheduled run; give it one"
            yield PlanFault("input_without_default", f"input {shown(name)}", message)


def _default_items(draft: Draft) -> Iterator[PlanFault]:
    for name in dict.fromkeys(task.for_each.input for task in draft.spec.tasks if task.for_each):
        given = draft.spec.inputs.get(name) if name is not None else None
        if given is not None and given.type == "array" and given.default is not None:
            for wrong in input_values.check_items(given.default):
                message = f"default can't be gone through by for_each: {wrong}"
                yield PlanFault("bad_items", f"input {shown(str(name))}", message)


def _task_ids(draft: Draft) -> Iterator[PlanFault]:
    first: dict[str, int] = {}
    for index, task in enumerate(draft.spec.tasks):
        where, named = f"tasks[{index}]", f"id {shown(task.id)}"
        if not is_id(task.id):
            yield PlanFault("bad_id", where, f"{named} {_ID_RULE}")
        elif RESERVED_MARK in task.id:
            message = f"{named} must not have {RESERVED_MARK}, which marks the tasks that Chassis adds"
            yield PlanFault("bad_id", where, message)
        if task.id in first:
            yield PlanFault("duplicate_id", where, f"{named} is the id of tasks[{first[task.id]}], too")
        first.setdefault(task.id, index)


def _cycles(draft: Draft) -> Iterator[PlanFault]:
    # A task that depends on itself is a separate fault.
    others = {name: [up for up in ups if up != name] for name, ups in draft.waits_for.items()}
    for cycle in find_cycles(others):
        message = f"is in a cycle, in which each task waits for the one before: {' -> '.join(cycle)}"
        yield PlanFault("cycle", place(draft.tasks[cycle[0]]), message)


def _services(draft: Draft) -> Iterator[PlanFault]:
    yield from service_lists.service_faults(draft.spec, draft.services or ())


def _own_groups(draft: Draft) -> Iterator[PlanFault]:
    for task_id, message in fan_out_rules.waiting_faults(draft.spec.tasks, draft.waits_for):
        yield PlanFault("waits_for_own_group", place(draft.tasks[task_id]), message)


def _dependencies(draft: Draft, task: TaskSpec) -> Iterator[tuple[str, str]]:
    for index, name in enumerate(task.depends_on):
        if name in task.depends_on[:index]:
            yield "duplicate_dependency", f"depends on {shown(name)} twice"
        elif name == task.id:
            yield "self_dependency", "depends on itself"
        elif name not in draft.tasks:
            near = suggestion(name, draft.tasks.keys() - {task.id})
            yield "unknown_dependency", f"depends on {shown(name)}, which does not exist{near}"


def _placeholders(draft: Draft, task: TaskSpec) -> Iterator[tuple[str, str]]:
    allowed = {*draft.spec.inputs, ITEM} if task.for_each else set(draft.spec.inputs)
    for name in placeholders(task.instruction):
        if name in allowed:
            continue
        if name == ITEM:
            yield (
                "item_without_for_each",
                "instruction has {item}, but the task has no for_each and so no item",
            )
            continue
        near = nearest(name, allowed)
        way_out = (
            f"did you mean {{{near}}}?" if near else f"declare the input, or write <{name}> for plain text"
        )
        yield (
            "unknown_placeholder",
            f"instruction has {{{name}}}, which is not a declared input; {way_out}",
        )


def _agent(draft: Draft, task: TaskSpec) -> Iterator[tuple[str, str]]:
    if draft.agents is not None and task.agent not in draft.agents:
        near = suggestion(task.agent, draft.agents)
        yield "unknown_agent", f"names an agent that doesn't exist: {shown(task.agent)}{near}"


def _output_schema(_: Draft, task: TaskSpec) -> Iterator[tuple[str, str]]:
    for wrong in output_schemas.schema_faults(task.output_schema) if task.output_schema is not None else ():
        yield "bad_output_schema", f"output_schema {wrong}"


def _each_task(rule: TaskRule, draft: Draft) -> Iterator[PlanFault]:
    for task in draft.spec.tasks:
        for code, message in rule(draft, task):
            yield PlanFault(code, place(task), message)


_GRAPH = frozenset({"tasks.id", "tasks.depends_on"})
_ITEMS = _GRAPH | {"inputs", "inputs.type", "tasks.for_each", "tasks.output_schema"}

RULES: tuple[tuple[Rule, frozenset[str]], ...] = (
    (_workflow_id, frozenset({"id"})),
    (_input_names, frozenset({"inputs"})),
    (_tags, frozenset({"tags"})),
    (_schedule, frozenset({"schedule", "inputs", "inputs.default"})),
    (_default_items, frozenset({"inputs", "inputs.type", "inputs.default", "tasks.for_each"})),
    (_task_ids, frozenset({"tasks.id"})),
    (partial(_each_task, _dependencies), _GRAPH),
    (_cycles, _GRAPH),
    (partial(_each_task, _agent), frozenset({"tasks.agent"})),
    (_services, frozenset({"requirement", "tasks.id", "tasks.for_each", "tasks.instruction"})),
    (partial(_each_task, _placeholders), frozenset({"inputs", "tasks.for_each", "tasks.instruction"})),
    (partial(_each_task, _output_schema), frozenset({"tasks.output_schema"})),
    (partial(_each_task, fan_out_rules.source_faults), _ITEMS),
    (_own_groups, _ITEMS),
)
"""Every rule with the parts that it reads."""
