"""Ids become names of folders: no id leaves its folder, and two ids never share one."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chassis.contract.record_paths import RunPaths, path_segment

ANY_TEXT = st.text(st.characters(codec=None), max_size=300)
LOOKALIKES = st.text(st.sampled_from(".%/~2E_\\ aA\x00é"), max_size=130)


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("add_pet_insurance", "add_pet_insurance"),
        ("manual__2026-11-22T10:00:00+00:00", "manual__2026-11-22T10%3A00%3A00%2B00%3A00"),
        ("..", "%2E."),
        (".", "%2E"),
        ("../../etc", "%2E.%2F..%2Fetc"),
        ("v1.2", "v1.2"),
        ("100%", "100%25"),
        ("a~b", "a%7Eb"),
        ("größe", "gr%C3%B6%C3%9Fe"),
        ("", "%"),
    ],
)
def test_a_name_is_readable_where_it_can_be(name: str, folder: str) -> None:
    assert path_segment(name) == folder


@given(st.one_of(ANY_TEXT, LOOKALIKES))
@example("\ud800")
@example("." * 300)
def test_a_quoted_name_is_one_plain_part_of_a_path(name: str) -> None:
    folder = path_segment(name)
    assert re.fullmatch(r"[A-Za-z0-9_%~-][A-Za-z0-9_.%~-]{0,119}", folder)
    assert PurePosixPath("root", folder).parts == ("root", folder)


@given(st.one_of(ANY_TEXT, LOOKALIKES), st.one_of(ANY_TEXT, LOOKALIKES))
@example("a/b", "a%2Fb")
@example("", "%")
@example("a" * 300, "a" * 301)
@example("~", "%7E")
def test_two_names_never_share_a_folder(one: str, other: str) -> None:
    assert (path_segment(one) == path_segment(other)) == (one == other)


def test_a_short_name_can_not_be_that_of_a_long_one() -> None:
    assert path_segment(path_segment("a" * 300)) != path_segment("a" * 300)


@given(LOOKALIKES, LOOKALIKES, LOOKALIKES, LOOKALIKES)
def test_two_runs_never_share_a_folder(dag: str, run: str, other_dag: str, other_run: str) -> None:
    same = (dag, run) == (other_dag, other_run)
    assert (RunPaths(dag, run).folder == RunPaths(other_dag, other_run).folder) == same
