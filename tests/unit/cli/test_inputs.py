from __future__ import annotations

import pytest

from chassis.cli.errors import UsageError
from chassis.cli.inputs import parse_inputs


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("pet insurance", "pet insurance"),
        ("3", 3),
        ("1.5", 1.5),
        ("true", True),
        ("null", None),
        ('["pricing", "claims"]', ["pricing", "claims"]),
        ('{"a": 1}', {"a": 1}),
        ('"3"', "3"),
        ("NaN", "NaN"),
        ("a=b", "a=b"),
        ("", ""),
        ("{{ 7 * 7 }}", "{{ 7 * 7 }}"),
    ],
)
def test_a_value_is_json_if_it_parses_and_text_otherwise(text: str, value: object) -> None:
    assert parse_inputs([f"name={text}"]) == {"name": value}


def test_several_inputs_come_together() -> None:
    assert parse_inputs(["product=pet insurance", "count=2"]) == {"product": "pet insurance", "count": 2}


def test_every_wrong_entry_is_named_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        parse_inputs(["product", "=x", "a=1", "a=2"])
    for words in ("'product'", "'=x'", "'a' is given twice"):
        assert words in caught.value.message
