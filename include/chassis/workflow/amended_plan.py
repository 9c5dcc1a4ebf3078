"""A plan with one task's instruction, and values of inputs, changed: for one rerun, or to be published."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chassis.errors import PlanError, PlanFault
from chassis.workflow.names import shown, suggestion
from chassis.workflow.plan_check import check_plan

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from chassis.workflow.spec import WorkflowSpec

_HINT = "Correct it and send it again; nothing was changed."


def amended_plan(
    spec: WorkflowSpec,
    task_id: str,
    *,
    instruction: str | None,
    inputs: Mapping[str, Any],
    agents: Collection[str] | None = None,
    services: Collection[str] | None = None,
    known_faults: Iterable[PlanFault] = (),
) -> WorkflowSpec:
    """The plan with the new instruction for the task, and the new values as its inputs' defaults.

    :param instruction: None keeps the task's own
    :param inputs: values by name; each must be an input of the plan, of its type
    :param agents: names of the agents that tasks may name; None: any
    :param services: names of the services that lists of services may name; None: any
    :param known_faults: other faults to report with these
    :raises PlanError: lists all faults of the change, and of the plan that it makes
    """
    faults = [*known_faults, *_unknown(spec, task_id, inputs)]
    data = spec.model_dump(mode="json", exclude_defaults=True)
    if instruction is not None:
        for task in data["tasks"]:
            if task["id"] == task_id:
                task["instruction"] = instruction
    for name, value in inputs.items():
        if name in spec.inputs and value is None:
            message = f"must have a value of type {spec.inputs[name].type}, not nothing (null)"
            faults.append(PlanFault("bad_default", f"input {shown(name)}", message))
        elif name in spec.inputs:
            data["inputs"][name] |= {"default": value, "given": True}
    try:
        plan = check_plan(data, agents=agents, services=services)
    except PlanError as error:
        faults += error.faults
    if faults:
        raise PlanError(faults, subject=f"The amendment of task '{task_id}'", hint=_HINT)
    return plan


def _unknown(spec: WorkflowSpec, task_id: str, inputs: Mapping[str, Any]) -> Iterator[PlanFault]:
    tasks = [task.id for task in spec.tasks]
    if task_id not in tasks:
        message = f"is not a task of the plan{suggestion(task_id, tasks)}"
        yield PlanFault("unknown_task", f"task {shown(task_id)}", message)
    for name in inputs:
        if name not in spec.inputs:
            message = f"is not an input of the plan{suggestion(name, spec.inputs)}"
            yield PlanFault("unknown_input", f"input {shown(name)}", message)
