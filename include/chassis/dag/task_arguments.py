"""Checks a DAG author's arguments for a Claude task against the rules of a plan's tasks, when the DAG is parsed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk import XComArg
from airflow.sdk.definitions._internal.types import ArgNotSet
from pydantic import BaseModel
from pydantic.errors import PydanticUserError

from chassis.errors import PlanError, PlanFault
from chassis.workflow import check_plan
from chassis.workflow.input_values import kind_of
from chassis.workflow.names import nearest, shown, suggestion
from chassis.workflow.placeholders import ITEM, placeholders

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_HINT = "Correct the DAG's file."
_TEMPLATES = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
_STAND_IN = "x"
_OF_A_TASK = ("agent", "model", "effort", "thinking")


def check_arguments(
    task_id: str, given: Mapping[str, Any], *, params: Collection[str] = (), mapped: bool = False
) -> None:
    """Refuse arguments that can't work, all faults at once. What another task returns is known only at run time.

    :param given: the operator's own arguments that the author set, by name
    :param params: names of the run's params
    :param mapped: whether further arguments come by ``.expand()``
    :raises PlanError: lists what is wrong
    """
    faults = [*_plan_faults(given), *_input_faults(given, params), *_placeholder_faults(given, mapped=mapped)]
    if faults:
        raise PlanError(faults, subject=f"Task '{task_id}'", hint=_HINT)


def check_instruction(task_id: str, instruction: Any) -> None:
    """Refuse an instruction that a run made from a template, another task's result, or a function.

    :raises PlanError: it isn't text, or is blank or too long
    """
    faults = list(_plan_faults({"instruction": instruction}))
    if faults:
        raise PlanError(faults, subject=f"Task '{task_id}'", hint="Correct what the instruction is made of.")


def schema_of(output_schema: Any) -> Any:
    """A JSON schema: the given one, or that of a pydantic model.

    :raises PydanticUserError: the model has none
    """
    if isinstance(output_schema, type) and issubclass(output_schema, BaseModel):
        return output_schema.model_json_schema()
    return output_schema


def _plan_faults(given: Mapping[str, Any]) -> Iterator[PlanFault]:
    task: dict[str, Any] = {"id": _STAND_IN, "name": _STAND_IN, "instruction": _STAND_IN}
    task |= {name: given[name] for name in _OF_A_TASK if given.get(name) is not None}
    instruction = given.get("instruction")
    if isinstance(instruction, str):
        task["instruction"] = _without_templates(instruction).replace("{", "(") or _STAND_IN
        if not instruction.strip():
            task["instruction"] = instruction
    elif "instruction" in given and not isinstance(instruction, XComArg | ArgNotSet):
        task["instruction"] = instruction
    try:
        task["output_schema"] = schema_of(given.get("output_schema"))
    except PydanticUserError as error:
        yield PlanFault("bad_output_schema", "output_schema", f"has no JSON schema: {error.message}")
    limits = given.get("limits")
    if isinstance(limits, BaseModel):
        limits = limits.model_dump(mode="json", exclude_defaults=True)
    plan = {"schema_version": 1, "id": _STAND_IN, "title": _STAND_IN, "requirement": _STAND_IN}
    try:
        check_plan(plan | {"tasks": [task], "limits": {} if limits is None else limits})
    except PlanError as error:
        for fault in error.faults:
            where = "limits" if fault.where.startswith("limits") else "arguments"
            yield PlanFault(fault.code, where, fault.message)
    if isinstance(limits, Mapping) and limits.get("max_minutes") is not None:
        yield PlanFault("limit_of_dag", "limits", "max_minutes is for plans; give the DAG a dagrun_timeout")


def _input_faults(given: Mapping[str, Any], params: Collection[str]) -> Iterator[PlanFault]:
    inputs = given.get("inputs")
    if inputs is None or isinstance(inputs, XComArg):
        return
    if not isinstance(inputs, Mapping | list | tuple):
        message = f"must be a dict of values, or a list of names of params, not {kind_of(inputs)}"
        yield PlanFault("wrong_type", "inputs", message)
        return
    for name in inputs:
        if not isinstance(name, str):
            yield PlanFault("wrong_type", "inputs", f"has a name that must be text, not {kind_of(name)}")
        elif name == ITEM:
            message = "has the name 'item', which stands for the item of a mapped task"
            yield PlanFault("bad_id", "inputs", message)
        elif not isinstance(inputs, Mapping) and name not in params:
            message = f"names the param {shown(name)}, which the DAG doesn't have{suggestion(name, params)}"
            yield PlanFault("unknown_input", "inputs", message)


def _placeholder_faults(given: Mapping[str, Any], *, mapped: bool) -> Iterator[PlanFault]:
    instruction, inputs = given.get("instruction"), given.get("inputs") or ()
    if not isinstance(instruction, str) or not isinstance(inputs, Mapping | list | tuple):
        return
    if mapped and "inputs" not in given:
        return  # They may come by expand().
    known = {name for name in inputs if isinstance(name, str)}
    known |= {ITEM} if mapped or given.get("item") is not None else set()
    for name in placeholders(_without_templates(instruction)):
        if name in known:
            continue
        way_out = f"give it in inputs, or write <{name}> for plain text"
        if name == ITEM:
            way_out = "map the task with .expand(item=[...])"
        elif near := nearest(name, known):
            way_out = f"did you mean {{{near}}}?"
        message = f"has {{{name}}}, which has no value; {way_out}"
        yield PlanFault("unknown_placeholder", "instruction", message)


def _without_templates(instruction: str) -> str:
    return _TEMPLATES.sub("", instruction)
