from __future__ import annotations

import json
import socket
import time
from typing import Any

import hypothesis.strategies as st
import msgspec
import pytest
from airflow.sdk import serde
from airflow.sdk._shared.serialization import FORBIDDEN_XCOM_KEYS
from hypothesis import given

from chassis.claude.answer_schema import MOST_FAULTS, decodable, embedded, listed, parse_answer, value_faults
from chassis.contract.usage import Usage
from chassis.contract.xcoms import TaskResult
from chassis.local.simulator.constrained_decoding import check_decodable
from chassis.workflow.input_values import AIRFLOW_KEYS, reserved_key
from tests.with_each import with_each

TEXT = {"type": "string"}


def closed(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


@with_each(
    "text, fault",
    [
        ("", "it is empty"),
        (" \n", "it is empty"),
        ("{", "line 1, column 2"),
        ('{"a": 1} or {"a": 2}', "2 different JSON values"),
        ('{"a": NaN}', "NaN"),
        ("Infinity", "Infinity"),
        ("[" * 200_000, "it is not JSON"),
        ("9" * 5000, "it is not JSON"),
        ("[1e999]", "a number that is too great"),
        ("[-1e999]", "a number that is too great"),
        (f"[{2**63}]", "more than 63 bits"),
        (f"[{-(2**63) - 1}]", "more than 63 bits"),
        ("[" * 65 + "]" * 65, "more than 64 levels deep"),
        ('{"a": [{"__type": "set", "__var": [1]}]}', "the key '__type', which is reserved"),
    ],
)
def test_what_is_no_json_is_told(text: str, fault: str) -> None:
    value, faults = parse_answer(text)
    assert value is None
    assert fault in faults[0]


TEXTS = st.text(st.characters(exclude_characters="\x00", exclude_categories=("Cs",)), max_size=20)
KEYS = TEXTS.filter(lambda key: key not in AIRFLOW_KEYS)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-(2**40), 2**40), TEXTS)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(KEYS, inner, max_size=3),
    ),
    max_leaves=12,
)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=4)
WORDS = st.lists(
    st.one_of(
        st.text(st.characters(exclude_characters="{[", exclude_categories=("Cs",)), max_size=30),
        st.sampled_from(
            ["[1]", "[a link](https://example.com)", "- [ ] to do", "[x]", "{name}", "[[a page]]", "]}"]
        ),
    ),
    max_size=4,
).map("\n".join)


@given(OBJECTS, st.sampled_from(["", "```", "```json", "~~~json"]), WORDS, WORDS, st.sampled_from([None, 2]))
def test_a_fence_and_words_around_one_object_are_passed_over(
    value: dict[str, Any], fence: str, before: str, after: str, indent: int | None
) -> None:
    said = json.dumps(value, ensure_ascii=False, indent=indent)
    text = f"{before}\n{fence}\n{said}\n{fence[:3]}\n{after}"
    assert parse_answer(text) == (value, [])


@given(OBJECTS, OBJECTS, WORDS)
def test_different_objects_among_words_are_a_fault_and_the_same_one_twice_is_not(
    one: dict[str, Any], other: dict[str, Any], words: str
) -> None:
    first, second = json.dumps(one, sort_keys=True), json.dumps(other, sort_keys=True)
    value, faults = parse_answer(f"{first}\n{words}\n{second}")
    if first == second:
        assert (value, faults) == (one, [])
    else:
        assert "2 different JSON values" in faults[0]


@given(st.text(st.sampled_from('{}[]":,1a \n`\\')) | st.text())
def test_whatever_comes_is_a_value_or_a_fault(text: str) -> None:
    value, faults = parse_answer(text)
    assert value is None or faults == []


@pytest.mark.parametrize(
    "text",
    [
        '{"done": [{"sum": 8}], "sum": ',
        'Here it is: {"done": [{"sum": 8}], "sum": }',
        '```json\n{"done": [{"sum": 8}],}\n```',
        'The sums: [{"sum": 8}, {"sum": 9}',
    ],
)
def test_a_part_of_a_broken_answer_is_not_taken_for_the_answer(text: str) -> None:
    value, faults = parse_answer(text)
    assert value is None
    assert "it is not JSON" in faults[0]


