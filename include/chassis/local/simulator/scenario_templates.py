"""Templates in scenario files: Jinja in a sandbox, over what the request says and a few functions.

A value that is one expression (``"{{ named(services) }}"``) becomes what that gives: a list, a number. Other texts are
rendered as text. A name that isn't known is an error, never an empty text.
"""

from __future__ import annotations

import hashlib
import re
from decimal import Decimal, localcontext
from functools import cache
from typing import TYPE_CHECKING, Any

import jinja2  # noqa: TID253  only the simulator's process imports this module
from jinja2.sandbox import SandboxedEnvironment  # noqa: TID253

from chassis.local.simulator.simulator_errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_NUMBER = r"[-+]?\d{1,40}(?:\.\d{1,40})?"
_ALONE = rf"(?<![\w.]){_NUMBER}(?!\w|\.\d)"
_LIST = re.compile(rf"{_ALONE}(?:\s*(?:(?:,|\+|and|plus|to)\s*)+{_ALONE})+", re.IGNORECASE)
_EVERY = re.compile(r"\b(?:all|every|each)\b", re.IGNORECASE)
_EXPRESSION = re.compile(r"\{\{((?:(?!\{\{|\}\}).)*)\}\}", re.DOTALL)
_ID_CHARS = 60
_RESERVED = frozenset({"plan_workflow", "recurring_onboarding", "chassis_upkeep"})
_TYPES = ((bool, "boolean"), (int, "integer"), (float, "number"), (list, "array"))


def numbers(text: str | Iterable[str]) -> list[str]:
    """The numbers of a text, as written: those of its first list ("5, 3 and 1", "5 + 3"), else all; or of several."""
    if not isinstance(text, str):
        return [number for part in text for number in numbers(part)]
    listed = _LIST.search(text)
    return re.findall(_ALONE, listed[0] if listed else text)


def total(terms: Iterable[str]) -> str:
    """The sum of numbers, exact for as many digits as one may have."""
    with localcontext(prec=200):
        found = sum((Decimal(term) for term in terms), Decimal(0))
        return format(found.normalize(), "f") if found else "0"


def title(text: str) -> str:
    """A text as one line of eighty characters at most."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text[:400]).split())
    return line if len(line) <= 80 else f"{line[:79]}…"


def slug(text: str) -> str:
    """An id from the text; a hash keeps apart what is long or has no Latin letters."""
    found = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
    if found and len(found) <= _ID_CHARS and found[0].isalpha() and found not in _RESERVED:
        return found
    mark = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    head = found[:_ID_CHARS].rpartition("_")[0] or found[:_ID_CHARS]
    return f"{head}_{mark}" if head[:1].isalpha() else f"workflow_{mark}"


def new_input(name: str, value: Any, description: str = "") -> dict[str, Any]:
    """A plan's input with the type of its value."""
    kind = next((label for python, label in _TYPES if isinstance(value, python)), "string")
    described = description or f"The {name}, as given."
    return {"name": name, "type": kind, "default": value, "description": described}


@jinja2.pass_context
def named(context: jinja2.runtime.Context, text: str | Iterable[Mapping[str, str]]) -> list[str]:
    """The services that a text names, in the catalogue's order, or that the finds of a pattern name one after another.

    All of them for words such as "all".
    """
    known: list[str] = context["services"]
    if not isinstance(text, str):
        return list(
            dict.fromkeys(name for found in text for part in found.values() for name in named(context, part))
        )
    if _EVERY.search(text):
        return known
    words = re.split(r"[^\w-]+", text.lower())
    return [name for name in known if name.lower() in words]


@jinja2.pass_context
def given_inputs(context: jinja2.runtime.Context, besides: Iterable[str] = ()) -> list[dict[str, Any]]:
    """The inputs that the person gave a value for, declared, besides those of these names."""
    return [new_input(name, value) for name, value in context["given"].items() if name not in besides]


_ENVIRONMENT = SandboxedEnvironment(undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
_ENVIRONMENT.globals = {
    "numbers": numbers,
    "total": total,
    "title": title,
    "slug": slug,
    "named": named,
    "new_input": new_input,
    "given_inputs": given_inputs,
}


def fill(value: Any, variables: Mapping[str, Any], label: str) -> Any:
    """A value with the templates in it filled in.

    :param label: name of the answer, for messages
    :raises ApiError: 400, a template can't be filled in
    """
    if _is_template(value):
        try:
            return _compiled(value)(variables)
        except (
            jinja2.TemplateError,
            ArithmeticError,
            AttributeError,
            LookupError,
            TypeError,
            ValueError,
        ) as error:
            message = f"The simulator's scenario can't answer ({label}): {error}; in {value!r}"
            raise ApiError(400, "ValidationException", message) from None
    if isinstance(value, dict):
        return {key: fill(entry, variables, label) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [fill(entry, variables, label) for entry in value]
    return value


def fill_numbers(value: Any, variables: Mapping[str, Any], label: str) -> tuple[float, ...]:
    """Numbers with the templates in them filled in. Errors as of :func:`fill`."""
    filled = fill(value, variables, label)
    try:
        return tuple(map(float, filled))
    except (TypeError, ValueError):
        message = f"The simulator's scenario can't answer ({label}): {filled!r} are no numbers"
        raise ApiError(400, "ValidationException", message) from None


def check_templates(value: Any) -> Any:
    """The value itself, if every template in it can be read.

    :raises ValueError: one can't
    """
    for entry in (
        value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    ):
        check_templates(entry)
    if _is_template(value):
        try:
            _compiled(value)
        except jinja2.TemplateSyntaxError as error:
            raise ValueError(f"{value!r} is no template: {error}") from None
    return value


def _is_template(value: Any) -> bool:
    return isinstance(value, str) and ("{{" in value or "{%" in value)


@cache
def _compiled(text: str) -> Callable[[Mapping[str, Any]], Any]:
    if alone := _EXPRESSION.fullmatch(text.strip()):
        expression = _ENVIRONMENT.compile_expression(alone[1], undefined_to_none=False)

        def evaluate(variables: Mapping[str, Any]) -> Any:
            found = expression(**variables)
            if isinstance(found, jinja2.Undefined):
                raise jinja2.UndefinedError(f"{alone[1].strip()} is undefined")
            return found

        return evaluate
    template = _ENVIRONMENT.from_string(text)
    return lambda variables: template.render(**variables)
