"""The YAML that Chassis reads is JSON with fewer quotes; what it writes is the same to every reader."""

from __future__ import annotations

import re
import time
from itertools import pairwise
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from chassis.text import DECEIVING
from chassis.workflow import yaml_text
from chassis.workflow.yaml_text import MAX_FAULTS, YamlError, read_yaml, write_yaml
from tests.unit.workflow.strategies import json_values, spoken
from tests.with_each import with_each


@pytest.mark.parametrize(
    "text", ["no", "yes", "on", "12:30", "007", "0x1F", "1_000", "2026-03-01", ".inf", "<<", "1.2.3"]
)
def test_what_json_has_no_word_for_is_text(text: str) -> None:
    assert read_yaml(f"- {text}") == [text]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("~", None),
        ("null", None),
        ("", None),
        ("true", True),
        ("False", False),
        ("-3", -3),
        ("1.5", 1.5),
        ("2e3", 2000.0),
    ],
)
def test_what_json_has_a_word_for_is_that(text: str, value: object) -> None:
    found = read_yaml(f"- {text}")[0]
    assert found == value
    assert isinstance(found, type(value))
    assert isinstance(found, bool) == isinstance(value, bool)


def test_a_number_that_was_perhaps_meant_as_a_text_remembers_how_it_was_written() -> None:
    numbers = read_yaml("[1.10, 12e45, 1.5]")
    assert [str(number) for number in numbers] == ["1.10", "12e45", "1.5"]
    assert read_yaml(write_yaml(numbers)) == numbers == [1.1, 12e45, 1.5]


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("a: b: c", "a colon stands where none can; put the text in quotes"),
        ("a: @daily", "a text can't begin like this; put the text in quotes"),
        ("a:\n\tb: c", "indent with blanks, not with tabs"),
        ("a: 'x", "a quote or a bracket isn't closed"),
        ("a: [1, 2", "a bracket isn't closed, or a comma is missing"),
        ('a: "x" y', "this doesn't fit the lines before; look at quotes and indentation"),
    ],
)
def test_what_is_not_yaml_is_told_with_what_to_do(text: str, advice: str) -> None:
    with pytest.raises(YamlError, match=re.escape(advice)):
        read_yaml(text)


def test_quotes_make_anything_a_text() -> None:
    assert read_yaml("['1', \"true\", 'null']") == ["1", "true", "null"]


def test_keys_are_texts_whatever_they_look_like() -> None:
    assert read_yaml("1: a\nno: b\nnull: c") == {"1": "a", "no": "b", "null": "c"}


@given(st.one_of(json_values, st.lists(spoken), st.dictionaries(spoken, spoken)))
def test_what_is_written_is_read_as_it_was_by_any_reader(data: Any) -> None:
    text = write_yaml(data)
    assert read_yaml(text) == data
    assert yaml.safe_load(text) == data


@given(st.one_of(json_values, st.lists(spoken), st.dictionaries(spoken, spoken)))
def test_without_libyaml_the_same_is_read(data: Any) -> None:
    text = write_yaml(data)
    fast = yaml_text._PARSER
    try:
        yaml_text._PARSER = yaml.SafeLoader
        assert read_yaml(text) == data
    finally:
        yaml_text._PARSER = fast


def test_a_text_of_several_lines_is_written_as_a_block_also_with_tabs() -> None:
    assert write_yaml({"a": "Do:\n\tit\n"}) == "a: |\n  Do:\n  \tit\n"


def test_a_value_that_is_there_twice_is_written_twice() -> None:
    shared = ["a"]
    assert write_yaml({"x": shared, "y": shared}) == "x: [a]\ny: [a]\n"


def test_short_lists_stay_on_a_line_and_long_ones_do_not() -> None:
    assert write_yaml({"a": ["b"] * 3}) == "a: [b, b, b]\n"
    assert write_yaml({"a": ["b" * 60] * 2}) == f"a:\n  - {'b' * 60}\n  - {'b' * 60}\n"


