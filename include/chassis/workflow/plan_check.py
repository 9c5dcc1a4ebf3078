"""Checks data of any kind: returns a plan that obeys every rule, or lists all its faults.

The models of ``spec`` check each part by its own rules; then the rules between the parts (``plan_rules``) check what
could be read, so that one wrong field doesn't hide a cycle behind it.
"""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from chassis.errors import PlanError, PlanFault
from chassis.workflow.fault_messages import Loc, fault_at, fault_of
from chassis.workflow.input_values import kind_of
from chassis.workflow.names import nearest
from chassis.workflow.plan_draft import Draft
from chassis.workflow.plan_rules import RULES
from chassis.workflow.spec import SCHEMA_VERSION, InputSpec, TaskSpec, WorkflowSpec
from chassis.workflow.yaml_text import MAX_DEPTH, MAX_FAULTS, MAX_TEXT, WrittenFloat, write_yaml

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

MAX_VALUES = 200_000
"""Single values in one plan; a text of the maximum size has no more."""

MAX_NUMBER = 2**53
"""Beyond it, a JSON reader (a browser, for one) returns another number than was written."""

HINT = "Correct the plan and try again; chassis validate FILE checks it without running anything."
_GROWTH = 5
"""Maximum bytes of YAML for one byte of ASCII JSON, except for very deep schemas: a line feed (two bytes of JSON)
reaches it by its indentation. Writing a plan only to measure it takes ten times as long as reading it.
"""
_PASSES = 5
"""Rounds of setting aside what is faulty and reading the rest again."""

_STAND_INS: dict[str, Any] = {
    "schema_version": SCHEMA_VERSION,
    "id": "unnamed",
    "title": "-",
    "requirement": "-",
    "tasks": [{"id": "unnamed", "name": "-", "instruction": "-"}],
    "name": "-",
    "instruction": "-",
    "type": "string",
}
"""Stand-ins for required fields that can't be used, while the rest of the plan is checked."""

_TASK_PARTS = frozenset(f"tasks.{name}" for name in TaskSpec.model_fields)
_NUMBERS = (int, float, WrittenFloat)
_INPUT_PARTS = frozenset({"inputs", "inputs.type", "inputs.default"})


def check_plan(
    data: Any,
    *,
    agents: Collection[str] | None = None,
    services: Collection[str] | None = None,
    subject: str = "The plan",
) -> WorkflowSpec:
    """The plan that some data (from YAML, JSON or Python) describes. Doesn't change the data.

    :param agents: names of the agents that tasks may name; None: any
    :param services: names of the services that lists of services may name; None: any
    :param subject: what the error calls the plan
    :raises PlanError: lists all faults, each with its task and, if there is one, the nearest right name
    """
    copier = _Copier(data)
    data = copier.copy(data, ())
    if copier.faults:
        raise PlanError(copier.faults[:MAX_FAULTS], subject=subject, hint=HINT)
    faults: list[PlanFault] = []
    damaged: set[str] = set()
    spec = None
    for _ in range(_PASSES):
        try:
            spec = WorkflowSpec.model_validate(data)
            break
        except ValidationError as error:
            errors = error.errors(include_url=False)
            faults += [fault_of(each, data) for each in errors[: MAX_FAULTS + 1]]
            if not isinstance(data, dict) or len(faults) > MAX_FAULTS:
                break
            # From the back, as tasks may be taken out; and the content of a part before the part as a whole.
            inside = [each for each in errors if len(each["loc"]) > 1]
            for each in [*reversed(inside), *(each for each in errors if len(each["loc"]) <= 1)]:
                damaged |= _set_aside(data, each["loc"], each["type"])
    if spec is not None:
        draft = Draft(spec, agents, services)
        found = (fault for rule, reads in RULES if not reads & damaged for fault in rule(draft))
        faults += islice(found, MAX_FAULTS + 1)
    if spec is not None and not faults:
        faults += _too_big(spec)
    if faults:
        raise PlanError(_first(faults), subject=subject, hint=HINT)
    assert spec is not None, "no spec without a fault"
    return spec


def _too_big(spec: WorkflowSpec) -> Iterator[PlanFault]:
    """A plan whose text no reader would accept: it could be published, but never read again."""
    text = spec.model_dump_json(exclude_defaults=True)
    at_least = len(text) if text.isascii() else len(json.dumps(text))
    if at_least * _GROWTH > MAX_TEXT:
        yield from size_faults(write_yaml(spec.model_dump(mode="json", exclude_defaults=True)))


def size_faults(text: str) -> Iterator[PlanFault]:
    """Why the text of a plan could not be read again."""
    size = len(text.encode())
    if size > MAX_TEXT:
        message = f"has {size:,} bytes as YAML, and at most {MAX_TEXT:,} are allowed; shorten its texts"
        yield PlanFault("too_big", "the plan", message)


