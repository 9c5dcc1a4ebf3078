"""Items: from a literal list, an input, or an upstream task's output; each goes its own way through its group."""

from __future__ import annotations

from collections import defaultdict

import pytest

from chassis.local.simulator import SimulatorControl
from chassis.local.stack import LocalStack
from chassis.plans.store import PlanStore
from chassis.workflow import load_plan
from tests.system.approving import Approval
from tests.system.driver import AirflowDriver, await_plan, results_in_prompt, wait_for

PLAN = """
schema_version: 1
id: fan_out
title: Fan out in every way
requirement: Look at everything.
inputs:
  names: {type: array, default: [ada, grace]}
tasks:
  - id: discover
    name: Discover
    instruction: List the files.
    output_schema:
      type: object
      properties: {files: {type: array, items: {type: string}}}
      required: [files]
  - id: read
    name: Read
    instruction: Read {item}.
    for_each: {output_of: discover, path: files}
    depends_on: [discover]
  - {id: judge, name: Judge, instruction: "Judge {item}.", for_each: {same_as: read}, depends_on: [read]}
  - {id: greet, name: Greet, instruction: "Greet {item}.", for_each: {input: names}}
  - {id: report, name: Report, instruction: Report, depends_on: [judge, greet]}
"""
FILES = ["b.py", "a.py", "c.py"]


@pytest.fixture
def run(airflow: AirflowDriver, simulator: SimulatorControl, store: PlanStore) -> str:
    """A finished run with the discovered files and the names ada, grace and linus."""
    answer = {"status": "completed", "reason": "", "summary": "Found.", "output": {"files": FILES}}
    simulator.add_answer(answer, task="discover")
    await_plan(airflow, "fan_out", store.publish(load_plan(PLAN)).digest)
    run_id = airflow.trigger("fan_out", {"names": ["ada", "grace", "linus"]})
    assert airflow.wait_run("fan_out", run_id) == "success"
    return run_id


def labels(airflow: AirflowDriver, run_id: str) -> dict[str, list[str]]:
    """The items of each mapped task, in the order of their map indexes."""
    found: dict[str, dict[int, str]] = defaultdict(dict)
    for ti in airflow.instances("fan_out", run_id):
        if ti["map_index"] >= 0:
            found[ti["task_id"]][ti["map_index"]] = ti["rendered_map_index"]
    return {task_id: [items[index] for index in sorted(items)] for task_id, items in found.items()}


def test_items_are_found_at_run_time_and_each_step_of_a_group_sees_its_own_item_only(
    airflow: AirflowDriver, simulator: SimulatorControl, run: str
) -> None:
    names = ["ada", "grace", "linus"]
    assert labels(airflow, run) == {"read": FILES, "judge": FILES, "greet": names}
    for request in simulator.requests(task="judge"):
        assert results_in_prompt(request) == [("read", request["item"])]
    (report,) = simulator.requests(task="report")
    assert results_in_prompt(report) == [
        *(("judge", item) for item in FILES),
        *(("greet", name) for name in names),
    ]


def test_one_clear_runs_one_item_and_what_follows_it(
    airflow: AirflowDriver, simulator: SimulatorControl, run: str
) -> None:
    simulator.clear_requests()
    index = FILES.index("a.py")
    cleared = airflow.http.post(
        "/dags/fan_out/clearTaskInstances",
        json={
            "dry_run": False,
            "dag_run_id": run,
            "task_ids": [["read", index]],
            "include_downstream": True,
            "only_failed": False,
        },
    )
    assert cleared.is_success, cleared.text
    wait_for("the cleared item to ask", simulator.requests)
    assert airflow.wait_run("fan_out", run) == "success"
    asked = [(request["task"], request["item"]) for request in simulator.requests()]
    assert asked == [("read", "a.py"), ("judge", "a.py"), ("report", None)]
    assert labels(airflow, run)["judge"] == FILES


def test_items_that_can_not_be_used_fail_the_task_that_finds_them_with_the_reason(
    airflow: AirflowDriver, simulator: SimulatorControl, store: PlanStore
) -> None:
    await_plan(airflow, "fan_out", store.publish(load_plan(PLAN)).digest)
    run_id = airflow.trigger("fan_out", {"names": ["ada", "ada"]})
    assert airflow.wait_run("fan_out", run_id) == "failed"
    assert airflow.states("fan_out", run_id)["greet__items", -1] == "failed"
    log = airflow.log("fan_out", run_id, "greet__items")
    assert "'ada' is there 2 times" in log
    assert simulator.requests(task="greet") == []


def test_a_call_that_is_not_deferred_is_made_in_the_worker(
    airflow: AirflowDriver, simulator: SimulatorControl
) -> None:
    run_id = airflow.trigger("in_the_worker")
    assert airflow.wait_run("in_the_worker", run_id) == "success"
    assert airflow.result("in_the_worker", run_id, "ask")["status"] == "completed"
    (request,) = simulator.requests()
    assert request["task"] == "ask"
    log = airflow.log("in_the_worker", run_id, "ask")
    assert "DEFERRED" not in log
    assert request["request_id"] in log


def test_the_recurring_planner_asks_about_a_new_plan_only_and_publishes_the_next_revision_or_nothing_new(
    airflow: AirflowDriver, store: PlanStore, stack: LocalStack
) -> None:
    unpaused = airflow.http.patch("/dags/recurring_onboarding", json={"is_paused": False})
    assert unpaused.is_success, unpaused.text
    published = []
    for is_new in (True, False):
        run_id = airflow.trigger("recurring_onboarding", {"action": "publish"})
        if is_new:
            approval = Approval(airflow, run_id, str(stack.home / "records"), "recurring_onboarding")
            approval.answer("Approve", plan=approval.asks()["digest"])
        assert airflow.wait_run("recurring_onboarding", run_id) == "success"
        published.append(airflow.result("recurring_onboarding", run_id, "publish"))
    assert [(each["workflow_id"], each["revision"]) for each in published] == [
        ("onboard_pet_insurance", 1)
    ] * 2
    assert published[1]["changed"] is False
    assert [ref.revision for ref in store.revisions("onboard_pet_insurance")] == [1]
