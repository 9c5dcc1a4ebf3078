from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from chassis.contract.xcoms import TaskError
from chassis.ui.board_view import Board
from chassis.ui.queries import EVER, Instance, RunState
from chassis.ui.run_reader import tasks_of_plan, view_run
from chassis.workflow import WorkflowSpec, load_plan
from tests.unit.ui.two_steps import PLAN

SPEC = load_plan(PLAN, source="the test")
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def at(task_id: str, map_index: int, state: str | None, *, changed: bool = False, **facts: Any) -> Instance:
    known = {"try_number": 1, "start": None, "end": None, "label": None, "operator": "PlannedTaskOperator"}
    updated = NOW if changed else NOW - timedelta(minutes=1)
    return Instance(task_id, map_index, state, **{**known, "updated": updated, **facts})


def board(
    *instances: Instance,
    state: str = "running",
    spec: WorkflowSpec = SPEC,
    since: datetime = EVER,
    failures: dict[tuple[str, int], TaskError] | None = None,
) -> Board:
    run = RunState("two_steps", "r", state, NOW, None, None, None, instances)
    plan: Any = SimpleNamespace(spec=spec, ref=SimpleNamespace(revision=1), pinned=True)
    return Board(view_run(run, plan, tasks_of_plan(spec), NOW, failures=failures), since)


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
    assert [group.task.id for group in shown.groups] == ["prepare", "do", "verify", "join"]
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
    changed = {row.key for _, row in board(*waiting, since=NOW - timedelta(seconds=1)).changed()}
    assert changed == {"do--0", "verify--0"}


def test_a_mapped_task_has_one_row_until_its_items_are_known() -> None:
    shown = board(at("do", -1, None))
    assert [row.key for row in shown.groups[0].rows] == ["do---1"]
    assert shown.groups[0].task.mapped


def test_an_item_that_only_the_run_knows_is_called_by_its_label_or_its_number() -> None:
    spec = load_plan(
        PLAN.replace("for_each: {items: [one, two]}", "for_each: {input: names}").replace(
            "tasks:\n", "inputs: {names: {type: array}}\ntasks:\n"
        ),
        source="the test",
    )
    run = (at("do__items", -1, "success"), at("do", 0, "running", label="claims"), at("do", 1, None))
    items, do = board(*run, spec=spec).groups
    assert items.task.name == "Do it: items"
    assert [row.name for row in do.rows] == ["claims", "item 2"]
    assert do.after == ("Prepare", "Do it: items")


def test_a_task_that_the_plan_does_not_name_is_shown_all_the_same() -> None:
    shown = board(at("other", -1, "removed"), at("prepare", -1, "success"))
    assert [group.task.id for group in shown.groups] == ["prepare", "other"]


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
        failures = {("do", 1): TaskError(kind="TaskFailedError", message="Task do failed: ValueError")}
        shown = board(*self.RUN, state="failed", failures=failures)
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
        return [row.label for group in shown.groups for row in group.rows if row.at.outdated]

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
