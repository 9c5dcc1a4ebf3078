"""Errors cross borders as data, and quote without being obeyed."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis import errors
from chassis.errors import ChassisError, ClaudeError, PlanError, PlanFault, TaskBlockedError, restore_error
from chassis.text import DECEIVING
from tests.unit.workflow.strategies import json_values

NAMES = sorted(
    name
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, ChassisError)
)
texts = st.text(st.characters())


@given(texts, texts)
def test_a_message_is_signs_and_indented_and_survives_its_trip_unchanged(message: str, hint: str) -> None:
    error = TaskBlockedError(message, hint=hint, request_id="r", usage={"calls": 1})
    for told in (error.message, error.hint):
        assert not DECEIVING.search(told)
        assert all(line.startswith(("- ", "  ")) or not line for line in told.split("\n")[1:])
    for again in (restore_error(json.loads(json.dumps(error.describe()))), pickle.loads(pickle.dumps(error))):
        assert type(again) is TaskBlockedError
        assert again.describe() == error.describe()


@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=5))
def test_a_fault_is_one_line_whatever_it_quotes(faults: list[tuple[str, str]]) -> None:
    error = PlanError([PlanFault("code", where, message) for where, message in faults])
    head, *lines = error.message.rstrip("\n").split("\n")
    assert head == f"The plan has {len(faults)} fault{'s' if len(faults) > 1 else ''}:"
    assert len(lines) == len(faults)
    assert all(line.startswith("- ") for line in lines)
    assert restore_error(json.loads(json.dumps(error.describe()))).message == error.message


def test_a_message_is_bounded() -> None:
    assert len(ChassisError("x" * 1_000_000, hint="\n" * 1_000_000).message) <= 20_000
    assert len(ChassisError("x", hint="\n" * 1_000_000).hint) <= 20_000
    assert len(str(PlanFault("code", "x" * 1_000_000, "y"))) <= 2_000


@given(
    st.sampled_from(NAMES),
    st.dictionaries(st.sampled_from(["message", "hint", "faults", "usage", "x"]), json_values),
)
def test_what_only_looks_like_a_described_error_is_an_error_all_the_same(
    name: str, data: dict[str, Any]
) -> None:
    assert isinstance(restore_error({"class": name} | data), ChassisError)


@pytest.mark.parametrize("name", ["", "Exception", "os.system", "ChassisError.__init__", "KeyError"])
def test_a_class_that_is_none_of_chassis_own_is_not_made(name: str) -> None:
    error = restore_error({"class": name, "message": "m", "hint": "h"})
    assert type(error) is ChassisError
    assert str(error) == "m h"


def test_facts_that_are_none_are_left_out() -> None:
    error = restore_error({"class": "ClaudeError", "message": "m", "unknown": 1})
    assert type(error) in (ChassisError, ClaudeError)
    assert error.message == "m"
