"""Translates pydantic's errors into the plan's words: the place, the fault, the fix."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from chassis.errors import PlanFault
from chassis.workflow.field_meaning import meanings, part_type
from chassis.workflow.input_values import kind_of
from chassis.workflow.names import nearest, shown, suggestion
from chassis.workflow.spec import ForEach, InputSpec, SpendLimits, TaskSpec, WorkflowSpec

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic_core import ErrorDetails

_WANTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}
"""The expected type of a value, by pydantic's name for the error."""

_MODELS = {
    name: part for name, field in WorkflowSpec.model_fields.items() if (part := part_type(field)) is not None
}

_SHOWN_KEYS = 10

Loc = tuple[int | str, ...]
"""Keys and indexes that lead to a value."""


def fault_of(error: ErrorDetails, data: Any, *, root: type[BaseModel] = WorkflowSpec) -> PlanFault:
    """The fault for an error of pydantic.

    :param data: the plan with the error, for the id of the task
    :param root: the model that checked the plan
    """
    if error["type"] in ("missing", "extra_forbidden"):
        where, rest, model = _place(error["loc"], data, root)
        code, what = in_words(error, rest, model)
        return PlanFault(code, where, what)
    return fault_at(error["loc"], *_what(error), data, root=root)


def fault_at(loc: Loc, code: str, what: str, data: Any, *, root: type[BaseModel] = WorkflowSpec) -> PlanFault:
    """The fault of a value; ``what`` reads on after its name."""
    where, rest, _ = _place(loc, data, root)
    if where == "the plan" and rest:
        where, rest = dotted(rest), ()
    return PlanFault(code, where, f"{dotted(rest)} {what}".strip())


def in_words(error: ErrorDetails, loc: Loc, model: type[BaseModel]) -> tuple[str, str]:
    """The code of an error of pydantic, and a sentence that begins with the field.

    :param loc: the path to the value from where the reader is told to look
    :param model: the model that has the last key
    """
    if error["type"] == "missing":
        return "missing", f"{dotted(loc)} is missing{_way_out('missing', None, loc)}"
    if error["type"] == "extra_forbidden":
        key = str(loc[-1])
        holder = f" of {dotted(loc[:-1])}" if loc[:-1] else ""
        return "unknown_key", f"{shown(key)} is not a valid key{holder}{suggestion(key, model.model_fields)}"
    code, what = _what(error)
    return code, f"{dotted(loc)} {what}".strip()


def _place(loc: Loc, data: Any, root: type[BaseModel]) -> tuple[str, Loc, type[BaseModel]]:
    """Where an error is in the plan's words, the path from there, and the model that has the last key."""
    match loc:
        case ("tasks", int(index), *rest):
            task = data["tasks"][index]
            task_id = task.get("id") if isinstance(task, dict) else None
            named = isinstance(task_id, str) and rest[:1] != ["id"]
            model: type[BaseModel] = ForEach if len(rest) > 1 and rest[0] == "for_each" else TaskSpec
            return f"task {shown(str(task_id))}" if named else f"tasks[{index}]", tuple(rest), model
        case ("inputs", str(name), *rest):
            return f"input {shown(name)}", tuple(rest), InputSpec
        case ("limits", "per_task", str(name)):
            return "limits.per_task", (name,), SpendLimits
        case (("schedule" | "limits" | "provenance") as part, *rest):
            return str(part), tuple(rest), _MODELS[str(part)]
    return "the plan", loc, root


def _what(error: ErrorDetails) -> tuple[str, str]:
    kind, value, limits = error["type"], error["input"], error.get("ctx", {})
    if "text" in limits:  # the words of one of Chassis's own validators
        return kind, limits["text"]
    if kind in _WANTED:
        way_out = _way_out(kind, value, error["loc"])
        return "wrong_type", f"must be {_WANTED[kind]}, not {kind_of(value)}{way_out}"
    match kind:
        case "literal_error":
            near = _nearest_choice(value, limits)
            return "not_allowed", f"must be {limits['expected']}, not {kind_of(value)}{near}"
        case "string_too_long":
            most = f"at most {limits['max_length']:,} are allowed"
            return "too_long", f"has {len(value):,} characters, and {most}"
        case "string_too_short":
            return "blank", "must not be blank"
        case "greater_than":
            return "out_of_range", f"must be more than {limits['gt']:g}, not {value}"
        case "greater_than_equal":
            return "out_of_range", f"must be at least {limits['ge']}, not {value}"
        case "less_than_equal":
            return "out_of_range", f"must be at most {limits['le']}, not {value}"
    return kind, error["msg"]


def _way_out(kind: str, value: Any, loc: Loc) -> str:
    if kind == "string_type" and (value is None or isinstance(value, bool)):
        return "; write it in quotes if it is a text"
    if kind == "string_type" and isinstance(value, int | float):
        return f"; write it in quotes: {json.dumps(str(value))}"
    if kind == "tuple_type" and isinstance(value, str):
        return f"; write [{value:.50}]"
    if len(loc) == 2 and loc[0] == "inputs":
        return "; write it like {type: string}"
    known = {**meanings(TaskSpec), **meanings(WorkflowSpec)}
    example = known[str(loc[-1])].example if loc and loc[-1] in known else ""
    return f"; write it like {example}" if example else ""


def _nearest_choice(value: Any, limits: dict[str, Any]) -> str:
    choices = [choice.strip("'") for choice in str(limits["expected"]).replace(" or ", ", ").split(", ")]
    near = nearest(value, choices) if isinstance(value, str) else None
    return f"; did you mean {near!r}?" if near else ""


def dotted(loc: Loc) -> str:
    """A path in a plan as people write it: ``for_each.items[2]``; a very long one is cut."""
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key:.100}" for key in loc[:_SHOWN_KEYS])
    return text.removeprefix(".") + ("…" if len(loc) > _SHOWN_KEYS else "")
