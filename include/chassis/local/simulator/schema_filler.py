"""Make data fit a JSON schema: what constrained decoding does to Claude's answer, done to a simulated one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

_DEPTH = 40  # deeper nesting than this is a schema that refers to itself without an end


@dataclass(frozen=True)
class Hints:
    """What to fill a schema with where it leaves a choice; ``names`` are for arrays of strings."""

    names: Sequence[str] = ("alpha", "beta", "gamma")
    numbers: Sequence[float] = ()
    text: str = "[simulated]"


class Fitter:
    """Fits values to one schema document (which ``$ref`` may refer into)."""

    def __init__(self, document: dict[str, Any], hints: Hints | None = None) -> None:
        self._document = document
        self._hints = hints or Hints()

    def conform(self, value: Any, schema: Any = None, depth: int = 0) -> Any:
        """``value`` with unknown keys dropped, missing required ones filled, and wrong types replaced."""
        schema = self._resolve(self._document if schema is None else schema)
        if depth > _DEPTH or schema is True or not schema:
            return value
        if branches := self._branches(schema):
            closest = max(branches, key=lambda branch: _likeness(value, branch))
            return self.conform(value, closest, depth + 1)
        if "const" in schema or "enum" in schema:
            allowed = [schema["const"]] if "const" in schema else schema["enum"]
            return value if value in allowed else allowed[0]
        types = _types(schema)
        if types and not any(_is_type(value, name) for name in types):
            if "string" in types and value is not None:
                return json.dumps(value, ensure_ascii=False)
            return self.instance(schema, depth=depth)
        if isinstance(value, dict):
            return self._conform_object(value, schema, depth)
        if isinstance(value, list):
            return [self.conform(entry, schema.get("items", {}), depth + 1) for entry in value]
        return value

    def instance(self, schema: Any = None, *, name: str = "", depth: int = 0) -> Any:
        """A small value that satisfies the schema. ``name`` is the property that it is for."""
        schema = self._resolve(self._document if schema is None else schema)
        if not isinstance(schema, dict) or not schema:
            return f"{self._hints.text} {name}".strip()
        if depth > _DEPTH:
            return None
        for given in ("const", "default"):
            if given in schema:
                return schema[given]
        for given in ("enum", "examples"):
            if schema.get(given):
                return schema[given][0]
        if branches := self._branches(schema):
            fullest = next((branch for branch in branches if _types(branch) != ["null"]), branches[0])
            return self.instance(fullest, name=name, depth=depth + 1)
        return self._of_type(schema, name, depth)

    def takes_prose(self, schema: Any) -> bool:
        """Whether any text at all would satisfy the schema."""
        schema = self._resolve(schema)
        if not isinstance(schema, dict):
            return True
        if branches := self._branches(schema):
            return any(map(self.takes_prose, branches))
        narrowed = {"enum", "const", "pattern", "format", "maxLength"} & set(schema)
        return not narrowed and "string" in (_types(schema) or ["string"])

    def _of_type(self, schema: dict[str, Any], name: str, depth: int) -> Any:
        kinds = _types(schema) or (["object"] if "properties" in schema else ["string"])
        kind = next((kind for kind in kinds if kind != "null"), "null")
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            return self._array(schema, name, depth)
        if kind in ("number", "integer"):
            return self._number(schema, kind)
        if kind == "boolean":
            return True
        return None if kind == "null" else self._string(schema, name)

    def _object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        properties = schema.get("properties", {})
        wanted = [*properties, *(key for key in schema.get("required", []) if key not in properties)]
        return {key: self.instance(properties.get(key, {}), name=key, depth=depth + 1) for key in wanted}

    def _array(self, schema: dict[str, Any], name: str, depth: int) -> list[Any]:
        least, most = int(schema.get("minItems", 0)), int(schema.get("maxItems", 1_000))
        entry = self._resolve(schema.get("items", {}))
        kinds = _types(entry) if isinstance(entry, dict) else []
        free = isinstance(entry, dict) and not {"enum", "const", "pattern", "format"} & set(entry)
        if free and (not entry or "string" in kinds):
            found: list[Any] = list(self._hints.names)
        elif free and {"number", "integer"} & set(kinds):
            found = [_as_kind(number, kinds[0]) for number in self._hints.numbers] or [1, 2, 3]
        else:
            found = [self.instance(entry, name=name, depth=depth + 1)]
        while len(found) < least:
            found.append(f"{found[0]}-{len(found)}" if found and isinstance(found[0], str) else len(found))
        return found[:most]

    def _number(self, schema: dict[str, Any], kind: str) -> float | int:
        low = schema.get("minimum", schema.get("exclusiveMinimum", float("-inf")))
        high = schema.get("maximum", schema.get("exclusiveMaximum", float("inf")))
        candidates = [*reversed(self._hints.numbers), 1, 0, low + 1, high - 1, low, high]
        fits = (number for number in candidates if _within(number, schema))
        return _as_kind(next(fits, 0), kind)

    def _string(self, schema: dict[str, Any], name: str) -> str:
        known = _FORMATS.get(schema.get("format", ""))
        if known:
            return known
        text = f"{self._hints.text} {name.replace('_', ' ')}".strip()
        text = text.ljust(int(schema.get("minLength", 0)), ".")
        return text[: int(schema.get("maxLength", len(text)))]

    def _conform_object(self, value: dict[str, Any], schema: dict[str, Any], depth: int) -> dict[str, Any]:
        properties = schema.get("properties", {})
        extra = schema.get("additionalProperties", True)
        kept = {key: entry for key, entry in value.items() if key in properties or extra is not False}
        fitted = {key: self.conform(entry, properties.get(key, {}), depth + 1) for key, entry in kept.items()}
        for key in schema.get("required", []):
            if key not in fitted:
                fitted[key] = self._missing(properties.get(key, {}), key, depth)
        return fitted

    def _missing(self, schema: Any, name: str, depth: int) -> Any:
        resolved = self._resolve(schema)
        if isinstance(resolved, dict) and any(
            "null" in _types(branch) for branch in (resolved, *self._branches(resolved))
        ):
            return None
        array = isinstance(resolved, dict) and not self._branches(resolved) and _types(resolved) == ["array"]
        if array and not resolved.get("minItems"):
            return []
        return self.instance(resolved, name=name, depth=depth + 1)

    def _branches(self, schema: dict[str, Any]) -> list[Any]:
        return [self._resolve(branch) for branch in schema.get("anyOf") or schema.get("oneOf") or []]

    def _resolve(self, schema: Any) -> Any:
        for _ in range(_DEPTH):
            if not isinstance(schema, dict) or "$ref" not in schema:
                break
            target: Any = self._document
            for part in str(schema["$ref"]).removeprefix("#").strip("/").split("/"):
                target = target[part.replace("~1", "/").replace("~0", "~")] if part else target
            schema = target
        if isinstance(schema, dict) and schema.get("allOf"):
            merged = {key: entry for key, entry in schema.items() if key != "allOf"}
            for part in schema["allOf"]:
                merged = _merge(merged, self._resolve(part))
            return merged
        return schema


_FORMATS = {
    "date-time": "2000-01-01T00:00:00Z",
    "date": "2000-01-01",
    "time": "00:00:00Z",
    "duration": "PT1S",
    "email": "simulated@example.com",
    "hostname": "simulated.example.com",
    "uri": "https://simulated.example.com/",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def _types(schema: Any) -> list[str]:
    given = schema.get("type", []) if isinstance(schema, dict) else []
    return [given] if isinstance(given, str) else list(given)


def _is_type(value: Any, name: str) -> bool:
    if name in ("number", "integer"):
        whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        return not isinstance(value, bool) and (whole or (name == "number" and isinstance(value, float)))
    kinds = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}
    return isinstance(value, kinds.get(name, object))


def _likeness(value: Any, branch: Any) -> int:
    """How well a branch of ``anyOf`` suits a value: its type first, then the keys that both have."""
    types = _types(branch)
    if types and not any(_is_type(value, name) for name in types):
        return -100
    if not isinstance(value, dict) or not isinstance(branch, dict):
        return int(bool(types))
    given = {key for key, entry in value.items() if entry is not None}
    missing = len(set(branch.get("required", [])) - given)
    unknown = len(given - set(branch.get("properties", {})))
    return 1 + len(given & set(branch.get("properties", {}))) - 2 * missing - 2 * unknown


def _merge(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    merged = left | right
    if "properties" in left and "properties" in right:
        merged["properties"] = left["properties"] | right["properties"]
    merged_required = [*left.get("required", []), *right.get("required", [])]
    return merged | ({"required": merged_required} if merged_required else {})


def _within(number: float, schema: dict[str, Any]) -> bool:
    if number in (float("inf"), float("-inf")):
        return False
    step = schema.get("multipleOf")
    return (
        schema.get("minimum", number) <= number <= schema.get("maximum", number)
        and not ("exclusiveMinimum" in schema and number <= schema["exclusiveMinimum"])
        and not ("exclusiveMaximum" in schema and number >= schema["exclusiveMaximum"])
        and (not step or number % step == 0)
    )


def _as_kind(number: float, kind: str) -> float | int:
    return int(number) if kind == "integer" or float(number).is_integer() else number
