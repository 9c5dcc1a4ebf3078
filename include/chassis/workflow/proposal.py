"""The planner's answer: the schema that Claude answers in, and how the answer becomes a plan.

Claude proposes a title, an id, inputs and tasks. What the person gave, now or to the workflow's last plan, is laid
over the proposal and can't be changed by it, see ``given``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, get_args

from chassis.errors import DefinitionError, PlanError, PlanFault
from chassis.workflow.given import ONLY_OF_PLANS, Given, kept_inputs, kept_parts, lay_over
from chassis.workflow.input_values import kind_of, type_fault
from chassis.workflow.names import shown, suggestion
from chassis.workflow.plan_check import check_plan
from chassis.workflow.spec import SCHEMA_VERSION, InputType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import JsonValue

    from chassis.workflow.spec import WorkflowSpec


def proposal_schema(agents: Sequence[str]) -> dict[str, Any]:
    """The JSON schema of the planner's answer, within what constrained decoding can follow.

    No key is free (inputs are a list), nothing is recursive, and an ``output_schema`` travels as JSON text,
    since a schema that describes any schema would be neither. Counts and sizes are left to ``check_plan``,
    whose messages go back to Claude.

    :param agents: names of the agents that tasks may name
    :raises DefinitionError: there are none
    """
    if not agents:
        message = "There is no agent that a plan could give its tasks to."
        raise DefinitionError(message, hint="Add an agent file besides the planner's.")
    return object_schema(
        {
            "title": text_schema("What the workflow does, in one line."),
            "id": text_schema(
                "Of the workflow: a lower-case letter, then a-z, 0-9 and _. For example add_pet_insurance."
            ),
            "inputs": {
                "type": "array",
                "description": "What may differ from run to run. Empty when nothing does.",
                "items": input_schema(),
            },
            "tasks": {
                "type": "array",
                "description": "The tasks, in any order.",
                "items": task_schema(agents),
            },
        }
    )


def input_schema() -> dict[str, Any]:
    """The schema of one input in the planner's answer."""
    return object_schema(
        {
            "name": text_schema("A lower-case letter, then a-z, 0-9 and _."),
            "type": {
                "type": "string",
                "enum": list(get_args(InputType)),
                "description": "array: a list of strings.",
            },
            "default": {
                "description": "The value that the requirement names; null when it names none.",
                "anyOf": [
                    *({"type": type_} for type_ in ("string", "number", "boolean")),
                    {"type": "array", "items": {"type": "string"}},
                    {"type": "null"},
                ],
            },
            "description": text_schema("One line for the person who fills in the form."),
        },
        optional=("default", "description"),
    )


def task_schema(agents: Sequence[str]) -> dict[str, Any]:
    """The schema of one task in the planner's answer."""
    return object_schema(
        {
            "id": text_schema("A lower-case letter, then a-z, 0-9 and single _. For example update_service."),
            "name": text_schema("A few words for people."),
            "instruction": text_schema(
                "What to do, complete on its own. {name} of an input, and {item} under for_each, is replaced."
            ),
            "agent": {"type": "string", "enum": list(agents), "description": "The agent that does it."},
            "depends_on": {
                "type": "array",
                "description": "Ids of the tasks whose results this task needs or must wait for.",
                "items": {"type": "string"},
            },
            "for_each": {
                "description": "What it is done for, item by item, side by side; null for a task done once.",
                "anyOf": [
                    object_schema({"items": {"type": "array", "items": {"type": "string"}}}),
                    object_schema({"input": text_schema("Name of an array input that has the items.")}),
                    object_schema(
                        {
                            "output_of": text_schema(
                                "Id of an upstream task, itself without for_each, whose output has them."
                            ),
                            "path": text_schema(
                                "Where in that output the list of strings is, dotted; empty: it is the list."
                            ),
                        }
                    ),
                    object_schema(
                        {
                            "same_as": text_schema(
                                "Id of the task whose items to go through, step by step with it."
                            )
                        }
                    ),
                    {"type": "null"},
                ],
            },
            "output_schema": {
                "description": "A JSON schema of the task's output, as JSON text; null for Markdown.",
                "anyOf": [{"type": "string"}, {"type": "null"}],
            },
        },
        optional=("for_each", "output_schema"),
    )


def object_schema(properties: dict[str, Any], *, optional: Sequence[str] = ()) -> dict[str, Any]:
    """The schema of an object with these keys and no other."""
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


def text_schema(description: str) -> dict[str, Any]:
    """The schema of a text."""
    return {"type": "string", "description": description}


_PROPOSAL_KEYS = frozenset({"title", "id", "inputs", "tasks"})
_TASK_KEYS = frozenset(task_schema([])["properties"])


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
    reader.refuse_keys(proposal, _PROPOSAL_KEYS, "the plan")
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
        self.set_by_people = (
            {}
            if head is None
            else {
                task.id: task.model_dump(mode="json", include=set(ONLY_OF_PLANS), exclude_defaults=True)
                for task in head.tasks
            }
        )
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
        set_by_people = self.set_by_people.get(task_id, {}) if isinstance(task_id, str) else {}
        told = {key: value for key, value in proposed.items() if value is not None and key in _TASK_KEYS}
        task = set_by_people | told
        if isinstance(text := task.get("output_schema"), str):
            del task["output_schema"]
            try:
                schema = json.loads(text)
            except (ValueError, RecursionError) as error:
                self.fault("bad_output_schema", where, f"output_schema is not valid JSON text: {error}")
            else:
                task |= {"output_schema": schema} if schema is not None else {}
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
