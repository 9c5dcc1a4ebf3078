"""What a row shows of text that people and models wrote."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from chassis.ui.board_view import Row
from chassis.ui.links import Links
from chassis.ui.pages import parts
from chassis.ui.queries import EVER, Instance, RunState
from tests.injection.corpus import CORPUS

RUN = RunState("d", "r", "running", None, None, None, {}, ())


def row(name: str = "one", state: str | None = "success", **card: Any) -> str:
    known = {"line": "Done.", "usd": 0.5, "tokens": 1200} | card
    instance = Instance("t", 0, state, 2, None, None, None, EVER, "", changed=True, card=known)
    drawn = parts("board_parts.html").row(Links(), RUN, Row(instance, name, True, ()), datetime.now(UTC))
    return str(drawn)


@pytest.mark.parametrize("text", [each.text for each in CORPUS])
def test_hostile_text_makes_no_element(text: str) -> None:
    plain = row()
    for drawn in (row(line=text), row(name=text)):
        assert drawn.count("<") == plain.count("<")
        assert drawn.count(">") == plain.count(">")
        assert drawn.count('"') == plain.count('"')


def test_a_state_is_a_word_and_not_a_colour_alone() -> None:
    assert ">failed</span>" in row(state="failed")
    assert "not started: something before it failed" in row(state="upstream_failed")
    assert ">not started</span>" in row(state=None)


def test_what_was_carried_over_or_amended_says_so() -> None:
    assert "carried over" in row(carried_from="manual__1")
    assert "amended" in row(amendment=3)
    assert "carried over" not in row()
    assert "amended" not in row()


def test_a_row_leads_to_its_page_and_out_of_the_frame_to_airflows() -> None:
    drawn = row()
    assert f'href="{Links().task("d", "r", "t", 0)}"' in drawn
    assert f'href="{Links().airflow_task("d", "r", "t", 0)}" target="_top"' in drawn
