from __future__ import annotations

from typing import Any

import pytest

from chassis.local.simulator.body_checks import check_body
from chassis.local.simulator.constrained_decoding import check_decodable
from chassis.local.simulator.model_files import known_models
from chassis.local.simulator.simulator_errors import ApiError
from tests.with_each import with_each

GOOD = {
    "anthropic_version": "bedrock-2023-05-31",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "Hi"}],
}
OPUS = known_models()["claude-opus-4-6"]
TEXT = {"type": "text", "text": "x"}
MARKED = {**TEXT, "cache_control": {"type": "ephemeral"}}
TOOL = {"name": "answer", "input_schema": {"type": "object"}}


def user(content: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": content}]


def test_a_body_with_everything_that_chassis_sends_is_taken_as_it_is() -> None:
    body = GOOD | {
        "system": [MARKED],
        "messages": [*user([MARKED, TEXT]), {"role": "assistant", "content": [TEXT]}, *user("Again")],
        "tools": [TOOL],
        "tool_choice": {"type": "tool", "name": "answer"},
        "output_config": {"format": {"type": "json_schema", "schema": {"type": "string"}}},
    }
    assert check_body(body, OPUS) == body


@with_each(
    "change, words",
    [
        ({"anthropic_version": None}, "anthropic_version"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": "100"}, "max_tokens"),
        ({"model": "x"}, "model: Extra inputs are not permitted"),
        ({"stream": True}, "stream: Extra inputs are not permitted"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "system", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "first message"),
        ({"messages": [*user("x"), {"role": "assistant", "content": "{"}]}, "prefill"),
        ({"messages": user("")}, "messages.0.content"),
        ({"messages": user("  ")}, "non-whitespace"),
        ({"messages": user([{"type": "text", "text": ""}])}, "non-whitespace"),
        ({"messages": user([{"text": "x"}])}, "type"),
        ({"system": [{"type": "text", "text": " "}]}, "non-whitespace"),
        ({"system": [MARKED], "messages": user([MARKED] * 4)}, "Found 5"),
        ({"system": [TEXT | {"cache_control": {"type": "ephemeral", "ttl": "2h"}}]}, "ttl"),
        ({"system": [TEXT | {"cache_control": "ephemeral"}]}, "cache_control must be"),
        ({"tools": [TOOL], "tool_choice": {"type": "tool", "name": "other"}}, "'other' not found"),
        ({"tool_choice": {"type": "any"}}, "tool_choice"),
        ({"output_config": {"format": {"type": "json", "schema": {}}}}, "output_config.format.type"),
        ({"output_config": {"format": {"type": "json_schema"}}}, "output_config.format.schema"),
    ],
)
def test_a_wrong_body_is_refused_with_the_field(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ApiError) as refused:
        check_body(GOOD | change, OPUS)
    assert (refused.value.status, refused.value.error_type) == (400, "ValidationException")
    assert words in refused.value.message


def test_a_newer_model_refuses_a_wrong_body_in_anthropics_shape() -> None:
    with pytest.raises(ApiError) as refused:
        check_body(GOOD | {"max_tokens": 0}, known_models()["claude-opus-4-7"])
    assert (refused.value.form, refused.value.status) == ("anthropic", 400)


@pytest.mark.parametrize("body", [None, [], "text"])
def test_a_body_that_is_no_object_is_refused(body: Any) -> None:
    with pytest.raises(ApiError, match="Malformed input request"):
        check_body(body, OPUS)


def closed(properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": [*properties],
        "additionalProperties": False,
        **more,
    }


def test_a_schema_within_the_documented_limits_is_taken() -> None:
    check_decodable(
        closed(
            {
                "minimum": {"type": "number", "description": "a property may be called like a keyword"},
                "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}, "minItems": 1},
                "kind": {"enum": ["a", 1, None]},
                "when": {"type": "string", "format": "date"},
                "maybe": {"anyOf": [{"type": "null"}, closed({"x": {"type": "boolean"}})]},
            },
            **{"$defs": {"tag": {"type": "string"}}},
        )
    )


@with_each(
    "schema, words",
    [
        ({"type": "object"}, "additionalProperties"),
        (closed({"a": {"type": "object", "additionalProperties": True}}), "additionalProperties"),
        (closed({"a": {"type": ["object", "null"]}}), "additionalProperties"),
        (closed({"a": {"type": "integer", "minimum": 0}}), "'minimum'"),
        (closed({"a": {"type": "string", "maxLength": 3}}), "'maxLength'"),
        ({"type": "array", "items": {"type": "number", "multipleOf": 2}}, "'multipleOf'"),
        ({"type": "array", "minItems": 2}, "minItems"),
        ({"type": "array", "maxItems": 2}, "'maxItems'"),
        ({"oneOf": [{"type": "string"}]}, "'oneOf'"),
        ({"enum": [{"a": 1}]}, "Enum values"),
        ({"$ref": "https://example.com/schema"}, "External"),
        ({"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"type": "string"}}}, "allOf"),
        (closed({"a": {"$ref": "#"}}), "Recursive"),
        (
            {
                "$ref": "#/$defs/a",
                "$defs": {
                    "a": closed({"next": {"$ref": "#/$defs/b"}}),
                    "b": {"anyOf": [{"$ref": "#/$defs/a"}]},
                },
            },
            "Recursive",
        ),
        (closed({f"p{n}": {"type": ["string", "null"]} for n in range(17)}), "17 parameters"),
        (
            {
                "type": "object",
                "additionalProperties": False,
                "properties": {f"p{n}": {"type": "string"} for n in range(25)},
            },
            "optional parameters (25)",
        ),
    ],
)
def test_a_schema_beyond_constrained_decoding_is_refused_with_the_limit(
    schema: dict[str, Any], words: str
) -> None:
    with pytest.raises(ApiError) as refused:
        check_decodable(schema)
    assert words in refused.value.message
    assert refused.value.message.startswith("output_config.format.schema: ")