def test_aliases_are_refused_before_they_grow() -> None:
    laughs = "a: &a [x, x]\n" + "".join(
        f"{new}: &{new} [*{old}, *{old}]\n" for old, new in pairwise("abcdefghi")
    )
    with pytest.raises(YamlError) as refused:
        read_yaml(laughs)
    assert {fault.code for fault in refused.value.faults} == {"yaml_alias"}


def test_all_faults_are_listed_with_the_lines_of_the_file() -> None:
    with pytest.raises(YamlError) as refused:
        read_yaml("a: 1\na: 2\nb: !x y", first_line=10)
    assert [(fault.code, fault.where) for fault in refused.value.faults] == [
        ("duplicate_key", "line 11, column 1"),
        ("yaml_tag", "line 12, column 4"),
    ]


def test_a_byte_order_mark_is_no_part_of_the_text() -> None:
    assert read_yaml(b"\xef\xbb\xbfa: 1") == {"a": 1}


def faults_of(text: str | bytes) -> list[str]:
    try:
        read_yaml(text)
    except YamlError as error:
        return [str(fault) for fault in error.faults]
    return []


_ESCAPES = r"\U000e0041" * 45_000
BIG = {
    "flow lists in each other": "[" * 999_999,
    "flow mappings in each other": "{a: " * 249_999,
    "lists in each other": "- " * 499_999,
    "complex keys in each other": "? " * 499_999,
    "mappings in each other": "\n".join(f"{' ' * depth}a:" for depth in range(1_400)),
    "tags": "- !a\n" * 199_999,
    "anchors": "- &a\n" * 199_999,
    "aliases": "a: &a [x]\nb: *a\n" * 59_999,
    "the same key": "a: 1\n" * 159_999,
    "long keys twice": f"? {'k' * 499_990}\n: 1\n" * 2,
    "keys of escapes twice": f'? "{_ESCAPES}"\n: 1\n' * 2,
    "a long tag": f"a: !<{'x' * 900_000}> b",
    "a tag of escapes": f"a: !<{'%0A' * 300_000}> b",
    "a long anchor": f"a: &{'x' * 900_000} b",
    "documents": "---\n" * 249_999,
    "comments": "#\n" * 499_999,
    "quotes": "'" * 999_999,
    "commas": f"[{',' * 999_000}",
    "numbers": f"[{','.join(['1' * 39] * 24_999)}]",
    "numbers that are too great": f"[{','.join(['1e999'] * 160_000)}]",
    "empty lines of a block": "a: |\n" + " \n" * 499_000,
}


@with_each("text", BIG)
def test_a_megabyte_of_anything_is_read_or_refused_within_seconds_and_in_bounded_words(text: str) -> None:
    started = time.process_time()
    faults = faults_of(text)
    assert len(faults) <= MAX_FAULTS + 1
    assert sum(map(len, faults)) < 200 * MAX_FAULTS
    assert time.process_time() - started < 5, "seconds of CPU"


ODD = {
    "a tag that isn't UTF-8": "a: !%ED%A0%80 x",
    "a tag with escapes for the terminal": "a: !<%1b[31m%0aforged%e2%80%ae> x",
    "UTF-16": "a: b".encode("utf-16"),
    "half of a character": "a: \ud800",
    "a null character": "a: \x00",
    "another version of YAML": "%YAML 9.9\n---\na: b",
    "another meaning of a tag": "%TAG !e! tag:evil,2000:\n---\na: !e!x b",
    "a merge key": "<<: {a: b}",
}


@pytest.mark.parametrize("text", ODD.values(), ids=ODD.keys())
def test_an_odd_text_is_read_or_refused_in_words_that_a_terminal_does_not_obey(text: str | bytes) -> None:
    for fault in faults_of(text):
        assert "\n" not in fault
        assert not DECEIVING.search(fault)
