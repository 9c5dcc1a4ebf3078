from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chassis.ui.board_view import OVERLAP, SETTLED, Board
from chassis.ui.queries import Instance, RunState
from chassis.workflow import load_plan

PLAN = """
schema_version: 1
id: two_steps
title: Two steps
requirement: Do it for both.
tasks:
  - {id: prepare, name: Prepare, instruction: Prepare., agent: task-executor}
  - {id: do, name: Do it, instruction: "Do {item}.", agent: task-executor, depends_on: [prepare],
     for_each: {items: [one, two]}}
  - {id: verify, name: Verify, instruction: "Verify {item}.", agent: task-executor, depends_on: [do],
     for_each: {same_as: do}}
  - {id: join, name: Join, instruction: Join., agent: task-executor, depends_on: [verify]}
"""
SPEC = load_plan(PLAN, source="the test")
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def at(task_id: str, map_index: int, state: str | None, *, changed: bool = False, **facts: Any) -> Instance:
    return Instance(
        **{
            "task_id": task_id,
            "map_index": map_index,
            "state": state,
            "try_number": 1,
            "start": None,
            "end": None,
            "label": None,
            "updated": NOW,
            "operator": "ClaudeTaskOperator",
            "changed": changed,
            **facts,
        }
    )


def board(*instances: Instance, state: str = "running") -> Board:
    return Board(RunState("two_steps", "r", state, NOW, None, None, {}, instances), SPEC)


HALFWAY = (
    at("prepare", -1, "success"),
    at("do", 0, "success", changed=True),
    at("do", 1, "failed"),
    at("verify", 0, None),
    at("verify", 1, "upstream_failed"),
    at("join", -1, None),
)


def waits(shown: Board) -> dict[str, tuple[str, ...]]:
    return {row.key: row.waits for group in shown.groups for row in group.rows if row.waits}


def test_the_tasks_stand_in_the_plans_order_with_a_row_for_each_item() -> None:
    shown = board(*reversed(HALFWAY))
    assert [group.task_id for group in shown.groups] == ["prepare", "do", "verify", "join"]
    assert {row.name for row in shown.groups[1].rows} == {"one", "two"}
    assert shown.groups[3].after == ("Verify",)


def test_an_item_waits_for_its_own_item_and_a_join_for_all() -> None:
    assert waits(board(*HALFWAY)) == {"join---1": ("Verify",)}
    pending = [at("do", 0, "running"), at("do", 1, "success"), at("verify", 0, None), at("verify", 1, None)]
    assert waits(board(*pending)) == {"verify--0": ("Do it",)}


def test_nothing_waits_in_a_run_that_has_ended() -> None:
    assert waits(board(*HALFWAY, state="failed")) == {}


def test_a_refresh_draws_what_changed_and_what_waits_for_it_and_nothing_else() -> None:
    waiting = [each if each.task_id != "do" else at("do", each.map_index, "running") for each in HALFWAY]
    waiting[1] = at("do", 0, "running", changed=True)
    changed = {row.key for _, row in board(*waiting).changed()}
    assert changed == {"do--0", "verify--0"}


def test_a_mapped_task_has_one_row_until_its_items_are_known() -> None:
    shown = board(at("do", -1, None))
    assert [row.key for row in shown.groups[0].rows] == ["do---1"]
    assert shown.groups[0].mapped


def test_an_item_that_only_the_run_knows_is_called_by_its_label_or_its_number() -> None:
    spec = load_plan(
        PLAN.replace("for_each: {items: [one, two]}", "for_each: {input: names}").replace(
            "tasks:\n", "inputs: {names: {type: array}}\ntasks:\n"
        ),
        source="the test",
    )
    run = RunState(
        "two_steps",
        "r",
        "running",
        NOW,
        None,
        None,
        {},
        (at("do__items", -1, "success"), at("do", 0, "running", label="claims"), at("do", 1, None)),
    )
    items, do = Board(run, spec).groups
    assert items.name == "Do it: items"
    assert [row.name for row in do.rows] == ["claims", "item 2"]
    assert do.after == ("Prepare", "Do it: items")


def test_a_task_that_the_plan_does_not_name_is_shown_all_the_same() -> None:
    shown = board(at("other", -1, "removed"), at("prepare", -1, "success"))
    assert [group.task_id for group in shown.groups] == ["prepare", "other"]


