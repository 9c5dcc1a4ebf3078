"""Checks Claude's answer against its JSON schema and describes the faults so that Claude can correct them.

A person or Claude wrote a task's schema. So Chassis never fetches an address for a ``$ref``, and never runs a schema's
regular expression: one bad pattern would block every call in the triggerer. Claude sees patterns; nothing here checks
them.

The answer becomes an XCom, and Airflow deserialises mappings with certain keys into objects. A value that Airflow
couldn't carry, or would turn into an object, is a fault: Claude corrects it now, and no paid answer is lost over it
later.
"""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from chassis.workflow.input_values import AIRFLOW_KEYS
from chassis.workflow.output_schemas import DATA_KEYWORDS, NAMING_KEYWORDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOST_FAULTS = 20
"""Maximum number of faults listed for one answer; the rest are counted."""

MAX_DEPTH = 64
"""Maximum nesting of lists and objects. Every later step recurses level by level, and none can do so without end."""

_MAX_INTEGER = 2**63 - 1
"""Airflow's processes exchange integers of 64 bits at most."""

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_DEFINITION = re.compile(r"#(/\$defs/[^/~%]+)+")
_LONGEST_MESSAGE = 300
_OPENING = re.compile(r'\{(?=[ \t\r\n]*["}])|\[(?=[ \t\r\n]*(?:[\[\]{"0-9-]|true|false|null))')
_MOST_BRACKETS = 1_000
"""Maximum number of brackets to try in a text without JSON; each costs a count of the text's lines."""
_LISTS = re.compile(r"[\[ \t\r\n]+")


def parse_answer(text: str) -> tuple[Any, list[str]]:
    """Return the JSON value that ``text`` is or contains, and why Airflow couldn't carry it.

    A code fence around the value is ignored, and so are words around the one object (or the one list, if there is no
    object): nobody should pay for the same answer again without them. If there are several different values, Claude
    must say which one is the answer.

    Characters that no database column can hold (NUL, half a surrogate pair) become U+FFFD.
    """
    if not text.strip():
        return None, ["it is empty, where a JSON value was asked for"]
    try:
        return _storable(_value_in(text)), []
    except json.JSONDecodeError as error:
        return None, [f"it is not JSON: {error.msg} (line {error.lineno}, column {error.colno})"]
    except (ValueError, RecursionError) as error:
        return None, [f"it is not JSON that can be used: {error}"]


def value_faults(value: Any, schema: dict[str, Any]) -> list[str]:
    """How ``value`` breaks ``schema``, each fault with its place; empty if it is valid."""
    from jsonschema import Draft202012Validator
    from referencing import Registry

    # An empty registry fetches nothing; without one, jsonschema opens remote references.
    validator = Draft202012Validator(_mapped(schema, _without_patterns), registry=Registry())
    leaves = (leaf for error in validator.iter_errors(value) for leaf in _leaves(error))
    return [f"{_place(leaf)}{_brief(leaf.message)}" for leaf in leaves]


