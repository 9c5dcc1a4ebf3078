"""Fix the input, rerun that step: over the command line, in a real Airflow, with what was said in each try."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from chassis.files import open_files
from chassis.local.simulator import SimulatorControl
from chassis.local.stack import LocalStack
from chassis.plans.store import PlanStore
from chassis.records.amendments import Amendments
from chassis.workflow import load_plan
from tests.system.conftest import Chassis
from tests.system.driver import AirflowDriver, await_plan, instruction_in_prompt, run_chassis, wait_for

WORKFLOW = "amended_onboarding"
PLAN = f"""
schema_version: 1
id: {WORKFLOW}
title: Onboard a product
requirement: Onboard a product in three services.
inputs:
  product: {{type: string, default: pet insurance}}
  tries: {{type: integer, default: 2}}
tasks:
  - id: update
    name: Update one service
    instruction: Describe {{product}} in {{item}}.
    for_each: {{items: [availability, claims, pricing]}}
    retries: 0
  - id: report
    name: Report
    instruction: Describe what was updated.
    depends_on: [update]
    retries: 0
"""
NEW = "Describe {product} in {item} by its short name."
REASON = "The claims service knows products by their short names."


@dataclass
class Failed:
    """A run in which ``claims`` was throttled and then told that it is blocked, and ``pricing`` told so at once."""

    airflow: AirflowDriver
    simulator: SimulatorControl
    chassis: Chassis
    stack: LocalStack
    store: PlanStore
    run_id: str
    upkeep_run: str

    @property
    def amendments(self) -> Amendments:
        files = open_files(str(self.stack.home / "records"), what="record store")
        return Amendments(files, WORKFLOW, self.run_id)

    @property
    def revisions(self) -> list[int]:
        return [ref.revision for ref in self.store.revisions(WORKFLOW)]

    def retry(self, *arguments: str) -> Any:
        return self.chassis("retry", WORKFLOW, "update", "--run", self.run_id, *arguments)

    def page(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        url = f"{self.airflow.url}/chassis/dags/{WORKFLOW}/runs/{quote(self.run_id, safe='')}/{path}"
        headers = {"Authorization": self.airflow.http.headers["Authorization"]}
        return httpx.request(method, url, headers=headers, timeout=30, **arguments)

    def transcript(self, **query: int) -> Any:
        found = self.page("GET", "tasks/update/1/transcript", params=query)
        assert found.is_success, found.text
        return found.json()


@pytest.fixture(scope="module")
def failed(airflow: AirflowDriver, stack: LocalStack) -> Failed:
    simulator = SimulatorControl(str(stack.simulator_url))
    simulator.reset()
    store = PlanStore(str(stack.home / "plans"))
    published = store.publish(load_plan(PLAN))
    await_plan(airflow, WORKFLOW, published.digest)
    simulator.add_fault("throttle", times=2, retry_after=0, task="update", item="claims")
    simulator.add_fault("blocked", times=1, task="update", item="claims")
    simulator.add_fault("blocked", times=1, task="update", item="pricing")
    run_id = airflow.trigger(WORKFLOW)
    assert airflow.wait_run(WORKFLOW, run_id) == "failed"
    upkeep_run = airflow.trigger("chassis_upkeep")
    return Failed(airflow, simulator, partial(run_chassis, stack.home), stack, store, run_id, upkeep_run)


WRONG: list[tuple[dict[str, Any], list[str]]] = [
    ({"instruction": "Do {produkt}."}, ["{produkt}", "did you mean {product}?"]),
    ({"inputs": {"produkt": "cats"}}, ["did you mean 'product'?"]),
    ({"inputs": {"tries": "many", "product": None}}, ["must be a whole number", "not nothing (null)"]),
    ({"instruction": "Describe {product} in {item}."}, ["changes nothing"]),
    ({"instruction": NEW, "reason": "  "}, ["needs a reason"]),
    ({"instruction": NEW, "run_by": "somebody else"}, ["run_by"]),
]


def test_a_wrong_amendment_is_refused_with_all_its_faults_before_anything_is_written(failed: Failed) -> None:
    for wish, words in WRONG:
        refused = failed.page("POST", "tasks/update/1/amend", json={"reason": "a test", **wish})
        assert refused.status_code == 400, refused.text
        for word in words:
            assert word in refused.json()["detail"]
    unknown = failed.page("POST", "tasks/updat/1/amend", json={"instruction": NEW, "reason": "a test"})
    assert unknown.status_code == 404
    told = failed.retry("--item", "claims", "--reason", "a test", "--input", "product:=5")
    assert told.returncode == 2
    assert "must be text, not the number 5" in " ".join(told.stderr.split())
    assert failed.amendments.all() == []
    assert failed.airflow.get(f"/dags/{WORKFLOW}/dagRuns/{failed.run_id}")["state"] == "failed"


def test_all_failed_items_are_asked_for_by_their_new_instruction_and_nothing_else_is_done_again(
    failed: Failed, figure: Callable[[str], None]
) -> None:
    failed.simulator.reset()
    before = failed.airflow.get(f"/dags/{WORKFLOW}/dagRuns/{failed.run_id}")
    assert "all 2 failed items of this task" in failed.page("GET", "tasks/update/1").text
    done = failed.retry("--instruction", NEW, "--input", "product=pet", "--reason", REASON)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Amendment 1 of this run, for 2 items." in done.stdout
    requests = failed.simulator.requests()
    told = {(each["task"], each["item"]): instruction_in_prompt(each) for each in requests}
    assert len(requests) == 3
    assert told.keys() == {("update", "claims"), ("update", "pricing"), ("report", None)}
    for item in ("claims", "pricing"):
        assert f"Describe pet in {item} by its short name." in told["update", item]
    amended = [failed.airflow.result(WORKFLOW, failed.run_id, "update", n)["amendment"] for n in range(3)]
    assert amended == [None, 1, 1]
    after = failed.airflow.get(f"/dags/{WORKFLOW}/dagRuns/{failed.run_id}")
    assert after["bundle_version"] == before["bundle_version"]
    assert failed.revisions == [1]
    figure("two amended items of three: 3 requests, of 4 in the whole run")


def test_the_amendment_is_visible_ever_after(failed: Failed) -> None:
    [recorded] = failed.amendments.all()
    assert (recorded.task_id, recorded.items, recorded.reason) == ("update", ("claims", "pricing"), REASON)
    assert (recorded.instruction, recorded.inputs) == (NEW, {"product": "pet"})
    assert recorded.by == recorded.by_id == failed.stack.username
    status = failed.chassis("status", WORKFLOW, "--run", failed.run_id, "--json")
    amended = {
        (task["id"], task["item"]): task["amendment"]
        for task in json.loads(status.stdout)["tasks"]
        if "amendment" in task
    }
    assert amended.keys() == {("update", "claims"), ("update", "pricing")}
    assert amended["update", "claims"]["reason"] == REASON
    shown = failed.chassis("status", WORKFLOW, "--run", failed.run_id).stdout
    assert (
        f"Amendment 1: update [claims, pricing], instruction, input product. {failed.stack.username}" in shown
    )
    assert REASON in shown
    events = failed.airflow.get("/eventLogs", event="chassis_amend", dag_id=WORKFLOW)["event_logs"]
    assert {(event["owner"], event["map_index"], REASON in event["extra"]) for event in events} == {
        (failed.stack.username, 1, True),
        (failed.stack.username, 2, True),
    }
    plan_page = failed.page("GET", "plan").text
    assert REASON in plan_page
    assert "tasks/update/2" in plan_page


def test_a_plain_clear_later_still_goes_by_it(failed: Failed) -> None:
    failed.simulator.reset()
    cleared = failed.airflow.http.post(
        f"/dags/{WORKFLOW}/clearTaskInstances",
        json={
            "dry_run": False,
            "dag_run_id": failed.run_id,
            "task_ids": [["update", 0], ["update", 1]],
            "only_failed": False,
        },
    )
    assert cleared.is_success, cleared.text
    wait_for("both items to be asked for again", lambda: len(failed.simulator.requests()) >= 2 or None)
    assert failed.airflow.wait_run(WORKFLOW, failed.run_id) == "success"
    told = {each["item"]: instruction_in_prompt(each) for each in failed.simulator.requests(task="update")}
    assert "Describe pet in claims by its short name." in told["claims"]
    assert "Describe pet insurance in availability." in told["availability"]


def test_each_try_can_be_read_with_its_refused_calls_and_request_ids(failed: Failed) -> None:
    newest = failed.transcript()
    assert newest["tries"] == [3, 2, 1]
    assert newest["item"] == "claims"
    first = failed.transcript(try_number=1)["transcript"]
    assert [(turn["outcome"], turn["error"]) for turn in first["turns"]] == [
        ("failed", "ThrottledError"),
        ("failed", "ThrottledError"),
        ("answered", ""),
    ]
    assert "Blocked on demand" in str(first["turns"][2]["answer"])
    assert "Describe pet insurance in claims." in str(first["turns"][0]["messages"])
    second = failed.transcript(try_number=2)["transcript"]
    assert "Describe pet in claims by its short name." in str(second["turns"][0]["messages"])
    asked = [turn["request_id"] for turn in newest["transcript"]["turns"]]
    assert asked == [each["request_id"] for each in failed.simulator.requests(task="update", item="claims")]
    shown = failed.chassis(
        "transcript", WORKFLOW, "update", "--item", "claims", "--run", failed.run_id, "--try", "1"
    )
    assert "failed, ThrottledError" in shown.stdout
    assert "Blocked on demand" in shown.stdout


def test_a_task_at_work_is_not_amended(failed: Failed) -> None:
    failed.simulator.reset()
    failed.simulator.add_fault("stall", seconds=60, task="report")
    fields = {"input:product": "pet insurance", "input:tries": "3", "reason": "once more\r\nis enough"}
    wish = {"instruction": "Describe it all,\r\nbriefly.", **fields}
    by_form = failed.page("POST", "tasks/report/-1/amend", data=wish)
    assert by_form.status_code == 303, by_form.text
    assert by_form.headers["location"].endswith("/tasks/report/-1")
    failed.simulator.wait_for_requests(1, timeout=60, task="report")
    refused = failed.page("POST", "tasks/report/-1/amend", json={"instruction": "Another.", "reason": "r"})
    assert refused.status_code == 409
    assert "is active" in refused.json()["detail"]
    [_, recorded] = failed.amendments.all()
    assert recorded.instruction == "Describe it all,\nbriefly."
    assert recorded.inputs == {"tries": 3}, "what a form sends unchanged is no amendment"
    assert recorded.reason == "once more\nis enough"
    failed.airflow.http.patch(
        f"/dags/{WORKFLOW}/dagRuns/{failed.run_id}/taskInstances/report", json={"new_state": "failed"}
    )
    failed.simulator.reset()
    failed.airflow.wait_run(WORKFLOW, failed.run_id)


def test_saved_it_becomes_the_next_revision_and_this_run_stays_with_its_own(failed: Failed) -> None:
    failed.simulator.reset()
    before = failed.airflow.get(f"/dags/{WORKFLOW}/dagRuns/{failed.run_id}")["bundle_version"]
    instruction = "Describe {product} in {item} in one sentence."
    done = failed.retry(
        *("--item", "pricing", "--instruction", instruction, "--input", "product=cat insurance"),
        *("--reason", "One sentence is enough.", "--save", "--downstream"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Saved as revision 2 of {WORKFLOW}." in done.stdout
    plan = failed.store.read(failed.store.get(WORKFLOW))
    assert plan.tasks[0].instruction == instruction
    assert plan.inputs["product"].default == "cat insurance"
    assert plan.tasks[1].instruction == "Describe what was updated."
    assert failed.amendments.all()[-1].saved_revision == 2
    assert failed.airflow.get(f"/dags/{WORKFLOW}/dagRuns/{failed.run_id}")["bundle_version"] == before
    [asked] = failed.simulator.requests(task="update")
    assert "Describe cat insurance in pricing in one sentence." in instruction_in_prompt(asked)


def test_the_daily_upkeep_leaves_transcripts_that_are_young(failed: Failed) -> None:
    assert failed.airflow.wait_run("chassis_upkeep", failed.upkeep_run) == "success"
    swept = failed.airflow.result("chassis_upkeep", failed.upkeep_run, "delete_transcripts")
    assert swept == {"files": 0, "runs": 0, "complete": True}
    assert failed.transcript()["tries"]