def _first(faults: list[PlanFault]) -> list[PlanFault]:
    unique = list(dict.fromkeys(faults))
    if len(unique) <= MAX_FAULTS:
        return unique
    more = PlanFault("more_faults", "the plan", f"has more faults; these are the first {MAX_FAULTS}")
    return [*unique[:MAX_FAULTS], more]


def unwritable(value: Any) -> str | None:
    """Why a text, a number or a list of them can't be written into a plan; None if it can."""
    if isinstance(value, list | tuple):
        return next((wrong for part in value if (wrong := unwritable(part))), None)
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return "has half of a character (a lone surrogate), which no file can hold"
    elif isinstance(value, int | float) and not -MAX_NUMBER <= value <= MAX_NUMBER:
        quotes = (
            f"; a text goes in quotes: {json.dumps(str(value))}" if isinstance(value, WrittenFloat) else ""
        )
        return f"must be between -2^53 and 2^53, not {value!r:.50}{quotes}"
    return None


class _Copier:
    """Copies data of JSON's types and reports anything else, before other code has to deal with it."""

    def __init__(self, data: Any) -> None:
        self.data = data
        self.faults: list[PlanFault] = []
        self.count = 0

    def copy(self, value: Any, loc: Loc) -> Any:
        self.count += 1
        if self.count > MAX_VALUES:
            if self.count == MAX_VALUES + 1:
                self._fault("too_big", (), f"has more than {MAX_VALUES:,} values")
            return None
        if len(loc) >= MAX_DEPTH:
            return self._fault("too_deep", loc, f"is more than {MAX_DEPTH} levels deep")
        if isinstance(value, dict):
            found = islice(value.items(), MAX_VALUES)
            return {self._text(key, loc): self.copy(inner, (*loc, str(key))) for key, inner in found}
        if isinstance(value, list | tuple):
            items = islice(enumerate(value), MAX_VALUES)
            return [self.copy(item, (*loc, index)) for index, item in items]
        if isinstance(value, str):
            return self._text(value, loc)
        if type(value) in _NUMBERS and (wrong := unwritable(value)):
            return self._fault("bad_number", loc, wrong)
        if value is None or isinstance(value, bool) or type(value) in _NUMBERS:
            return value
        return self._fault(
            "not_plain", loc, f"must be text, a number, a list or a mapping, not {kind_of(value)}"
        )

    def _text(self, text: Any, loc: Loc) -> str:
        if type(text) is not str:
            self._fault("not_plain", loc, f"has a key that must be text, not {kind_of(text)}")
            return ""
        if wrong := unwritable(text):
            self._fault("not_text", loc, wrong)
        return text

    def _fault(self, code: str, loc: Loc, message: str) -> None:
        self.faults.append(fault_at(loc, code, message, self.data))


def _set_aside(data: dict[str, Any], loc: Loc, kind: str) -> frozenset[str]:
    """Take what is faulty out of the plan, so that the rest can be read; returns the affected parts."""
    extra = kind == "extra_forbidden"
    match loc:
        case ("tasks", int(index), field, *_) if isinstance(field, str):
            task = data["tasks"][index]
            if extra and len(loc) == 3:
                del task[field]
                near = nearest(field, TaskSpec.model_fields)
                return frozenset({f"tasks.{near}"} if near else ())
            if field == "id":
                task["id"] = f"unnamed_{index}"
            else:
                _replace(task, field)
            return frozenset({f"tasks.{field}"})
        case ("tasks", int(index)):
            del data["tasks"][index]
            return _TASK_PARTS
        case ("inputs", str(name), *rest):
            return _set_input_aside(data["inputs"], name, rest, extra=extra)
        case (str(field), *_):
            if extra and len(loc) == 1:
                del data[field]
                field = nearest(field, WorkflowSpec.model_fields) or ""
            else:
                _replace(data, field)
            return {"tasks": _TASK_PARTS, "inputs": _INPUT_PARTS}.get(field, frozenset({field}))
    return frozenset()


def _set_input_aside(
    inputs: dict[str, Any], name: str, rest: list[int | str], *, extra: bool
) -> frozenset[str]:
    given = inputs[name]
    if not isinstance(given, dict):
        inputs[name] = {"type": "string"}
        return frozenset({"inputs.type", "inputs.default"})
    field = str(rest[0]) if rest else "default"
    if extra and len(rest) == 1:
        del given[field]
        field = nearest(field, InputSpec.model_fields) or ""
    else:
        _replace(given, field)
        # Without its type, nobody can say whether its default fits.
        if field == "type":
            given.pop("default", None)
            return frozenset({"inputs.type", "inputs.default"})
    return frozenset({f"inputs.{field}"})


def _replace(holder: dict[str, Any], field: str) -> None:
    holder.pop(field, None)
    if field in _STAND_INS:
        holder[field] = _STAND_INS[field]
