from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.local.simulator.schema_filler import Fitter, Hints
from tests.with_each import with_each

OBJECT = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name", "count", "kind", "ok", "tags", "note"],
    "properties": {
        "name": {"type": "string"},
        "count": {"type": "integer"},
        "kind": {"enum": ["x", "y"]},
        "ok": {"type": "boolean"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "note": {"type": ["string", "null"]},
        "extra": {"type": "number"},
    },
}


@with_each(
    "schema",
    [
        OBJECT,
        {"type": "string"},
        {"type": "string", "minLength": 60},
        {"type": "string", "maxLength": 3},
        {"type": "string", "format": "date"},
        {"type": "integer", "minimum": 7},
        {"type": "integer", "exclusiveMaximum": -3},
        {"type": "number", "minimum": 0.5, "maximum": 0.75},
        {"type": "integer", "minimum": 1, "multipleOf": 5, "maximum": 5},
        {"type": "boolean"},
        {"type": "null"},
        {"const": {"a": 1}},
        {"enum": [3, "x"]},
        {"type": "array", "items": {"type": "string"}, "minItems": 5},
        {"type": "array", "items": {"type": "string"}, "maxItems": 2},
        {"type": "array", "items": {"type": "integer"}},
        {"type": "array", "items": OBJECT, "minItems": 1},
        {"type": "array", "items": {"enum": ["only"]}},
        {"anyOf": [{"type": "null"}, {"type": "integer"}]},
        {"oneOf": [{"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}}]},
        {
            "$ref": "#/$defs/thing",
            "$defs": {
                "thing": {"type": "object", "properties": {"n": {"type": "number"}}, "required": ["n"]}
            },
        },
        {
            "allOf": [
                {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
                {"required": ["b"]},
            ]
        },
        {"type": ["array", "null"], "items": {"type": "number"}},
    ],
)
def test_an_instance_satisfies_its_schema_and_so_does_anything_made_to_fit(schema: dict[str, Any]) -> None:
    for hints in (Hints(), Hints(names=["pricing"], numbers=[8.0, 2.5])):
        jsonschema.validate(Fitter(schema, hints).instance(), schema)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*OBJECT["properties"], "zz"]), inner)
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_value_can_be_made_to_fit_an_object_schema(value: Any) -> None:
    jsonschema.validate(Fitter(OBJECT).conform(value), OBJECT)


def test_what_fits_is_left_alone() -> None:
    good = {"name": "n", "count": 0, "kind": "y", "ok": False, "tags": [], "note": "", "extra": 1.5}
    assert Fitter(OBJECT).conform(good) == good


def test_unknown_keys_go_and_missing_nullable_or_list_ones_come_as_null_and_empty() -> None:
    fitted = Fitter(OBJECT).conform({"name": "n", "count": 1, "kind": "x", "ok": True, "unknown": 1})
    assert fitted == {"name": "n", "count": 1, "kind": "x", "ok": True, "tags": [], "note": None}


def test_the_branch_whose_keys_the_value_has_is_chosen() -> None:
    branch = {"type": "object", "additionalProperties": False}
    schema = {
        "anyOf": [
            {"type": "null"},
            branch | {"properties": {"items": {"type": "array"}}, "required": ["items"]},
            branch | {"properties": {"same_as": {"type": "string"}}, "required": ["same_as"]},
        ]
    }
    fitter = Fitter(schema)
    for value in (None, {"items": ["a"]}, {"same_as": "update"}):
        assert fitter.conform(value) == value


def test_data_for_a_text_field_becomes_json_text() -> None:
    assert Fitter({"type": ["string", "null"]}).conform({"type": "object"}) == '{"type": "object"}'


def test_arrays_of_strings_get_the_hinted_names_and_numbers_the_hinted_number() -> None:
    schema = {
        "type": "object",
        "properties": {"services": {"type": "array", "items": {"type": "string"}}, "sum": {"type": "number"}},
    }
    assert Fitter(schema).instance()["services"] == ["alpha", "beta", "gamma"]
    hinted = Fitter(schema, Hints(names=("pricing", "claims"), numbers=(8.0,))).instance()
    assert hinted == {"services": ["pricing", "claims"], "sum": 8}


def test_every_free_text_says_that_it_is_simulated() -> None:
    assert Fitter(OBJECT).instance()["name"] == "[simulated] name"


@pytest.mark.parametrize(
    ("schema", "prose"),
    [
        ({}, True),
        ({"type": "string"}, True),
        ({"type": ["string", "null"], "description": "Markdown"}, True),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, True),
        ({"type": "string", "enum": ["a"]}, False),
        ({"type": "string", "format": "date"}, False),
        ({"type": "object"}, False),
        ({"type": "array"}, False),
    ],
)
def test_prose_is_taken_by_plain_strings_only(schema: dict[str, Any], prose: bool) -> None:
    assert Fitter(schema).takes_prose(schema) is prose


def test_a_schema_that_refers_to_itself_ends() -> None:
    schema = {
        "$ref": "#/$defs/a",
        "$defs": {"a": {"type": "object", "properties": {"next": {"$ref": "#/$defs/a"}}}},
    }
    assert "next" in Fitter(schema).instance()
