"""What a row shows of text that people and models wrote."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from chassis.contract.addresses import Links
from chassis.contract.run_view import InstanceView, RunView, TaskView
from chassis.contract.xcoms import Card
from chassis.ui.board_view import Row
from chassis.ui.page_templates import parts
from tests.injection.corpus import Attack, each_text

RUN = RunView(workflow_id="d", run_id="r", title="d", state="running", active=True)


def row(name: str = "one", state: str | None = "success", task_id: str = "t", **card: Any) -> str:
    known = {"line": "Done.", "usd": 0.5, "tokens": 1200} | card
    task = TaskView(id=task_id, name="T", mapped=True)
    at = InstanceView(
        map_index=0, item=name, state=state, card=Card(**known), carried_from=card.get("carried_from", "")
    )
    return str(parts("board_parts.html").row(Links(), RUN, Row(task, at), datetime.now(UTC)))


@each_text
def test_hostile_text_makes_no_element(attack: Attack) -> None:
    text = attack.text
    plain = row()
    for drawn in (row(line=text), row(name=text)):
        assert drawn.count("<") == plain.count("<")
        assert drawn.count(">") == plain.count(">")
        assert drawn.count('"') == plain.count('"')


def test_a_state_is_a_word_and_not_a_colour_alone() -> None:
    assert ">failed</span>" in row(state="failed")
    assert ">upstream_failed</span>" in row(state="upstream_failed")
    assert ">no status</span>" in row(state=None)


@pytest.mark.parametrize("state", ["success", "deferred", "up_for_retry", "awaiting_input", "removed"])
def test_a_state_is_called_what_airflow_calls_it(state: str) -> None:
    assert f">{state}</span>" in row(state=state)


def test_costs_in_a_column_have_the_same_number_of_decimals() -> None:
    assert [re.findall(r"\$[\d.]+", row(usd=usd)) for usd in (0.00306, 0.5, 12)] == [
        ["$0.0031"],
        ["$0.5000"],
        ["$12.0000"],
    ]


def test_rows_of_several_tasks_with_the_same_item_have_links_that_are_not_called_the_same() -> None:
    labels = []
    for task_id in ("review", "fix"):
        drawn = row("claims", task_id=task_id)
        labels += [re.sub(r"<[^>]+>", "", link) for link in re.findall(r"<a [^>]+>(.*?)</a>", drawn)]
    assert len(labels) == len(set(labels)) == 6


def test_what_was_carried_over_or_amended_says_so() -> None:
    assert "carried over" in row(carried_from="manual__1")
    assert "amended" in row(amendment=3)
    assert "carried over" not in row()
    assert "amended" not in row()


def test_a_row_leads_to_its_page_and_out_of_the_frame_to_airflows() -> None:
    drawn = row()
    assert f'href="{Links().task("d", "r", "t", 0)}"' in drawn
    assert f'href="{Links().airflow_task("d", "r", "t", 0)}" target="_top"' in drawn