def embedded(schema: dict[str, Any], name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what to put in place of ``schema`` in a larger schema, and the definitions to put at the top.

    References such as ``#/$defs/address`` start at the top, so a schema with references moves there whole.
    """
    root = f"#/$defs/{name}"

    def moved(part: dict[str, Any]) -> dict[str, Any]:
        reference = part.get("$ref")
        return part | {"$ref": root + reference[1:]} if isinstance(reference, str) else part

    relocated = _mapped(schema, moved)
    return (schema, {}) if relocated == schema else ({"$ref": root}, {"$defs": {name: relocated}})


def decodable(schema: dict[str, Any]) -> bool:
    """Whether constrained decoding can express ``schema`` without restricting it.

    Constrained decoding needs a name for every property of every object. A schema with free keys or values of any type
    is asked for as a tool's input instead, and checked afterwards.
    """
    return _decodable(schema, schema, ())


def listed(faults: list[str]) -> list[str]:
    """The first faults, and a count of the others."""
    left = len(faults) - MOST_FAULTS
    return faults if left <= 0 else [*faults[:MOST_FAULTS], f"and {left} more"]


def _decodable(schema: Any, root: dict[str, Any], seen: tuple[str, ...]) -> bool:
    if not isinstance(schema, dict):
        return False
    if reference := schema.get("$ref"):
        return reference not in seen and _decodable(_definition(root, reference), root, (*seen, reference))
    if "enum" in schema or "const" in schema:
        allowed = [schema["const"]] if "const" in schema else schema["enum"]
        return bool(allowed) and not any(isinstance(value, dict | list) for value in allowed)
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return all(_decodable(variant, root, seen) for variant in schema[key])
    if any(key in schema for key in ("allOf", "not", "if", "prefixItems", "dependentSchemas")):
        return False
    match schema.get("type"):
        case "object":
            named = schema.get("properties") or {}
            closed = schema.get("additionalProperties", False) is False and "patternProperties" not in schema
            return bool(named) and closed and all(_decodable(part, root, seen) for part in named.values())
        case "array":
            return _decodable(schema.get("items"), root, seen)
        case kind:
            return kind in ("string", "integer", "number", "boolean", "null")


def _definition(root: dict[str, Any], reference: str) -> Any:
    """What a reference to a definition (``#/$defs/a``) points to; None for any other reference."""
    if not _DEFINITION.fullmatch(reference):
        return None
    here: Any = root
    for key in reference[2:].split("/"):
        here = here.get(key) if isinstance(here, dict) else None
    return here


def _mapped(schema: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    """A copy of ``schema`` with ``change`` applied to it and to every schema inside it."""
    if not isinstance(schema, dict):
        return schema
    copied: dict[str, Any] = {}
    for key, value in change(schema).items():
        if key in DATA_KEYWORDS:
            copied[key] = value
        elif key in NAMING_KEYWORDS and isinstance(value, dict):
            copied[key] = {name: _mapped(part, change) for name, part in value.items()}
        elif isinstance(value, list):
            copied[key] = [_mapped(part, change) for part in value]
        else:
            copied[key] = _mapped(value, change)
    return copied


def _without_patterns(part: dict[str, Any]) -> dict[str, Any]:
    unrun = {"pattern", "patternProperties"}
    if "patternProperties" in part:
        unrun |= {"additionalProperties", "unevaluatedProperties"}  # they depend on what the patterns matched
    return {key: value for key, value in part.items() if key not in unrun}


def _leaves(error: Any) -> Iterator[Any]:
    """The faults behind "is not valid under any of the given schemas": those of the most likely variant."""
    variants: dict[Any, list[Any]] = defaultdict(list)
    for inner in error.context or ():
        variants[inner.relative_schema_path[0]].append(inner)
    if not variants:
        yield error
        return

    def unlikeness(faults: list[Any]) -> tuple[bool, int]:
        return any(fault.validator == "type" and not fault.relative_path for fault in faults), len(faults)

    for inner in min(variants.values(), key=unlikeness):
        yield from _leaves(inner)


def _place(error: Any) -> str:
    place = ".".join(str(part) for part in error.absolute_path)
    return f"{_brief(place)}: " if place else ""


def _brief(message: str) -> str:
    """Shorten a message that contains a whole value, or a place that lists all its keys."""
    return message if len(message) <= _LONGEST_MESSAGE else f"{message[:150]} ... {message[-100:]}"


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a valid JSON number")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def _value_in(text: str) -> Any:
    """The JSON value that ``text`` is or contains.

    :raises ValueError: there is none, a broken one, or several
    """
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        fault = error
    objects, lists = _values_among_words(text)
    found = objects or lists
    if len(found) > 1:
        raise ValueError(f"it holds {len(found)} different JSON values; give the one that is the answer")
    if not found:
        raise fault
    return found[0]


def _values_among_words(text: str) -> tuple[list[Any], list[Any]]:
    """The different outermost JSON objects and lists in ``text``.

    :raises ValueError: something starts like a JSON object but isn't valid; no part of it is the answer
    """
    objects: dict[str, Any] = {}
    lists: dict[str, Any] = {}
    at, brackets = 0, 0
    while opening := _OPENING.search(text, at):
        start = opening.start()
        try:
            value, at = _DECODER.raw_decode(text, start)
        except json.JSONDecodeError:
            within = _LISTS.match(text, start)
            brackets += 1
            if (
                within is None
                or text[within.end() : within.end() + 1] in ("{", '"')
                or brackets > _MOST_BRACKETS
            ):
                raise
            at = within.end()  # part of the text: a footnote or a link
        else:
            kind = objects if isinstance(value, dict) else lists
            kind[json.dumps(value, sort_keys=True)] = value
    return list(objects.values()), list(lists.values())


def _storable(value: Any, depth: int = 0) -> Any:
    """The value as Airflow can carry it.

    :raises ValueError: Airflow can't carry it, or would turn it into an object
    """
    if depth >= MAX_DEPTH and isinstance(value, list | dict):
        raise ValueError(f"it is more than {MAX_DEPTH} levels deep")
    match value:
        case str():
            return _UNSTORABLE.sub("\ufffd", value)
        case list():
            return [_storable(part, depth + 1) for part in value]
        case dict():
            if found := sorted(AIRFLOW_KEYS & value.keys()):
                raise ValueError(f"it has the key {found[0]!r}, which is reserved; use another name")
            return {_storable(key): _storable(part, depth + 1) for key, part in value.items()}
        case float() if not math.isfinite(value):
            raise ValueError("it has a number that is too great; write it as a text")
        case int() if abs(value) > _MAX_INTEGER:
            raise ValueError("it has a whole number of more than 63 bits; write it as a text")
    return value
