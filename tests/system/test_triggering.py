"""Runs that a form, the REST API or a schedule starts."""

from __future__ import annotations

import pytest

from chassis.plans.store import PlanStore
from chassis.workflow import load_plan
from tests.system.driver import AirflowDriver, wait_for


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({}, "requirement"),
        ({"requirement": ""}, "''"),
        ({"requirement": "Add 1 and 2", "workflow_id": "Not An Id"}, "Not An Id"),
        ({"requirement": "Add 1 and 2", "max_parallel": 0}, "0"),
        ({"requirement": "Add 1 and 2", "action": "destroy"}, "destroy"),
        ({"requirement": "Add 1 and 2", "budget_usd": "much"}, "much"),
    ],
)
def test_wrong_parameters_are_refused_with_the_reason(
    airflow: AirflowDriver, parameters: dict[str, object], reason: str
) -> None:
    answer = airflow.http.post("/dags/plan_workflow/dagRuns", json={"logical_date": None, "conf": parameters})
    assert answer.status_code in (400, 422)
    assert reason in answer.text


def test_a_cron_or_timezone_that_does_not_exist_fails_the_planner_before_claude_is_asked(
    airflow: AirflowDriver, simulator: object
) -> None:
    wrong = {"requirement": "Add 1 and 2", "schedule": "61 * * * *", "timezone": "Europe/Atlantis"}
    run_id = airflow.trigger("plan_workflow", wrong)
    assert airflow.wait_run("plan_workflow", run_id) == "failed"
    log = airflow.log("plan_workflow", run_id, "plan")
    assert "61 * * * *" in log
    assert "Europe/Atlantis" in log
    assert simulator.requests() == []  # type: ignore[attr-defined]


def test_a_workflow_runs_again_with_other_inputs(airflow: AirflowDriver) -> None:
    workflow_id, _ = airflow.plan(
        "Add travel insurance product to services pricing and claims", action="publish"
    )
    run_id = airflow.trigger(workflow_id, {"product": "boat insurance"})
    assert airflow.wait_run(workflow_id, run_id) == "success"
    assert "boat insurance" in str(airflow.result(workflow_id, run_id, "update_service", 0))
    answer = airflow.http.post(
        f"/dags/{workflow_id}/dagRuns", json={"logical_date": None, "conf": {"product": 7}}
    )
    assert answer.status_code in (400, 422)
    assert "7" in answer.text


def test_a_plan_with_a_cron_gets_its_scheduled_run(airflow: AirflowDriver, store: PlanStore) -> None:
    workflow_id, _ = airflow.plan(
        "Add 20 and 22",
        workflow_id="sum_every_minute",
        schedule="* * * * *",
        timezone="Europe/Berlin",
        action="publish",
    )
    spec = load_plan(store.read_text(store.heads()[workflow_id]))
    assert spec.schedule is not None
    assert spec.schedule.cron == "* * * * *"

    def scheduled() -> dict[str, object] | None:
        runs = airflow.get(f"/dags/{workflow_id}/dagRuns")["dag_runs"]
        return next((run for run in runs if run["run_type"] == "scheduled"), None)

    run = wait_for("a scheduled run", scheduled, seconds=100)
    assert airflow.wait_run(workflow_id, str(run["dag_run_id"])) == "success"
    assert "42" in str(airflow.result(workflow_id, str(run["dag_run_id"]), "report_result"))
    paused = airflow.http.patch(f"/dags/{workflow_id}", json={"is_paused": True})
    assert paused.is_success, "the rest of the suite needs no further runs"