def test_how_long_a_try_takes_counts_on_while_it_runs() -> None:
    running, ended, queued = (
        at("prepare", -1, state, start=NOW - timedelta(seconds=9), end=end)
        for state, end in (("running", None), ("success", NOW - timedelta(seconds=4)), ("queued", None))
    )
    seconds = [board(each).groups[0].rows[0].seconds(NOW) for each in (running, ended, queued)]
    assert seconds == [9, 5, None]


@pytest.mark.parametrize("state", ["upstream_failed", "skipped", "scheduled", None])
def test_what_never_ran_took_no_time_although_airflow_has_its_start_and_end(state: str | None) -> None:
    (row,) = board(at("join", -1, state, start=NOW, end=NOW)).groups[0].rows
    assert row.seconds(NOW) is None


class TestWhyATaskFailedOrNeverRan:
    RUN = (
        at("prepare", -1, "success"),
        at("do", 0, "success"),
        at("do", 1, "failed"),
        at("verify", 0, "failed"),
        at("verify", 1, "upstream_failed"),
        at("join", -1, "upstream_failed"),
    )

    def test_a_row_names_what_it_waited_for_in_vain(self) -> None:
        rows = {row.key: row.problem for group in board(*self.RUN).groups for row in group.rows}
        assert rows["verify--1"] == "Not started: Do it failed."
        assert rows["join---1"] == "Not started: Verify failed."
        assert rows["do--0"] == ""

    def test_a_row_without_a_card_tells_the_reason_that_was_found(self) -> None:
        reasons = {("do", 1): "Task do failed: ValueError"}
        shown = Board(RunState("two_steps", "r", "failed", NOW, None, None, {}, self.RUN), SPEC, reasons)
        assert shown.groups[1].rows[1].problem == "Task do failed: ValueError"

    def test_the_causes_are_the_failed_ones_however_far_upstream_and_of_an_item_its_own(self) -> None:
        shown = board(*self.RUN)
        assert [row.label for row in shown.causes("join", -1)] == ["do [two]", "verify [one]"]
        assert [row.label for row in shown.causes("verify", 1)] == ["do [two]"]
        assert shown.causes("prepare", -1) == []


class TestOutdatedResults:
    """A task that was amended and run again leaves what rests on its old result; that is marked."""

    @staticmethod
    def outdated(**ended: int) -> list[str]:
        """The rows marked in a run whose tasks took one minute each, one after the other.

        :param ended: for tasks that ran again, the minute in which they ended
        """
        places = [("prepare", -1), ("do", 0), ("do", 1), ("verify", 0), ("verify", 1), ("join", -1)]
        minutes = {"prepare": 1, "do": 3, "verify": 5, "join": 7}

        def instance(task_id: str, index: int) -> Instance:
            end = ended.get(f"{task_id}_{index}", ended.get(task_id, minutes[task_id]))
            start, stop = (NOW + timedelta(minutes=minute) for minute in (end - 1, end))
            return at(task_id, index, "success", start=start, end=stop)

        shown = board(*(instance(*place) for place in places), state="success")
        return [row.label for group in shown.groups for row in group.rows if row.outdated]

    def test_what_ran_in_its_turn_is_not(self) -> None:
        assert self.outdated() == []

    def test_what_rests_on_it_is_however_far_downstream(self) -> None:
        assert self.outdated(prepare=20) == ["do [one]", "do [two]", "verify [one]", "verify [two]", "join"]

    def test_of_an_item_only_its_own_next_step_and_what_joins_it(self) -> None:
        assert self.outdated(do_0=20) == ["verify [one]", "join"]

    def test_what_was_run_again_with_it_is_not(self) -> None:
        assert self.outdated(do_0=20, verify_0=22, join=24) == []


def test_an_item_that_is_gone_is_shown_and_neither_counted_nor_waited_for() -> None:
    gone = [at("do", 0, "success"), at("do", 1, "removed"), at("verify", 0, "success"), at("join", -1, None)]
    shown = board(*gone)
    assert shown.counts == {"success": 2, "none": 1}
    assert shown.groups[0].counts == {"success": 1}
    assert [row.at.state for row in shown.groups[0].rows] == ["success", "removed"]
    gone[2] = at("verify", 0, "removed")
    assert waits(board(*gone)) == {}


def test_a_refresh_looks_back_a_little_until_the_run_has_settled() -> None:
    shown = board(*HALFWAY)
    assert shown.since(NOW) == NOW - OVERLAP
    assert shown.since(NOW + SETTLED) == NOW