def test_one_list_among_words_is_taken_where_there_is_no_object() -> None:
    assert parse_answer("The numbers: [1, 2].") == ([1, 2], [])
    assert parse_answer('As in [1] and [2]: {"a": 3}') == ({"a": 3}, [])


@with_each(
    "unit",
    ["[", "[1,", '{"a":', "{", '["[', "[ ", "[a](b) ", "[1,a] ", "{ ", '{"a":[', "```\n", '[{"', '{"a": 1} '],
)
def test_a_long_answer_of_brackets_is_read_in_no_time(unit: str) -> None:
    started = time.monotonic()
    parse_answer(f"Words: {unit * (400_000 // len(unit))}")
    assert time.monotonic() - started < 2


def test_the_deepest_answer_and_the_greatest_numbers_that_are_taken_reach_a_reader_of_the_xcom() -> None:
    """What is refused above is refused because one of these steps, after the answer was paid for, would fail."""
    text = '{"a":' * 63 + f"[{2**63 - 1}, {-(2**63) + 1}, 1e308]" + "}" * 63
    value, faults = parse_answer(text)
    assert faults == []
    result = TaskResult(
        task="t", summary="s", output=value, usage=Usage(), model="m", request_ids=(), simulated=False
    ).model_dump(mode="json")
    sent = msgspec.msgpack.decode(msgspec.msgpack.encode(serde.serialize(result)))
    assert serde.deserialize(json.loads(json.dumps(sent, allow_nan=False))) == result


@pytest.mark.parametrize("key", sorted(FORBIDDEN_XCOM_KEYS))
def test_no_key_that_airflow_makes_objects_by_is_taken(key: str) -> None:
    assert parse_answer(json.dumps({"output": [{key: "x"}]}))[1]
    assert reserved_key({"a": [{"b": ({key: 1},)}]}) == key
    assert reserved_key({"a": [key, {"b": key}]}) is None, "as a value it is a text"


def test_the_keys_that_are_refused_are_airflows() -> None:
    assert AIRFLOW_KEYS == FORBIDDEN_XCOM_KEYS


def test_characters_that_no_column_can_hold_are_replaced() -> None:
    value, faults = parse_answer('{"a\\u0000": ["x\\ud800y", {"b": "\\u0000"}], "n": 1}')
    assert faults == []
    assert value == {"a\ufffd": ["x\ufffdy", {"b": "\ufffd"}], "n": 1}
    json.dumps(value, ensure_ascii=False).encode()


def test_a_fault_says_where_it_is() -> None:
    schema = closed(services={"type": "array", "items": closed(name=TEXT)})
    faults = value_faults({"services": [{"name": "a"}, {"name": 2}]}, schema)
    assert faults == ["services.1.name: 2 is not of type 'string'"]


def test_all_faults_are_told_at_once() -> None:
    faults = value_faults({"a": 1, "c": 2}, closed(a=TEXT, b=TEXT))
    assert len(faults) == 3
    assert {"a: 1 is not of type 'string'", "'b' is a required property"} < set(faults)


def test_of_several_variants_the_likeliest_one_is_held_against_the_value() -> None:
    schema = closed(output={"anyOf": [closed(names={"type": "array", "items": TEXT}), {"type": "null"}]})
    assert value_faults({"output": {"names": [1]}}, schema) == ["output.names.0: 1 is not of type 'string'"]
    assert value_faults({"output": None}, schema) == []
    schema["properties"]["output"]["anyOf"].reverse()
    assert value_faults({"output": {"names": [1]}}, schema) == ["output.names.0: 1 is not of type 'string'"]


def test_a_huge_wrong_value_does_not_fill_the_message() -> None:
    (fault,) = value_faults({"a": ["x" * 100_000]}, closed(a=TEXT))
    assert len(fault) < 400


