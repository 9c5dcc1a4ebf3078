"""How the planner's answer, in the form of ``proposal_schema``, becomes a plan.

Claude proposes a title, an id, inputs and tasks. What the person gave, now or to the workflow's last plan, is laid
over the proposal and can't be changed by it, see ``given``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, get_args

from chassis.errors import PlanError, PlanFault
from chassis.workflow.field_meaning import fields_set_by, meanings
from chassis.workflow.given import kept_inputs, kept_parts, lay_over, set_by_person
from chassis.workflow.input_values import kind_of, type_fault
from chassis.workflow.names import shown, suggestion
from chassis.workflow.plan_check import check_plan
from chassis.workflow.spec import SCHEMA_VERSION, InputType, TaskSpec, WorkflowSpec

if TYPE_CHECKING:
    from pydantic import JsonValue

    from chassis.workflow.given import Given

_PLAN_KEYS = fields_set_by(WorkflowSpec, "planner")
_TASK_KEYS = fields_set_by(TaskSpec, "planner")


def plan_from_proposal(proposal: Any, given: Given, head: WorkflowSpec | None = None) -> dict[str, Any]:
    """The plan that a proposal comes to, for ``check_plan`` to check.

    What the person gave is laid over it; what was given to the workflow's last plan stays where it isn't given anew.

    :param head: the workflow's last plan; None when there is none
    :raises PlanError: the proposal can't become a plan; what else ``check_plan`` would find is listed, too
    """
    reader = AnswerReader(given, head)
    if not isinstance(proposal, dict):
        message = f"must be a mapping with title, id, inputs and tasks, not {kind_of(proposal)}"
        raise PlanError([PlanFault("wrong_type", "the plan", message)])
    reader.refuse_keys(proposal, _PLAN_KEYS, "the plan")
    plan: dict[str, Any] = {"schema_version": SCHEMA_VERSION, "requirement": given.requirement}
    plan |= {name: proposal[name] for name in ("title", "id") if name in proposal}
    if given.workflow_id is not None:
        plan["id"] = given.workflow_id
    plan["inputs"] = reader.inputs(proposal.get("inputs", []))
    reader.lay_over(plan["inputs"])
    if "tasks" in proposal:
        plan["tasks"] = _tasks(reader, proposal["tasks"])
    return reader.checked(lay_over(plan | kept_parts(head), given))


def _tasks(reader: AnswerReader, proposed: Any) -> Any:
    if not isinstance(proposed, list):
        return proposed
    return [
        reader.task(task, index) if isinstance(task, dict) else task for index, task in enumerate(proposed)
    ]


class AnswerReader:
    """Brings inputs and tasks of an answer into a plan's form. What can't be brought over becomes a fault."""

    def __init__(self, given: Given, head: WorkflowSpec | None) -> None:
        self.given = given
        self.kept = kept_inputs(given, head)
        self.set_by_person = {task.id: set_by_person(task) for task in (head.tasks if head else ())}
        self.faults: list[PlanFault] = []

    def checked(self, plan: dict[str, Any]) -> dict[str, Any]:
        """The plan.

        :raises PlanError: there were faults; what else ``check_plan`` would find is listed, too
        """
        if self.faults:
            raise PlanError([*self.faults, *_faults(plan)])
        return plan

    def inputs(self, proposed: Any) -> Any:
        """The inputs by name; what is no list is left as it is."""
        if not isinstance(proposed, list):
            return proposed
        inputs: dict[str, Any] = {}
        for index, entry in enumerate(proposed):
            if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
                self.fault("wrong_type", f"inputs[{index}]", "must be a mapping with a name")
                continue
            name = entry["name"]
            if name in inputs:
                self.fault("duplicate_id", f"inputs[{index}]", f"the name {shown(name)} is there twice")
            inputs[name] = {key: value for key, value in entry.items() if key != "name" and value is not None}
        return inputs

    def lay_over(self, inputs: Any) -> None:
        """Put the values that people gave into the inputs by name: those that were kept, where they still fit."""
        if not isinstance(inputs, dict):
            return
        for name, value in self.kept.items():
            type_ = inputs.get(name, {}).get("type")
            if type_ in get_args(InputType) and type_fault(value, type_) is None:
                inputs[name] |= {"default": value, "given": True}
        for name, value in self.given.inputs.items():
            if value is not None:
                self._lay_over(inputs, name, value)

    def _lay_over(self, inputs: dict[str, Any], name: str, value: JsonValue) -> None:
        if name not in inputs:
            message = f"the person gave the input {shown(name)}, which the plan doesn't declare; declare it"
            self.fault("unknown_given_input", "inputs", message)
        elif (type_ := inputs[name].get("type")) in get_args(InputType) and (
            wrong := type_fault(value, type_)
        ):
            message = f"is given by the person and {wrong}; declare it with the type of what was given"
            self.fault("given_input_type", f"input {shown(name)}", message)
        else:
            inputs[name] |= {"default": value, "given": True}

    def task(self, proposed: dict[str, Any], index: int) -> dict[str, Any]:
        """One task."""
        task_id = proposed.get("id")
        where = f"task {shown(task_id)}" if isinstance(task_id, str) else f"tasks[{index}]"
        self.refuse_keys(proposed, _TASK_KEYS, where)
        task = dict(self.set_by_person.get(task_id, {})) if isinstance(task_id, str) else {}
        for key, value in proposed.items():
            if key in _TASK_KEYS and isinstance(value, str) and meanings(TaskSpec)[key].json_text:
                try:
                    value = json.loads(value)
                except (ValueError, RecursionError) as error:
                    self.fault(f"bad_{key}", where, f"{key} is not valid JSON text: {error}")
                    continue
            if key in _TASK_KEYS and value is not None:
                task[key] = value
        return task

    def refuse_keys(self, proposed: dict[str, Any], known: frozenset[str], where: str) -> None:
        """A fault for each key that isn't known."""
        for key in proposed:
            if key not in known:
                message = f"{shown(str(key))} is not a valid key of a proposal{suggestion(str(key), known)}"
                self.fault("unknown_key", where, message)

    def fault(self, code: str, where: str, message: str) -> None:
        """Note what is wrong."""
        self.faults.append(PlanFault(code, where, message))


def _faults(plan: dict[str, Any]) -> tuple[PlanFault, ...]:
    try:
        check_plan(plan)
    except PlanError as error:
        return error.faults
    return ()
