"""What tasks leave as ``spending``: read once, added up by the newest word, and shown beside the limits."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from chassis.cli.render import status_view, totals
from chassis.cli.report import Report, Row
from chassis.cli.spending import SpendingReader, latest, settled
from chassis.contract.spending import Spending
from chassis.errors import LimitSpentError
from tests.unit.cli.made_up_runs import RUN, USAGE, spending, workflow_run
from tests.unit.cli.test_render import rendered
from tests.unit.fake_airflow import FakeAirflow, FakeDag, FakeRun

if TYPE_CHECKING:
    from chassis.airflow_client import Airflow
    from tests.unit.cli.conftest import Chassis

PLANNING = {"usage": USAGE, "cost_usd": 0.02, "simulated": False, "spending": spending(0.04, 0.04)}
UNSEEN = {"uncertain_calls": 2, "uncertain": {"tokens": 900, "cost_usd": 0.3}}


def found(task_usd: float, run_usd: float, **facts: Any) -> Spending:
    value = Spending.of(spending(task_usd, run_usd, **facts))
    assert value is not None
    return value


def ended(task_id: str, spent: Spending | None, state: str = "success") -> Row:
    return Row(task_id, None, task_id, state, (), try_number=1, spending=spent)


def report(*rows: Row, state: str = "success", **more: Any) -> Report:
    return Report("onboard", 1, "r1", state, rows, **more)


class TestReader:
    @pytest.fixture
    def run(self, fake: FakeAirflow) -> FakeRun:
        run = FakeRun("running")
        fake.dags["onboard"] = FakeDag(runs={"r1": run})
        return run

    def reads(self, fake: FakeAirflow) -> list[str]:
        paths = [path for _, path, _ in fake.requests if path.endswith("/xcomEntries/spending")]
        return [path.split("/")[8] for path in paths]

    def test_each_end_of_a_task_is_read_once(self, fake: FakeAirflow, airflow: Airflow, run: FakeRun) -> None:
        run.xcoms[("a", -1, "spending")] = spending(0.5, 0.5)
        reader = SpendingReader(airflow, "onboard", "r1")
        rows = (ended("a", None), ended("b", None, "running"), ended("c", None, "failed"))
        for _ in range(3):
            filled = reader.fill(rows)
        assert [row.spending and row.spending.task.cost_usd for row in filled] == [0.5, None, None]
        assert reader.fill(rows, every=True) == filled
        assert self.reads(fake) == ["a", "c"], "not what runs, and nothing twice"

    def test_what_a_try_spent_stays_known_while_the_task_runs_again(
        self, fake: FakeAirflow, airflow: Airflow, run: FakeRun
    ) -> None:
        reader = SpendingReader(airflow, "onboard", "r1")
        run.xcoms[("a", -1, "spending")] = spending(0.5, 0.5)
        first = ended("a", None, "up_for_retry")
        assert reader.fill([first])[0].spent is not None
        run.xcoms.clear()  # as Airflow does when a task runs again
        (running,) = reader.fill([replace(first, state="running", try_number=2)])
        assert running.spending is not None
        run.xcoms[("a", -1, "spending")] = spending(0.75, 0.75)
        (second,) = reader.fill([replace(first, state="success", try_number=2)])
        assert second.spending is not None
        assert second.spending.task.cost_usd == 0.75

    def test_one_look_at_a_wide_run_reads_a_bounded_number(
        self, fake: FakeAirflow, airflow: Airflow, run: FakeRun
    ) -> None:
        rows = [ended(f"t{number}", None) for number in range(50)]
        reader = SpendingReader(airflow, "onboard", "r1")
        reader.fill(rows)
        assert len(self.reads(fake)) == 20
        reader.fill(rows)
        assert len(self.reads(fake)) == 40
        reader.fill(rows, every=True)
        assert len(set(self.reads(fake))) == len(self.reads(fake)) == 50

    @pytest.mark.parametrize(
        "value", [None, "x", [], {}, {"task": {}}, {**spending(1, 1), "run": {"calls": -1}}]
    )
    def test_what_is_no_spending_is_none(self, value: Any) -> None:
        assert Spending.of(value) is None


class TestSums:
    def test_the_run_has_spent_what_the_task_that_ended_last_says(self) -> None:
        rows = (
            ended("a", found(0.5, 0.5)),
            ended("b", found(0.25, 1.25), "failed"),
            ended("c", found(0.5, 1.0)),
        )
        whole = report(*rows)
        assert whole.spent is not None
        assert whole.spent.cost_usd == 1.25, "0.50 of it by tries whose tasks are being cleared"

    def test_planning_comes_on_top_with_all_of_its_tries(self) -> None:
        document = report(ended("a", found(0.5, 0.5)), planning=PLANNING).document()
        assert (document["usage"]["cost_usd"], document["total_usage"]["cost_usd"]) == (0.5, 0.54)
        older = {name: value for name, value in PLANNING.items() if name != "spending"}
        assert (
            report(ended("a", found(0.5, 0.5)), planning=older).document()["total_usage"]["cost_usd"] == 0.52
        )

    def test_of_equally_much_the_word_with_fewer_open_calls_is_the_newer_one(self) -> None:
        earlier = found(0.5, 0.5, open_calls=1, open={"tokens": 900, "cost_usd": 0.3})
        later = found(0.5, 0.5)
        assert latest([earlier, later]) is later
        assert latest([later, earlier]) is later
        assert latest([]) is None

    def test_in_a_run_that_has_ended_nobody_saw_the_end_of_open_calls(self) -> None:
        open_ = found(0.5, 0.5, open_calls=1, open={"tokens": 900, "cost_usd": 0.3}, **UNSEEN)
        usage = report(ended("a", open_)).document()["usage"]
        assert (usage["uncertain_calls"], usage["uncertain_usd"], usage["uncertain_tokens"]) == (3, 0.6, 1800)
        usage = report(ended("a", open_), state="running").document()["usage"]
        assert (usage["uncertain_calls"], usage["uncertain_usd"]) == (2, 0.3)
        assert settled(open_.run).spent_usd == pytest.approx(1.1)

    def test_tasks_of_an_older_chassis_are_added_up_from_their_results(self) -> None:
        rows = [
            replace(ended(name, None), usage={**USAGE, "cost_usd": cost})
            for name, cost in (("a", 0.5), ("b", 1))
        ]
        assert report(*rows).document()["usage"]["cost_usd"] == 1.5

    def test_the_document_gives_the_limits_and_the_price_list(self) -> None:
        spent = found(0.5, 0.5, limits={"budget_usd": 5.0}, ceilings={"max_calls": 9})
        document = report(ended("a", spent)).document()
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
        line = totals(report(ended("a", found(0.5, 1.2, **facts)))).plain
        assert line == f"Run success: 1,800 tokens (1,200 in; 600 out) · {shown}"

    def test_what_planning_cost_is_not_held_against_the_runs_limit(self) -> None:
        spent = found(0.5, 1.2, limits={"budget_usd": 5.0})
        line = totals(report(ended("a", spent), planning=PLANNING)).plain
        assert "$1.20 of $5.00 · planning: 60 tokens, $0.04 · together: 1,860 tokens, $1.24" in line

    def test_a_simulated_run_with_a_limit_says_that_nothing_was_paid(self) -> None:
        row = replace(ended("a", found(0.5, 1.2, limits={"budget_usd": 5.0})), simulated=True)
        assert "$1.20 of $5.00 · simulated: not Claude, so nothing was paid" in totals(report(row)).plain

    def test_the_table_has_what_each_task_spent_failed_ones_too(self) -> None:
        limited = found(0.25, 1.2, task_limits={"budget_usd": 0.5})
        rows = (ended("a", found(0.5, 0.5)), ended("b", limited, "failed"), ended("c", None, "running"))
        lines = rendered(status_view(report(*rows, state="running"), live=True)).splitlines()
        assert "Spent" in lines[1]
        assert lines[3].endswith("750 tokens, $0.5000".ljust(len(lines[3]) - lines[3].index("750")))
        assert "375 tokens, $0.2500 of $0.50" in lines[4]
        assert lines[5].split() == ["c", "c", "running"]
        assert "1 success · 1 failed · 1 running · $1.20" in lines[-1]

    def test_a_live_line_says_that_the_plan_was_simulated(self) -> None:
        spent = ended("a", found(0.5, 0.5))
        simulated = report(spent, state="running", planning={**PLANNING, "simulated": True})
        assert "$0.50 (simulated: not Claude)" in rendered(status_view(simulated, live=True))

    def test_as_long_as_nothing_is_known_of_there_is_no_column(self) -> None:
        assert "Spent" not in rendered(status_view(report(ended("c", None, "running")), live=True))


def test_status_shows_limits_and_what_a_failed_task_spent_and_reads_it_once(
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
    read = [path for _, path, _ in fake.requests if path.endswith("/xcomEntries/spending")]
    assert len(read) == 2
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
    spent = LimitSpentError(
        scope="run", limit_name="budget_usd", limit=1, spent=1, workflow_id="onboard", task_id="update"
    )
    run.xcoms[("update", 1, "error")] = spent.describe()
    shown = chassis("status", "onboard").stdout
    assert "chassis retry onboard update --latest" in shown
    assert "Again:" not in shown


def test_run_counts_a_failed_try_of_the_planner(chassis: Chassis, planner: FakeDag) -> None:
    planner.starts["p1"].xcoms[("plan", -1, "spending")] = spending(0.04, 0.04)
    document = json.loads(chassis("run", "Onboard", "--json").stdout)
    assert document["planning_usage"]["known_usd"] == 0.04
    assert document["planning_usage"]["input_tokens"] == 40, "4 cents of tokens"
    assert document["total_usage"]["input_tokens"] == 40 + 30, "and 30 tokens by the tasks"