def test_a_pattern_is_never_run() -> None:
    schema = closed(a={"type": "string", "pattern": "^(a+)+$"}) | {"patternProperties": {"^(b+)+$": TEXT}}
    started = time.monotonic()
    assert value_faults({"a": "a" * 60 + "!", "b" * 60 + "!": 1}, schema) == []
    assert time.monotonic() - started < 2, "a pattern with catastrophic backtracking was run"


def test_a_property_that_is_named_like_a_keyword_is_still_checked() -> None:
    assert value_faults({"pattern": 1}, closed(pattern=TEXT)) == ["pattern: 1 is not of type 'string'"]


def test_a_remote_reference_is_not_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: opened.append(address))
    with pytest.raises(Exception, match=r"127\.0\.0\.1"):
        value_faults({}, {"$ref": "http://127.0.0.1:9/schema.json"})
    assert opened == []


@with_each(
    "schema, expected",
    [
        (closed(a=TEXT, b={"type": "array", "items": {"type": "integer"}}), True),
        (closed(a={"enum": ["x", "y", None]}), True),
        (closed(a={"const": 1}), True),
        (closed(a={"anyOf": [TEXT, {"type": "null"}]}), True),
        (closed(a={"oneOf": [TEXT, closed(b=TEXT)]}), True),
        (closed(a={"$ref": "#/$defs/b"}) | {"$defs": {"b": closed(c=TEXT)}}, True),
        ({"type": "object", "properties": {"a": TEXT}}, True),
        ({"type": "object"}, False),
        (closed(a=TEXT) | {"additionalProperties": TEXT}, False),
        (closed(a=TEXT) | {"additionalProperties": True}, False),
        (closed(a=TEXT) | {"patternProperties": {"x": TEXT}}, False),
        (closed(a={}), False),
        (closed(a=True), False),
        (closed(a={"type": "array"}), False),
        (closed(a={"type": ["string", "null"]}), False),
        (closed(a={"enum": [{"x": 1}]}), False),
        (closed(a={"enum": []}), False),
        (closed(a={"allOf": [TEXT]}), False),
        (closed(a={"not": TEXT}), False),
        (closed(a={"type": "array", "prefixItems": [TEXT]}), False),
        (closed(a={"$ref": "#/$defs/b"}) | {"$defs": {"b": closed(c={"$ref": "#/$defs/b"})}}, False),
        (closed(a={"$ref": "#/$defs/none"}), False),
        (closed(a={"$ref": "#/definitions/b"}) | {"definitions": {"b": TEXT}}, False),
        (closed(a={"$ref": "#"}), False),
    ],
)
def test_what_constrained_decoding_can_express(schema: dict[str, Any], expected: bool) -> None:
    import anthropic

    assert decodable(schema) is expected
    if expected:
        # What the SDK makes of it must be what the simulator, by Anthropic's documentation, takes.
        check_decodable(anthropic.transform_schema(schema))


def test_a_schema_without_references_is_embedded_as_it_is() -> None:
    schema = closed(a=TEXT)
    assert embedded(schema, "output") == (schema, {})


def test_a_schema_with_references_still_means_the_same_inside_another() -> None:
    schema = closed(home={"$ref": "#/$defs/address"}, work={"$ref": "#/properties/home"})
    schema["$defs"] = {"address": closed(city=TEXT)}
    place, definitions = embedded(schema, "output")
    larger = closed(output={"anyOf": [place, {"type": "null"}]}) | definitions
    good = {"home": {"city": "a"}, "work": {"city": "b"}}
    assert value_faults(good, schema) == value_faults({"output": good}, larger) == []
    bad = {"home": {"city": 1}, "work": {"city": "b"}}
    assert value_faults({"output": bad}, larger) == [f"output.{fault}" for fault in value_faults(bad, schema)]


def test_a_reference_inside_data_is_left_alone() -> None:
    schema = closed(a={"enum": [{"$ref": "#/x"}]})
    assert embedded(schema, "output") == (schema, {})


def test_many_faults_are_counted_rather_than_listed() -> None:
    faults = [str(number) for number in range(MOST_FAULTS + 5)]
    assert listed(faults) == [*faults[:MOST_FAULTS], "and 5 more"]
    assert listed(faults[:MOST_FAULTS]) == faults[:MOST_FAULTS]
