"""What tasks leave as ``spending``: added up by the newest word, and shown beside the limits."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from chassis.cli.render import status_view, totals
from chassis.errors import LimitSpentError
from tests.unit.cli.made_up_runs import RUN, spending, workflow_run
from tests.unit.cli.made_up_views import planning, report, row, spent
from tests.unit.cli.test_render import rendered

if TYPE_CHECKING:
    from chassis.cli.report import Row
    from tests.unit.cli.conftest import Chassis
    from tests.unit.fake_airflow import FakeAirflow, FakeDag

PLANNING = planning(whole=spent(0.04, 0.04))
UNSEEN = {"uncertain_calls": 2, "uncertain": {"tokens": 900, "cost_usd": 0.3}}


def ended(task_id: str, usd: float | None, state: str = "success", **facts: Any) -> Row:
    """A task that has spent this."""
    return row(task_id, state, spent=None if usd is None else spent(usd, usd).task, **facts)


class TestSums:
    def test_the_run_has_spent_what_its_newest_word_says_and_planning_comes_on_top(self) -> None:
        one = report(ended("a", 0.5), spending=spent(0.5, 1.25), planning=PLANNING)
        usage = {
            name: one.document()[name]["cost_usd"] for name in ("usage", "planning_usage", "total_usage")
        }
        assert usage == {"usage": 1.25, "planning_usage": 0.04, "total_usage": 1.29}, (
            "tries being cleared are in it"
        )
        older = report(ended("a", 0.5), spending=spent(0.5, 0.5), planning=planning(0.02))
        assert older.document()["total_usage"]["cost_usd"] == 0.52, "of a planner that left no spending"

    def test_in_a_run_that_has_ended_nobody_saw_the_end_of_open_calls(self) -> None:
        open_ = spent(0.5, 0.5, open_calls=1, open={"tokens": 900, "cost_usd": 0.3}, **UNSEEN)
        usage = report(ended("a", 0.5), spending=open_).document()["usage"]
        assert (usage["uncertain_calls"], usage["uncertain_usd"], usage["uncertain_tokens"]) == (3, 0.6, 1800)
        usage = report(ended("a", 0.5), spending=open_, state="running").document()["usage"]
        assert (usage["uncertain_calls"], usage["uncertain_usd"]) == (2, 0.3)

    def test_tasks_of_an_older_chassis_are_added_up_from_their_results(self) -> None:
        assert report(ended("a", 0.5), ended("b", 1)).document()["usage"]["cost_usd"] == 1.5

    def test_the_document_gives_the_limits_and_the_price_list(self) -> None:
        whole = spent(0.5, 0.5, limits={"budget_usd": 5.0}, ceilings={"max_calls": 9})
        document = report(ended("a", 0.5), spending=whole).document()
        assert document["limits"] == {
            "run": {"budget_usd": 5.0},
            "task": {},
            "deployment": {"max_calls": 9},
            "max_parallel": 16,
        }
        assert document["prices"].startswith("genai-prices 0.0.1")
        assert document["tasks"][0]["usage"]["cost_usd"] == 0.5
        assert "limits" not in report(ended("a", None)).document()


class TestShown:
    @pytest.mark.parametrize(
        ("facts", "shown"),
        [
            ({"limits": {"budget_usd": 5.0}}, "$1.20 of $5.00"),
            ({"limits": {"budget_usd": 5.0}, "ceilings": {"budget_usd": 2.0}}, "$1.20 of $2.00"),
            ({"limits": {"max_tokens": 5000}}, "$1.20 · 1,800 of 5,000 tokens"),
            ({"ceilings": {"max_calls": 200}}, "$1.20 · 120 of 200 calls"),
            (UNSEEN, "$1.20, up to $0.30 more for 2 calls whose end nobody saw"),
            (
                {"limits": {"budget_usd": 5.0, "max_tokens": 5000}, **UNSEEN},
                "$1.20 of $5.00, up to $0.30 more for 2 calls whose end nobody saw · 2,700 of 5,000 tokens",
            ),
            ({"unpriced_calls": 3}, "$1.20, and 3 calls of unknown price"),
        ],
    )
    def test_the_totals_stand_beside_the_runs_limits(self, facts: dict[str, Any], shown: str) -> None:
        line = totals(report(ended("a", 0.5), spending=spent(0.5, 1.2, **facts))).plain
        assert line == f"Run success: 1,800 tokens (1,200 in; 600 out) · {shown}"

    def test_what_planning_cost_is_not_held_against_the_runs_limit(self) -> None:
        whole = spent(0.5, 1.2, limits={"budget_usd": 5.0})
        line = totals(report(ended("a", 0.5), spending=whole, planning=PLANNING)).plain
        assert "$1.20 of $5.00 · planning: 60 tokens, $0.04 · together: 1,860 tokens, $1.24" in line

    def test_a_simulated_run_with_a_limit_says_that_nothing_was_paid(self) -> None:
        whole = spent(0.5, 1.2, limits={"budget_usd": 5.0})
        line = totals(report(ended("a", 0.5, simulated=True), spending=whole)).plain
        assert "$1.20 of $5.00 · simulated: not Claude, so nothing was paid" in line

    def test_the_table_has_what_each_task_spent_failed_ones_too(self) -> None:
        rows = (ended("a", 0.5), ended("b", 0.25, "failed"), ended("c", None, "running"))
        whole = spent(0.25, 1.2, task_limits={"budget_usd": 0.5})
        lines = rendered(status_view(report(*rows, spending=whole, state="running"), live=True)).splitlines()
        assert "Spent" in lines[1]
        assert "750 tokens, $0.5000 of $0.50" in lines[3]
        assert "375 tokens, $0.2500 of $0.50" in lines[4]
        assert lines[5].split() == ["c", "c", "running"]
        assert "1 success · 1 failed · 1 running · $1.20" in lines[-1]

    def test_a_live_line_says_that_the_plan_was_simulated(self) -> None:
        simulated = report(ended("a", 0.5), state="running", planning=planning(simulated=True))
        assert "$0.50 (simulated: not Claude)" in rendered(status_view(simulated, live=True))

    def test_as_long_as_nothing_is_known_of_there_is_no_column(self) -> None:
        assert "Spent" not in rendered(status_view(report(ended("c", None, "running")), live=True))


def test_status_shows_limits_and_what_a_failed_task_spent_by_one_request(
    chassis: Chassis, fake: FakeAirflow, planner: FakeDag
) -> None:
    run = workflow_run(broken="claims")
    run.looks = 2
    run.xcoms[("update", 0, "spending")] = spending(0.5, 0.5, limits={"budget_usd": 5.0})
    run.xcoms[("update", 1, "spending")] = spending(0.7, 1.2, limits={"budget_usd": 5.0})
    fake.dags["onboard"].runs[RUN] = run
    result = chassis("status", "onboard")
    assert "1,050 tokens, $0.7000" in result.stdout, "of the item that failed"
    assert "$1.20 of $5.00" in result.stdout
    assert "failed: No access to the repository. Give it." in result.stdout, "as before"
    assert [path for _, path, _ in fake.requests[1:]] == ["/chassis/api/v1/dags/onboard/runs/~"]
    document = json.loads(chassis("status", "onboard", "--json").stdout)
    assert document["usage"]["cost_usd"] == 1.2
    assert [task["usage"] and task["usage"]["cost_usd"] for task in document["tasks"]] == [0.5, 0.7, None]


def test_a_spent_limit_is_not_told_to_be_tried_again_as_it_is(
    chassis: Chassis, fake: FakeAirflow, planner: FakeDag
) -> None:
    run = workflow_run(broken="claims")
    run.looks = 2
    fake.dags["onboard"].runs[RUN] = run
    assert "Again: chassis retry onboard update" in chassis("status", "onboard").stdout
    error = LimitSpentError(
        scope="run", limit_name="budget_usd", limit=1, spent=1, workflow_id="onboard", task_id="update"
    )
    run.xcoms[("update", 1, "error")] = error.describe()
    shown = chassis("status", "onboard").stdout
    assert "chassis retry onboard update --latest" in shown
    assert "Again:" not in shown


def test_run_counts_a_failed_try_of_the_planner(chassis: Chassis, planner: FakeDag) -> None:
    planner.starts["p1"].xcoms[("plan", -1, "spending")] = spending(0.04, 0.04)
    document = json.loads(chassis("run", "Onboard", "--json").stdout)
    assert document["planning_usage"]["known_usd"] == 0.04
    assert document["planning_usage"]["input_tokens"] == 40, "4 cents of tokens"
    assert document["total_usage"]["input_tokens"] == 40 + 30, "and 30 tokens by the tasks"
