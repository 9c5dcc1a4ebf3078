"""The board in Airflow's own API server app, over a scratch database; each in a process of its own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chassis.contract.run_view import NO_SUCH_RUN, RunView
from chassis.contract.workflow_rows import WorkflowList

PROJECT = Path(__file__).parents[3]


def run(*arguments: str) -> Any:
    """The JSON that a program prints last."""
    done = subprocess.run(
        [sys.executable, *arguments], cwd=PROJECT, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_a_board_of_a_thousand_tasks_costs_one_statement_a_refresh(figure: Callable[[str], None]) -> None:
    figures = run("-m", "benchmarks.board", "--instances", "1000", "--json")
    for name in ("page, queries", "refresh, queries", "refresh, 10 changed, queries"):
        assert figures[name] == 1, f"{name}: {figures[name]}"
    assert figures["refresh, rows"] == 0, "what didn't change isn't sent again"
    assert figures["refresh, 10 changed, rows"] in {10, 11}, "ten items, and the task that waits for them"
    assert figures["page, kB as sent"] < 150
    assert figures["JSON, pages"] == figures["JSON with results, pages"] == 2
    for name in ("JSON, queries", "JSON with results, queries"):
        assert figures[name] == 6, f"{name}: the run, its inputs and what its tasks left, for each page"
    assert figures["JSON, what changed, queries"] == 3
    assert figures["JSON, what changed, kB"] < 20, "what didn't change isn't sent again"
    figure("board: " + ", ".join(f"{name} {value}" for name, value in figures.items()))


@pytest.fixture(scope="module")
def below(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The board and the page of all workflows, below a sub-path, with a planner's run that waits."""
    return run("-m", "tests.integration.pages.below_a_sub_path", str(tmp_path_factory.mktemp("airflow")))


def test_pages_below_a_sub_path_lead_nowhere_else(below: Any) -> None:
    found = below["addresses"]
    assert len(found) > 10
    assert [address for address in found if not address.startswith("/airflow-sub/")] == []
    assert {address: status for address, status in found.items() if status not in {200, 303}} == {}


def test_the_page_of_all_workflows_has_what_waits_for_a_decision_and_keeps_planners_apart(below: Any) -> None:
    waiting, workflows, others = re.split("<h2 id=.(?:all|others)-title.>", below["workflows"])
    assert "&lt;b&gt;Bold&lt;/b&gt; plan" in waiting
    assert 'href="/airflow-sub/chassis/dags/planner/runs/r1/plan"' in waiting
    assert "big_workflow" in workflows
    assert "planner" not in workflows
    assert "planner" in others
    assert "paused" in others


class TestWhatFailedByOthers:
    """A failure that isn't Chassis's own is told on pages as ``chassis status`` tells it: by the task's log."""

    def test_board_and_task_page_tell_the_logs_last_error(self, below: Any) -> None:
        for page in ("board", "by an exception"):
            assert "Task do failed: AirflowException: &lt;b&gt;The bucket is gone" in below["failed"][page]

    def test_where_the_log_names_no_error_that_is_said_and_what_it_may_have_been(self, below: Any) -> None:
        assert "Task do failed: its log gives no reason" in below["failed"]["in silence"]
        assert "Its worker may have been killed" in below["failed"]["in silence"]

    def test_a_failed_task_is_not_said_to_have_no_result_yet(self, below: Any) -> None:
        for page in below["failed"].values():
            assert "There is none yet" not in page
            assert "No result yet" not in page

    def test_what_never_started_names_what_failed_before_it_and_took_no_time(self, below: Any) -> None:
        board, page = below["failed"]["board"], below["failed"]["upstream"]
        assert re.search(r"Not started: [^<]+ failed\.", board)
        assert re.findall(r'href="[^"]+/tasks/do/(\d)">', page) == ["2", "3"]
        assert "0.0 s" not in board + page


class TestTheSameAsJson:
    """What the board shows, for programs."""

    @staticmethod
    def run(below: Any, name: str) -> RunView:
        status, answer = below["json"][name]
        assert status == 200, answer
        return RunView.model_validate(answer)

    def test_a_run_has_its_tasks_results_and_errors(self, below: Any) -> None:
        do, join = self.run(below, "all").tasks
        assert [at.item for at in do.instances] == [f"item_{number}" for number in range(4)]
        assert [at.state for at in do.instances] == ["success", "success", "failed", "failed"]
        assert do.instances[0].result is not None
        assert do.instances[0].spent is not None
        assert [at.error is not None for at in do.instances] == [False, False, True, True]
        assert join.depends_on == ("do",)

    def test_a_failure_is_told_as_on_the_board(self, below: Any) -> None:
        errors = [at.error.message for at in self.run(below, "all").tasks[0].instances if at.error]
        assert errors[0] == "Task do failed: AirflowException: <b>The bucket is gone"
        assert "its log gives no reason" in errors[1]

    def test_the_pages_of_the_newest_run_joined_are_all_of_it(self, below: Any) -> None:
        first, rest, whole = (self.run(below, name) for name in ("newest", "rest", "all"))
        assert (first.next, rest.next) == (3, None)
        joined, expected = (
            [[(at.map_index, at.state, at.item) for at in task.instances] for task in run.tasks]
            for run in (first.joined(rest), whole)
        )
        assert joined == expected

    def test_without_being_asked_for_no_result_is_sent(self, below: Any) -> None:
        assert [at.result for task in self.run(below, "newest").tasks for at in task.instances] == [None] * 3

    @pytest.mark.parametrize("name", ["unknown", "never ran"])
    def test_a_run_that_is_not_there_is_told_from_a_route_that_is_not(self, below: Any, name: str) -> None:
        status, answer = below["json"][name]
        assert (status, answer["detail"]) == (404, NO_SUCH_RUN)

    def test_all_workflows_and_what_waits(self, below: Any) -> None:
        found = WorkflowList.model_validate(below["json"]["workflows"][1])
        assert {row.dag_id: row.planned for row in found.workflows} == {
            "big_workflow": True,
            "planner": False,
        }
        assert [(each.run_id, each.plan and each.plan.title) for each in found.waiting] == [
            ("r1", "<b>Bold</b> plan")
        ]
