"""Rules of a task's ``output_schema``: a self-contained JSON schema that can be checked in bounded time.

A person or a model wrote it, and one triggerer checks the answers of all workflows. So Chassis refuses what could
hold it up: regular expressions, keywords whose check doubles with each level, references that lead back to themselves
or that multiply, and references to anywhere else, which a validator would follow over the network. It also refuses
the keys by which Airflow knows its own objects, because the schema travels in a trigger's arguments.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from chassis.workflow.graph import find_cycles, in_order
from chassis.workflow.input_values import reserved_key
from chassis.workflow.names import shown, suggestion

_SHOWN_FAULTS = 3
_SHOWN_MESSAGE = 200
MAX_EXPANDED = 5_000
"""Schemas that an answer may be checked against, counting each reference as often as it is followed."""

_MOST_STEPS = 100
"""Steps from one reference to the next, until the target is found."""

_UNCHECKED = "is not checked; use enum, or say in the instruction what the text looks like"
_DOUBLING = "takes twice as long to check with each level; use additionalProperties, or items"
_RENAMING = "changes what references mean; leave it out, and write references such as #/$defs/name"
_REFUSED = {
    **dict.fromkeys(("pattern", "patternProperties"), _UNCHECKED),
    **dict.fromkeys(("unevaluatedItems", "unevaluatedProperties"), _DOUBLING),
    **dict.fromkeys(("$id", "$anchor", "$dynamicAnchor", "$dynamicRef"), _RENAMING),
}
"""Refused keywords, each with the reason and the fix."""

_TYPES = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})
DATA_KEYWORDS = frozenset({"const", "default", "enum", "examples"})
"""Keywords whose values are data: nothing inside them is a keyword."""

NAMING_KEYWORDS = frozenset({"properties", "patternProperties", "dependentSchemas", "$defs", "definitions"})
"""Keywords whose values hold schemas under names of the author's choice, which are no keywords."""


def schema_faults(schema: Mapping[str, Any]) -> list[str]:
    """Why a mapping can't be the JSON schema of an answer, in words; empty if it can."""
    from jsonschema import Draft202012Validator

    faults = []
    for error in Draft202012Validator(Draft202012Validator.META_SCHEMA).iter_errors(schema):
        # If a value fits none of several schemas, the first is the usual one, and says what is possible.
        deepest = error.context[0] if error.context else error
        faults.append(
            f"is not a valid JSON schema: {_at(error.absolute_path)} {deepest.message[:_SHOWN_MESSAGE]}"
        )
    if key := reserved_key(schema):
        faults.append(f"has the key {key!r}, by which Airflow knows its own objects; rename it")
    return sorted(faults or [*_keyword_faults(schema), *_reference_faults(schema)])[:_SHOWN_FAULTS]


def list_fault(schema: Mapping[str, Any], path: str) -> str | None:
    """Why an answer of this schema has no list of texts at a dotted path.

    None if it has one, and also if the schema doesn't say; the run will show it then.
    """
    here: Any = _resolved(schema, schema)
    for key in path.split(".") if path else ():
        properties = here.get("properties")
        if other := _other_type(here, "object"):
            return f"has no {key!r}: it is of type {other} there"
        if not isinstance(properties, Mapping):
            return None
        if key not in properties:
            return f"has no {key!r}{suggestion(key, properties)}"
        here = _resolved(schema, properties[key])
    if other := _other_type(here, "array"):
        return (
            f"is of type {other} at {path!r}, not array"
            if path
            else f"is of type {other}, not array; add a path"
        )
    if other := _other_type(_resolved(schema, here.get("items")), "string"):
        return f"has items of type {other}, not string"
    return None


def _other_type(schema: Mapping[str, Any], wanted: str) -> str | None:
    kind = schema.get("type")
    return kind if isinstance(kind, str) and kind in _TYPES - {wanted} else None


def _resolved(root: Mapping[str, Any], schema: Any) -> Mapping[str, Any]:
    """The schema itself or what it refers to; empty if there is nothing to read."""
    for _ in range(_MOST_STEPS):
        if not isinstance(schema, Mapping) or not isinstance(schema.get("$ref"), str):
            break
        schema = _target(root, schema["$ref"])
    return schema if isinstance(schema, Mapping) else {}


def _target(root: Mapping[str, Any], reference: str) -> Any:
    """The target of a reference into the schema; None if it leads nowhere or out of it."""
    if not reference.startswith("#"):
        return None
    here: Any = root
    for raw in unquote(reference[1:]).split("/")[1:]:
        key = raw.replace("~1", "/").replace("~0", "~")
        if isinstance(here, Mapping):
            here = here.get(key)
        elif isinstance(here, list) and key.isdecimal() and int(key) < len(here):
            here = here[int(key)]
        else:
            return None
    return here if reference == "#" or reference.startswith("#/") else None


def _keyword_faults(schema: Mapping[str, Any]) -> Iterator[str]:
    used = {keyword for inner in _schemas(schema) for keyword in inner if keyword in _REFUSED}
    for keyword in sorted(used):
        yield f"uses {keyword!r}, which {_REFUSED[keyword]}"


def _reference_faults(schema: Mapping[str, Any]) -> Iterator[str]:
    references = dict.fromkeys(_references(schema))
    edges: dict[str, list[str]] = {}
    for reference in references:
        target = _target(schema, reference)
        if isinstance(target, Mapping | bool):
            edges[reference] = list(_references(target))
        else:
            yield f"refers to {shown(reference)}, which is not in it; write a reference such as #/$defs/name"
    if cycles := find_cycles(edges):
        for cycle in cycles:
            yield f"refers to itself: {' -> '.join(cycle)}"
    elif (count := _expanded(schema, edges)) > MAX_EXPANDED:
        yield f"comes to {count:,} schemas when its references are followed, and at most {MAX_EXPANDED:,} are allowed"


def _expanded(schema: Mapping[str, Any], edges: Mapping[str, list[str]]) -> int:
    """How many schemas there are if each reference is replaced by its target; each counted once."""
    counts: dict[str, int] = {}
    for reference in in_order(edges):
        inside = _target(schema, reference)
        counts[reference] = sum(1 for _ in _schemas(inside)) + sum(counts.get(r, 0) for r in edges[reference])
    return sum(1 for _ in _schemas(schema)) + sum(counts.get(r, 0) for r in _references(schema))


def _references(schema: Any) -> Iterator[str]:
    for inner in _schemas(schema):
        for keyword in ("$ref", "$dynamicRef"):
            if isinstance(inner.get(keyword), str):
                yield inner[keyword]


def _schemas(schema: Any) -> Iterator[Mapping[str, Any]]:
    """A schema and all schemas inside it, including those under unknown keywords."""
    if not isinstance(schema, Mapping):
        return
    yield schema
    for key, value in schema.items():
        if key in DATA_KEYWORDS:
            continue
        if key in NAMING_KEYWORDS and isinstance(value, Mapping):
            inside = list(value.values())
        else:
            inside = value if isinstance(value, list) else [value]
        for each in inside:
            yield from _schemas(each)


def _at(keys: Any) -> str:
    way = ".".join(str(key) for key in keys)
    return f"at {way}:" if way else "as a whole:"
