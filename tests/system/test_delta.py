"""Planning on from a run: what was done there, and means the same, is taken over; all else is done. Counted."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from chassis.local.simulator import SimulatorControl
from chassis.local.simulator.claude_request import read_fences
from chassis.plans.store import PlanStore
from tests.system.conftest import Chassis
from tests.system.driver import AirflowDriver

WORKFLOW = "add_delta_insurance"
JOINS = ["update_contracts", "update_admin_ui", "run_e2e_tests"]


def requirement(services: str) -> str:
    return f"Add delta insurance product to services {services}"


FIRST = requirement("availability and claims")


@pytest.fixture(scope="module")
def first_run(airflow: AirflowDriver) -> str:
    """A finished run over two services, which each test plans on from."""
    _, run_id, state = airflow.plan_and_run(FIRST, workflow_id=WORKFLOW)
    assert state == "success"
    return run_id


def asked(simulator: SimulatorControl) -> list[tuple[str, str | None]]:
    """Task and item of each request for a task, in order of arrival."""
    return [(request["task"], request["item"]) for request in simulator.requests(kind="task")]


def results(airflow: AirflowDriver, run_id: str) -> dict[tuple[str, str | None], dict[str, Any]]:
    """What each task and item gave that has succeeded."""
    done = [ti for ti in airflow.instances(WORKFLOW, run_id) if ti["state"] == "success"]
    found = [airflow.result(WORKFLOW, run_id, ti["task_id"], ti["map_index"]) for ti in done]
    return {(result["task"], result["item"]): result for result in found}


def fence_of(name: str, text: str) -> str:
    return next(fence.content for fence in read_fences(text) if fence.name == name)


def said(result: dict[str, Any]) -> tuple[Any, ...]:
    return result["summary"], result["output"], result["model"], result["request_ids"], result["fingerprint"]


def carried(airflow: AirflowDriver, run_id: str, source: str) -> set[tuple[str, str | None]]:
    """What a run has taken over from another one; each must be what it was there, and have cost nothing."""
    before, after = results(airflow, source), results(airflow, run_id)
    found = {key for key, result in after.items() if result["carried_from"]}
    for key in found:
        assert after[key]["carried_from"] == source
        assert said(after[key]) == said(before[key])
        assert after[key]["usage"]["calls"] == 0
        assert after[key]["cost_usd"] == 0
    return found


def test_with_one_service_more_only_its_tasks_and_the_joins_run(
    airflow: AirflowDriver, simulator: SimulatorControl, first_run: str, figure: Callable[[str], None]
) -> None:
    _, run_id, state = airflow.plan_and_run(
        requirement("availability, claims and pricing"), workflow_id=WORKFLOW, continue_from=first_run
    )
    assert state == "success"
    assert asked(simulator) == [("update_service", "pricing"), *((task, None) for task in JOINS)]
    assert len(simulator.requests(kind="plan")) == 1
    assert carried(airflow, run_id, first_run) == {
        ("update_service", "availability"),
        ("update_service", "claims"),
    }
    figure(
        "one service more after a finished run of two: 4 requests for tasks, of 6 without what was taken over"
    )


def test_a_failed_run_is_continued_with_what_it_lacks(
    airflow: AirflowDriver, simulator: SimulatorControl, first_run: str, chassis: Chassis
) -> None:
    simulator.add_fault("access_denied", task="update_service", item="documents")
    wanted = requirement("availability, claims and documents")
    _, failed, state = airflow.plan_and_run(wanted, workflow_id=WORKFLOW, continue_from=first_run)
    assert state == "failed"
    assert {item for _, item in asked(simulator)} == {"documents"}
    simulator.reset()

    done = chassis("run", wanted, "--workflow-id", WORKFLOW, "--continue", failed, "--json")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert asked(simulator) == [("update_service", "documents"), *((task, None) for task in JOINS)]
    (plan,) = simulator.requests(kind="plan")
    (block,) = plan["body"]["messages"][0]["content"]
    told = [json.loads(line) for line in fence_of("done", block["text"]).splitlines()]
    assert {(each["task"], each.get("item")): each["state"] for each in told} == {
        ("update_service", "availability"): "success",
        ("update_service", "claims"): "success",
        ("update_service", "documents"): "failed",
        **{(task, None): "upstream_failed" for task in JOINS},
    }
    (failure,) = [each for each in told if each["state"] == "failed"]
    assert "access" in failure["error"]
    document = json.loads(done.stdout)
    assert carried(airflow, document["dag_run_id"], failed) == {
        ("update_service", "availability"),
        ("update_service", "claims"),
    }
    shown = {(task["id"], task["item"]): task.get("carried_from") for task in document["tasks"]}
    assert {key for key, source in shown.items() if source == failed} == {
        ("update_service", "availability"),
        ("update_service", "claims"),
    }


def test_a_changed_instruction_is_done_anew_with_what_depends_on_its_result(
    airflow: AirflowDriver, simulator: SimulatorControl, store: PlanStore, first_run: str
) -> None:
    old = {task.id: task.model_dump(mode="json") for task in store.read(store.get(WORKFLOW, 1)).tasks}
    new = old["update_admin_ui"] | {"instruction": "Offer {product} on the first page."}
    changed = [task | {"change": "changed"} for task in (old["update_service"], new)]
    answer = {"title": "Delta", "inputs": [], "removed_inputs": [], "tasks": changed, "removed": []}
    simulator.add_answer(answer, form="plan", kind="plan")
    _, run_id, state = airflow.plan_and_run(FIRST, workflow_id=WORKFLOW, continue_from=first_run)
    assert state == "success"
    assert asked(simulator) == [("update_admin_ui", None), ("run_e2e_tests", None)]
    assert carried(airflow, run_id, first_run) == {
        ("update_service", "availability"),
        ("update_service", "claims"),
        ("update_contracts", None),
    }

    simulator.reset()
    clear = {"dry_run": False, "dag_run_id": run_id, "task_ids": ["update_contracts"], "only_failed": False}
    assert airflow.http.post(f"/dags/{WORKFLOW}/clearTaskInstances", json=clear).is_success
    simulator.wait_for_requests(1, timeout=60)
    assert airflow.wait_run(WORKFLOW, run_id) == "success"
    assert asked(simulator) == [("update_contracts", None)], "what a person clears is done"
    assert results(airflow, run_id)["update_contracts", None]["carried_from"] == ""


def test_a_workflow_that_does_not_exist_is_refused_before_claude_is_asked(
    airflow: AirflowDriver, simulator: SimulatorControl, first_run: str
) -> None:
    given = {"workflow_id": "add_delta_insuranse", "continue_from": first_run}
    run_id = airflow.trigger("plan_workflow", {"requirement": FIRST, **given})
    assert airflow.wait_run("plan_workflow", run_id) == "failed"
    assert "Did you mean 'add_delta_insurance'?" in airflow.log("plan_workflow", run_id, "plan")
    assert simulator.requests() == []
