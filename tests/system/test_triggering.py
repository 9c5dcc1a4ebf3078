"""Runs that a form, the REST API or a schedule starts."""

from __future__ import annotations

import pytest

from chassis.local.simulator import SimulatorControl
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
        ({"requirement": "Add 1 and 2", "schedule": "daily"}, "daily"),
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


def test_a_workflow_runs_again_with_other_inputs_and_not_with_misspelt_ones(
    airflow: AirflowDriver, simulator: SimulatorControl
) -> None:
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

    simulator.reset()
    run_id = airflow.trigger(workflow_id, {"prodct": "boat insurance"})
    planner_run = airflow.trigger("plan_workflow", {"requirement": "Add 1 and 2", "budgt_usd": 5})
    for dag_id, run, meant in (
        (workflow_id, run_id, "product"),
        ("plan_workflow", planner_run, "budget_usd"),
    ):
        assert airflow.wait_run(dag_id, run) == "failed"
        (failed,) = [each for each in airflow.instances(dag_id, run) if each["state"] == "failed"][:1]
        assert failed["try_number"] == 1, "a retry can't help"
        index = failed["map_index"]
        assert f"did you mean '{meant}'" in airflow.log(dag_id, run, failed["task_id"], map_index=index)
    assert simulator.requests() == []


def test_a_plan_with_a_cron_gets_its_scheduled_run_and_keeps_it_when_it_is_planned_again(
    airflow: AirflowDriver, store: PlanStore, simulator: SimulatorControl
) -> None:
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

    simulator.reset()
    again = {"requirement": "Add 20 and 23", "workflow_id": workflow_id}
    refused = airflow.trigger("plan_workflow", again)
    assert airflow.wait_run("plan_workflow", refused) == "failed"
    assert "is paused: its run would not start" in airflow.log("plan_workflow", refused, "plan")
    assert simulator.requests() == [], "nothing is paid for a run that would not start"

    published = airflow.trigger("plan_workflow", again | {"action": "publish"})
    assert airflow.wait_run("plan_workflow", published) == "success"
    assert load_plan(store.read_text(store.heads()[workflow_id])).schedule == spec.schedule
    for task_id in ("plan", "publish"):
        changes = airflow.result("plan_workflow", published, task_id)["changes"]
        assert "schedule kept: * * * * * Europe/Berlin" in changes
    assert "schedule kept: * * * * * Europe/Berlin" in airflow.log("plan_workflow", published, "publish")

    airflow.plan("Add 20 and 23", workflow_id=workflow_id, schedule="none", action="publish")
    assert load_plan(store.read_text(store.heads()[workflow_id])).schedule is None
