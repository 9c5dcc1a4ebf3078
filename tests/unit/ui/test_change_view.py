"""A reviewer sees each change: the pieces that are the same or new make the new text, the others the old one."""

from __future__ import annotations

import time
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chassis.text import signs
from chassis.ui.change_view import FieldView, view_changes
from chassis.workflow.plan_changes import FieldChange, PlanChanges, plan_changes
from tests.injection.corpus import CORPUS, Attack
from tests.unit.workflow.strategies import plans
from tests.with_each import with_each


def field(before: Any, after: Any) -> FieldView:
    (view,) = view_changes(
        PlanChanges(workflow=(FieldChange(field="requirement", before=before, after=after),))
    ).workflow
    return view


def text_of(view: FieldView, *kinds: str) -> str:
    return "".join(piece.text for piece in view.pieces if piece.kind in kinds)


class TestTexts:
    def test_the_one_new_word_is_set_apart(self) -> None:
        view = field("Add the product to the list.", "Add the new product to the list.")
        assert [(piece.kind, piece.text) for piece in view.pieces if piece.kind != "same"] == [
            ("new", " new")
        ]

    @given(st.text(alphabet="ab \n", max_size=60), st.text(alphabet="ab \n", max_size=60))
    def test_nothing_is_left_out(self, before: str, after: str) -> None:
        view = field(before, after)
        assert text_of(view, "same", "gone") == before or before == after
        assert text_of(view, "same", "new") == after or before == after

    def test_two_texts_without_anything_in_common_follow_each_other(self) -> None:
        view = field("one two three", "four five six")
        assert [(piece.kind, piece.text) for piece in view.pieces] == [
            ("gone", "one two three"),
            ("new", "four five six"),
        ]

    def test_two_numbers_are_not_woven_into_each_other(self) -> None:
        assert [(piece.kind, piece.text) for piece in field(1.0, 0.2).pieces] == [
            ("gone", "1.0"),
            ("new", "0.2"),
        ]

    def test_what_wasnt_there_is_new(self) -> None:
        assert [piece.kind for piece in field(None, 5.0).pieces] == ["new"]

    @with_each("attack", [each for each in CORPUS if len(each.text) < 100_000])
    def test_texts_are_in_signs(self, attack: Attack) -> None:
        hostile = attack.text
        assert text_of(field("x", hostile), "same", "new") == signs(hostile)

    def test_long_texts_dont_take_long(self) -> None:
        started = time.process_time()
        field("a b c\n" * 20_000, "a c b\n" * 20_000)
        field(" ".join(map(str, range(2_000))), " ".join(map(str, range(1_999, 0, -1))))
        assert time.process_time() - started < 8


class TestLists:
    def test_names_are_told_one_by_one(self) -> None:
        view = field(["a", "b"], ["b", "c"])
        assert view.names
        assert [(piece.kind, piece.text) for piece in view.pieces] == [("gone", "a"), ("new", "c")]


@given(plans(), plans())
def test_every_task_that_changed_is_shown(old: Any, new: Any) -> None:
    changes = plan_changes(old, new)
    view = view_changes(changes)
    assert [(part.name, part.kind) for part in view.parts if part.what == "task"] == [
        (part.name, part.kind) for part in changes.tasks
    ]
    for part in view.parts:
        assert bool(part.fields) == (part.kind == "changed")
    assert view.summary
