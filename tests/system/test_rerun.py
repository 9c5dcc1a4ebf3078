"""One item fails: the rest go on, and a retry of that item asks for exactly what is missing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chassis.local.simulator import SimulatorControl
from tests.system.conftest import Chassis
from tests.system.driver import AirflowDriver, wait_for

PET = "Add pet insurance product to services availability, claims and pricing"
JOINS = ["update_contracts", "update_admin_ui", "run_e2e_tests"]


@pytest.fixture
def failed_run(airflow: AirflowDriver, simulator: SimulatorControl) -> tuple[str, str]:
    """A run in which the item ``claims`` failed for good; the simulator works again and its log is empty."""
    simulator.add_fault("access_denied", task="update_service", item="claims")
    workflow_id, run_id, state = airflow.plan_and_run(PET)
    assert state == "failed"
    states = {ti["rendered_map_index"]: ti["state"] for ti in _updates(airflow, workflow_id, run_id)}
    assert states == {"availability": "success", "claims": "failed", "pricing": "success"}
    simulator.reset()
    return workflow_id, run_id


def test_the_command_line_retries_one_item_and_asks_for_nothing_that_had_succeeded(
    airflow: AirflowDriver,
    simulator: SimulatorControl,
    failed_run: tuple[str, str],
    chassis: Chassis,
    figure: Callable[[str], None],
) -> None:
    workflow_id, run_id = failed_run
    done = chassis("retry", workflow_id, "update_service", "--item", "claims", "--run", run_id)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert airflow.wait_run(workflow_id, run_id) == "success"
    _assert_only_the_missing_were_asked_for(simulator)
    figure(f"retry of one failed item of three: {len(simulator.requests())} requests, of 6 in the whole run")


def test_a_clear_through_the_rest_api_asks_for_the_same(
    airflow: AirflowDriver, simulator: SimulatorControl, failed_run: tuple[str, str]
) -> None:
    workflow_id, run_id = failed_run
    (index,) = [
        ti["map_index"]
        for ti in _updates(airflow, workflow_id, run_id)
        if ti["rendered_map_index"] == "claims"
    ]
    cleared = airflow.http.post(
        f"/dags/{workflow_id}/clearTaskInstances",
        json={
            "dry_run": False,
            "dag_run_id": run_id,
            "task_ids": [["update_service", index]],
            "include_downstream": True,
            "only_failed": False,
        },
    )
    assert cleared.is_success, cleared.text
    assert {ti["task_id"] for ti in cleared.json()["task_instances"]} == {"update_service", *JOINS}
    wait_for("the cleared run to start again", lambda: simulator.requests())
    assert airflow.wait_run(workflow_id, run_id) == "success"
    _assert_only_the_missing_were_asked_for(simulator)


def _updates(airflow: AirflowDriver, workflow_id: str, run_id: str) -> list[dict[str, object]]:
    return [ti for ti in airflow.instances(workflow_id, run_id) if ti["task_id"] == "update_service"]


def _assert_only_the_missing_were_asked_for(simulator: SimulatorControl) -> None:
    asked = [(request["task"], request["item"]) for request in simulator.requests()]
    assert asked == [("update_service", "claims"), *((task, None) for task in JOINS)]
