"""The nearest right name, and how wrong names are shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.workflow import nearest
from chassis.workflow.names import shown, suggestion


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("biuld", "build"),
        ("Build", "build"),
        ("DEPLOY", "deploy"),
        ("test-e2e", "test_e2e"),
        ("zzz", None),
        ("", None),
    ],
)
def test_the_nearest_name_is_found_through_slips_and_case(name: str, near: str | None) -> None:
    assert nearest(name, ["deploy", "build", "test_e2e"]) == near


def test_names_that_differ_in_case_alone_have_one_nearest() -> None:
    assert nearest("BUILD", ["Build", "build"]) == nearest("BUILD", ["build", "Build"])


@given(st.text(), st.lists(st.text(max_size=20)))
def test_the_nearest_name_is_a_candidate_and_independent_of_their_order(
    name: str, candidates: list[str]
) -> None:
    near = nearest(name, candidates)
    assert near is None or near in candidates
    assert nearest(name, candidates[::-1]) == near


@given(st.lists(st.text(min_size=1, max_size=20).filter(str.islower), min_size=1, unique=True), st.data())
def test_a_right_name_is_its_own_nearest(candidates: list[str], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(candidates))
    assert (nearest(name, candidates) or "").casefold() == name.casefold()


@pytest.mark.parametrize(
    ("candidates", "end"),
    [
        (["build"], "; did you mean 'build'?"),
        (["x", "y"], "; there are x, y"),
        (["x"], "; there is x"),
        ([], "; there are none"),
        ([f"{n:03}" for n in range(11)], ""),
    ],
)
def test_a_message_ends_in_the_nearest_name_or_in_the_names_there_are(
    candidates: list[str], end: str
) -> None:
    assert suggestion("biuld", candidates) == end


def test_a_wrong_name_is_shown_short_and_on_one_line() -> None:
    assert shown("a\nb") == r"'a\nb'"
    assert len(shown("x" * 1_000_000)) == 102
