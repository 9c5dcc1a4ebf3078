"""The JSON schemas of the planner's answer: a new plan, or changes to a plan.

They stay within what constrained decoding can follow: no key is free (inputs are a list), nothing is recursive, and
an ``output_schema`` travels as JSON text, because a schema of any schema would break both rules. ``check_plan``
checks counts and sizes, and its messages go back to Claude.

They are part of the prompt: another word, or another order of keys, is another question.
"""

from __future__ import annotations

from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

from chassis.errors import DefinitionError
from chassis.workflow.field_meaning import meanings
from chassis.workflow.spec import ForEach, InputSpec, TaskSpec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import BaseModel

NEW, CHANGED = "new", "changed"
"""How the planner marks a task among its changes."""

_JSON_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean", NoneType: "null"}


def proposal_schema(agents: Sequence[str]) -> dict[str, Any]:
    """The schema of a new plan, whose tasks may name these agents.

    :raises DefinitionError: there are none
    """
    if not agents:
        message = "There is no agent that a plan could give its tasks to."
        raise DefinitionError(message, hint="Add an agent file besides the planner's.")
    return _object(
        {
            "title": _text("What the workflow does, in one line."),
            "id": _text(
                "Of the workflow: a lower-case letter, then a-z, 0-9 and _. For example add_pet_insurance."
            ),
            "inputs": _list("What may differ from run to run. Empty when nothing does.", _input()),
            "tasks": _list("The tasks, in any order.", _task(agents)),
        }
    )


def delta_schema(agents: Sequence[str]) -> dict[str, Any]:
    """The schema of the planner's changes to a plan, whose tasks may name these agents."""
    change = {
        "type": "string",
        "enum": [NEW, CHANGED],
        "description": "changed: a task of this id is in the current plan, and this one takes its place.",
    }
    return _object(
        {
            "title": _text("What the workflow does, in one line; the current one when it still fits."),
            "inputs": _list("Inputs that are new or changed, in full. The others stay.", _input()),
            "removed_inputs": _list("Names of inputs that are not needed any more.", _NAME),
            "tasks": _list(
                "Tasks that are new or changed, each in full. The others stay as they are.",
                _task(agents, change=change),
            ),
            "removed": _list("Ids of tasks that are not to be done any more.", _NAME),
        }
    )


def _input() -> dict[str, Any]:
    return _planned(InputSpec, name=_text("A lower-case letter, then a-z, 0-9 and _."))


def _task(agents: Sequence[str], **first: Any) -> dict[str, Any]:
    schema = _planned(TaskSpec, **first)
    agent = schema["properties"]["agent"]
    schema["properties"]["agent"] = {"type": "string", "enum": list(agents)} | agent
    return schema


def _planned(model: type[BaseModel], **first: Any) -> dict[str, Any]:
    """The schema of the fields that the planner sets, optional ones last; those in ``first`` come before."""
    planned = {name: means for name, means in meanings(model).items() if means.set_by == "planner"}
    ordered = sorted(planned, key=lambda name: planned[name].optional)
    return _object(
        first | {name: _field(model, name) for name in ordered},
        optional=[name for name in ordered if planned[name].optional],
    )


def _field(model: type[BaseModel], name: str) -> dict[str, Any]:
    field, means = model.model_fields[name], meanings(model)[name]
    if means.schema is not None:
        return dict(means.schema)
    if field.annotation == ForEach | None:
        sources = [_object({each: _source(each) for each in names}) for names in ForEach.SOURCES]
        return {"description": field.description, "anyOf": [*sources, {"type": "null"}]}
    return _typed(field.annotation, field.description)


def _source(name: str) -> dict[str, Any]:
    field, means = ForEach.model_fields[name], meanings(ForEach)[name]
    return dict(means.schema) if means.schema is not None else _text(field.description or "")


def _typed(kind: Any, description: str | None = None) -> dict[str, Any]:
    told = {"description": description} if description else {}
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _typed(arguments[0], description)
    if origin is Literal:
        return {"type": "string", "enum": list(arguments)} | told
    if origin is tuple:
        return {"type": "array"} | told | {"items": _typed(arguments[0])}
    if NoneType in arguments:
        return told | {"anyOf": [_typed(each) for each in arguments]}
    return {"type": _JSON_TYPES[kind]} | told


def _object(properties: Mapping[str, Any], *, optional: Sequence[str] = ()) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


def _list(description: str, items: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "description": description, "items": items}


def _text(description: str) -> dict[str, Any]:
    return {"type": "string", "description": description}


_NAME = {"type": "string"}
