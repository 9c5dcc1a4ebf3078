"""The main job on a real Airflow: a requirement in, the work of its tasks out, in order, with the right context."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from chassis.local.simulator import SimulatorControl
from tests.system.conftest import Chassis
from tests.system.driver import AirflowDriver, results_in_prompt

SUM = "Calculate the sum of 5 and 3"
PET = "Add pet insurance product to all services"
SERVICES = ["availability", "claims", "contracts", "documents", "notifications", "pricing", "recommendation"]


def test_the_sum_runs_its_three_tasks_in_order_and_ends_with_eight(chassis: Chassis) -> None:
    done = chassis("run", SUM, "--json")
    assert done.returncode == 0, done.stderr[-3000:]
    document = json.loads(done.stdout)
    assert document["state"] == "success"
    assert document["simulated"] is True
    tasks = document["tasks"]
    assert [task["id"] for task in tasks] == ["identify_numbers", "add_numbers", "report_result"]
    assert [task["depends_on"] for task in tasks] == [[], ["identify_numbers"], ["add_numbers"]]
    assert all(task["state"] == "success" for task in tasks)
    assert "8" in json.dumps(tasks[-1]["result"])
    assert document["usage"]["input_tokens"] > 0
    assert document["usage"]["output_tokens"] > 0


def test_the_live_run_shows_the_agent_the_plan_the_result_and_that_it_is_simulated(chassis: Chassis) -> None:
    done = chassis("run", SUM)
    assert done.returncode == 0, done.stderr[-3000:]
    for words in ("planning-agent", "identify_numbers", "add_numbers", "report_result", "simulated", "8"):
        assert words in done.stdout, f"{words!r} is missing from:\n{done.stdout}"
    assert "\x1b[" not in done.stdout, "colours are off when piped"


def test_seven_services_run_side_by_side_and_each_prompt_holds_its_dependencies_results_only(
    airflow: AirflowDriver, simulator: SimulatorControl, figure: Callable[[str], None]
) -> None:
    workflow_id, run_id = airflow.plan(PET)
    simulator.set_latency(200)  # nobody is answered until all seven have asked
    simulator.wait_for_requests(7, task="update_service", timeout=180)
    simulator.set_latency(0)
    assert airflow.wait_run(workflow_id, run_id) == "success"

    requests = [request for request in simulator.requests() if request["kind"] == "task"]
    assert len(requests) == 10
    updates = [request for request in requests if request["task"] == "update_service"]
    assert sorted(request["item"] for request in updates) == SERVICES
    peak = max(request["in_flight"] for request in updates)
    figure(f"seven services: peak in flight {peak}")
    assert peak == 7

    joins = [request["task"] for request in sorted(requests, key=lambda request: request["started"])[7:]]
    assert joins == ["update_contracts", "update_admin_ui", "run_e2e_tests"]
    by_task = {request["task"]: request for request in requests}
    for task, dependency in zip(joins, ["update_service", *joins], strict=False):
        given = results_in_prompt(by_task[task])
        assert {name for name, _ in given} == {dependency}
        expected = SERVICES if dependency == "update_service" else [None]
        assert sorted(item for _, item in given if item) == [item for item in expected if item]
    assert all(results_in_prompt(update) == [] for update in updates)

    labels = {
        ti["rendered_map_index"]
        for ti in airflow.instances(workflow_id, run_id)
        if ti["task_id"] == "update_service"
    }
    assert labels == set(SERVICES)


def test_after_a_run_airflow_parses_the_workflow_no_more_often_than_it_is_to(airflow: AirflowDriver) -> None:
    """Each task that ends in the triggerer sets off a fault of Airflow's, see ``chassis.plans.parse_interval``."""
    workflow_id, _, state = airflow.plan_and_run(SUM)
    assert state == "success"
    seen = set()
    until = time.monotonic() + 10
    while time.monotonic() < until:
        seen.add(airflow.get(f"/dags/{workflow_id}")["last_parsed_time"])
        time.sleep(0.2)
    assert len(seen) <= 2, "within ten seconds of thirty it is parsed once at most"
