"""Which JSON schemas Claude's constrained decoding takes.

The limits are those that Anthropic documents (Structured outputs, "JSON Schema limitations" and "Schema
complexity limits"); a schema over them is a 400 there, so it is one here. A forced tool's schema has none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chassis.local.simulator.simulator_errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Iterator

_UNSUPPORTED = frozenset(
    {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength"}
    | {"maxItems", "uniqueItems", "minProperties", "maxProperties", "patternProperties"}
    | {"oneOf", "not", "if", "then", "else"}
)
_MAX_OPTIONAL = 24
_MAX_UNIONS = 16


def check_decodable(schema: dict[str, Any]) -> None:
    """Refuse what constrained decoding can't do.

    :raises ApiError: 400, says which limit the schema breaks
    """
    nodes = list(_nodes(schema))
    for node in nodes:
        _check_node(node)
    _check_recursion(schema)
    optional = sum(len(set(node.get("properties", {})) - set(node.get("required", []))) for node in nodes)
    if optional > _MAX_OPTIONAL:
        raise _refusal(
            f"Schemas contains too many optional parameters ({optional}); the limit is {_MAX_OPTIONAL}."
        )
    unions = sum("anyOf" in node or isinstance(node.get("type"), list) for node in nodes)
    if unions > _MAX_UNIONS:
        raise _refusal(
            f"Schemas contains too many parameters with union types ({unions} parameters with type arrays "
            f"or anyOf); the limit is {_MAX_UNIONS}."
        )


def _nodes(schema: Any) -> Iterator[dict[str, Any]]:
    """The schema and every schema inside it; property names are no schemas."""
    if not isinstance(schema, dict):
        return
    yield schema
    inner = [schema.get("items"), *schema.get("anyOf", []), *schema.get("allOf", [])]
    for group in ("properties", "$defs", "definitions"):
        inner += schema.get(group, {}).values()
    for part in inner:
        yield from _nodes(part)


def _check_node(node: dict[str, Any]) -> None:
    kinds = [node["type"]] if isinstance(node.get("type"), str) else node.get("type", [])
    if "object" in kinds and node.get("additionalProperties") is not False:
        raise _refusal("For 'object' type, 'additionalProperties' must be explicitly set to false")
    for keyword in sorted(_UNSUPPORTED & set(node)):
        raise _refusal(f"For '{'/'.join(kinds) or 'any'}' type, property '{keyword}' is not supported")
    if node.get("minItems", 0) not in (0, 1):
        raise _refusal("For 'array' type, 'minItems' values other than 0 or 1 are not supported")
    if any(isinstance(value, (dict, list)) for value in node.get("enum", [])):
        raise _refusal("Enum values must be strings, numbers, booleans or null")
    if not str(node.get("$ref", "#")).startswith("#"):
        raise _refusal("External '$ref' is not supported")
    if any("$ref" in part for part in node.get("allOf", [])):
        raise _refusal("'allOf' with '$ref' is not supported")


def _check_recursion(schema: dict[str, Any]) -> None:
    named = {
        f"#/{group}/{name}": part
        for group in ("$defs", "definitions")
        for name, part in schema.get(group, {}).items()
    }
    uses = {
        name: {str(node["$ref"]) for node in _nodes(part) if "$ref" in node} for name, part in named.items()
    }
    for start in uses:
        reached: set[str] = set()
        ahead = list(uses[start])
        while ahead:
            name = ahead.pop()
            if name not in reached:
                reached.add(name)
                ahead.extend(uses.get(name, ()))
        if start in reached:
            raise _refusal(f"Recursive schemas are not supported ({start})")
    if any(node.get("$ref") == "#" for node in _nodes(schema)):
        raise _refusal("Recursive schemas are not supported (#)")


def _refusal(problem: str) -> ApiError:
    return ApiError(400, "ValidationException", f"output_config.format.schema: {problem}")
