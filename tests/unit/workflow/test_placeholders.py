"""What is put into an instruction, and what never happens to it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.workflow import render_instruction
from chassis.workflow.placeholders import placeholders

HOSTILE = [
    "{item}",
    "{other}",
    "{{ var.value.secret }}",
    "{item.__class__}",
    "{0}",
    "{item!r:>10}",
    "%(item)s",
    "${item}",
    "</result>",
    "\\1 \\g<0>",
    "x" * 1_000_000,
]


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: value[:20])
def test_a_value_goes_in_literally_whatever_it_looks_like(value: str) -> None:
    assert (
        render_instruction("a {product} b {item}", {"product": value, "other": "no"}, value)
        == f"a {value} b {value}"
    )


@pytest.mark.parametrize(
    "text", ["{item.__class__}", "{0}", "{}", "{item!r}", "{ item }", '{"a": 1}', "{it em}", "{é}"]
)
def test_other_braces_are_plain_text(text: str) -> None:
    assert placeholders(text) == ()
    assert render_instruction(text, {"a": "no", "item": "no"}, "no") == text


@given(
    st.text(),
    st.dictionaries(st.sampled_from(["a", "b", "item"]), st.text(), max_size=3),
    st.none() | st.text(),
)
def test_an_instruction_is_never_evaluated(
    instruction: str, inputs: dict[str, str], item: str | None
) -> None:
    text = f"{{a}}{instruction}{{item}}{{b}}"
    values = inputs | ({} if item is None else {"item": item})
    # The definition, by splitting: each {name} of a value is that value, everything else is itself.
    expected, rest = "", text
    while rest:
        name = next((name for name in values if rest.startswith(f"{{{name}}}")), None)
        step = rest[0] if name is None else f"{{{name}}}"
        expected += step if name is None else values[name]
        rest = rest[len(step) :]
    assert render_instruction(text, inputs, item) == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("pet", "pet"),
        (["de", "fr"], "de, fr"),
        ([], ""),
        (0.05, "0.05"),
        (3, "3"),
        (True, "true"),
        (None, "null"),
    ],
)
def test_a_value_that_is_no_text_is_written_for_people(value: Any, text: str) -> None:
    assert render_instruction("{x}", {"x": value}, None) == text


def test_a_name_without_a_value_stays_in_its_braces() -> None:
    assert render_instruction("{x} {item}", {}, None) == "{x} {item}"


def test_placeholders_are_listed_once_and_in_their_order() -> None:
    assert placeholders("{b} {a} {b} {item} {{c}}") == ("b", "a", "item", "c")
