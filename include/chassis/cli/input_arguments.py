"""``--input name=TEXT`` and ``--input name:=JSON`` as data.

What is typed is what arrives: ``version=1.10`` is the text 1.10 and ``sha=12e4567`` no number. JSON is asked for by
``:=``. Where the workflow is known, its plan says of which type an input is, and a text is read as that.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chassis.cli.target import connect, is_remote, open_store
from chassis.errors import PlanError, PlanNotFoundError
from chassis.errors.client import UsageError
from chassis.workflow.input_values import type_fault
from chassis.workflow.names import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from chassis.airflow_client import Airflow

_HINT = (
    "Write --input product='pet insurance' for text, "
    '--input \'services:=["pricing","claims"]\' for a list, a number, true or false.'
)
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?")
_LARGEST = 2**63
"""Whole numbers from here on are too large for most of what reads them; as text they arrive unharmed."""


@dataclass(frozen=True)
class Input:
    """One value as it was given.

    :ivar text: whether it was given as text (``=``), not as JSON (``:=``)
    """

    name: str
    value: Any
    text: bool


def parse_inputs(given: Iterable[str]) -> list[Input]:
    """What was given, by the form in which it was given alone.

    :raises UsageError: lists every entry that has no name, or no JSON after ``:=``, and every name that came twice
    """
    found: dict[str, Input] = {}
    faults = []
    for entry in given:
        name, equals, text = entry.partition("=")
        as_json = name.endswith(":")
        name = name.removesuffix(":").strip()
        if not equals or not name:
            faults.append(f"{shown(entry)} is not NAME=TEXT or NAME:=JSON")
        elif name in found:
            faults.append(f"{shown(name)} is given twice")
        else:
            value, fault = _from_json(text) if as_json else (text, "")
            found[name] = Input(name, value, text=not as_json)
            faults += [f"{shown(name)} {fault}"] if fault else []
    _refuse(faults)
    return list(found.values())


def input_values(given: Iterable[Input], types: Mapping[str, str]) -> dict[str, Any]:
    """The values by name. A text whose input has a declared type is read as that type; every other stays text.

    :param types: types by the names of inputs, as far as they are declared: ``string``, ``integer``, ``number``,
        ``boolean`` or ``array``
    :raises UsageError: lists every text that can't be read as its input's type
    """
    values, faults = {}, []
    for each in given:
        type_ = types.get(each.name, "string")
        values[each.name] = _read_as(type_, each.value) if each.text else each.value
        if each.text and (fault := type_fault(values[each.name], type_)):
            faults.append(f"{shown(each.name)} {fault}")
    _refuse(faults)
    return values


def looks_like_json(given: Iterable[Input]) -> list[str]:
    """Names of the texts that are a JSON list or mapping: perhaps ``:=`` was meant."""
    return [each.name for each in given if each.text and _is_collection(each.value)]


def declared_types(home: Path, workflow_id: str) -> dict[str, str]:
    """Types by name of the inputs of a workflow's newest plan; none where there is no such plan, or it is broken."""
    if not workflow_id:
        return {}
    if is_remote():
        with connect(home).airflow as airflow:
            return types_of_dag(airflow, workflow_id)
    try:
        store = open_store(home)
        spec = store.read(store.get(workflow_id))
    except (PlanError, PlanNotFoundError):
        return {}
    return {name: given.type for name, given in spec.inputs.items()}


def types_of_dag(airflow: Airflow, dag_id: str) -> dict[str, str]:
    """Types by name of a DAG's params, as Airflow has them; none where there is no such DAG."""
    types = {name: (param.get("schema") or {}).get("type") for name, param in airflow.params(dag_id).items()}
    return {name: kind for name, kind in types.items() if isinstance(kind, str)}


def _is_collection(text: str) -> bool:
    if text.lstrip()[:1] not in ("[", "{"):
        return False
    try:
        return isinstance(json.loads(text), list | dict)
    except (ValueError, RecursionError):
        return False


def _read_as(type_: str, text: str) -> Any:
    """The text as a value of the type, else the text itself, for the type's own rule to refuse."""
    bare = text.strip()
    if type_ == "integer" and _INTEGER.fullmatch(bare):
        return int(bare)
    if type_ == "number" and _NUMBER.fullmatch(bare):
        number = int(bare) if _INTEGER.fullmatch(bare) else float(bare)
        return number if math.isfinite(number) else text
    if type_ == "boolean" and bare.casefold() in ("true", "false"):
        return bare.casefold() == "true"
    if type_ == "array" and bare.startswith("["):
        value, fault = _from_json(bare)
        return text if fault else value
    return text


def _from_json(text: str) -> tuple[Any, str]:
    """The value, and what keeps it from being one of an input: text, a number, true or false, or a list of texts."""
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        return None, "is nested too deeply"
    except ValueError as error:
        return None, f"is not JSON after := ({error})"
    if isinstance(value, list):
        texts = all(isinstance(item, str) for item in value)
        return value, "" if texts else 'must be a list of texts, such as ["1.10","1.11"]'
    if isinstance(value, dict) or value is None:
        return value, "must be text, a number, true, false or a list of texts"
    if (isinstance(value, float) and not math.isfinite(value)) or (
        isinstance(value, int) and abs(value) >= _LARGEST
    ):
        return None, "is a number that is too large; give it as text, with = in place of :="
    return value, ""


def _refuse_constant(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _refuse(faults: list[str]) -> None:
    if faults:
        raise UsageError(f"--input can't be used: {'; '.join(faults)}.", hint=_HINT)
