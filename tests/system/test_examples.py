"""The DAGs of ``examples/``, and what only a real Airflow decides about tasks for Claude in hand-written DAGs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chassis.local.simulator import SimulatorControl
from chassis.local.simulator.claude_request import ClaudeRequest
from chassis.local.stack import LocalStack
from tests.system.conftest import Chassis
from tests.system.driver import AirflowDriver, instruction_in_prompt, results_in_prompt

EXAMPLES = ("release_notes", "customer_report", "translations", "triage_incident", "market_study")
ODD = ("odd_data", "spent_limit", "shrinking")
TRIAGE = {"severity": "high", "title": "Blank checkout", "components": ["checkout", "payment"]}
TEMPLATE = "{{ 1 + 1 }}"


@pytest.fixture(scope="module")
def control(stack: LocalStack) -> SimulatorControl:
    assert stack.simulator_url
    return SimulatorControl(stack.simulator_url)


@pytest.fixture(scope="module")
def runs(airflow: AirflowDriver, control: SimulatorControl) -> dict[str, str]:
    """One run of each, side by side, to their ends: run ids by DAG."""
    control.reset()
    control.add_answer({"summary": "Triaged.", "output": TRIAGE}, form="result", task="triage")
    control.add_answer({"summary": "Counted.", "output": {"count": 7}}, form="result", task="ends_in_worker")
    started = {}
    for dag_id in (*EXAMPLES, *ODD):
        airflow.http.patch(f"/dags/{dag_id}", json={"is_paused": False}).raise_for_status()
        started[dag_id] = airflow.trigger(dag_id)
    for dag_id, run_id in started.items():
        airflow.wait_run(dag_id, run_id)
    return started


@pytest.fixture(scope="module")
def requests(runs: dict[str, str], control: SimulatorControl) -> list[dict[str, Any]]:
    """What Claude was asked in all of these runs."""
    return control.requests()


def of(requests: list[dict[str, Any]], task: str, item: str | None = None) -> dict[str, Any]:
    [found] = [each for each in requests if each["task"] == task and each["item"] == item]
    return found


@pytest.mark.parametrize("dag_id", [*EXAMPLES, "odd_data"])
def test_it_succeeds(airflow: AirflowDriver, runs: dict[str, str], dag_id: str) -> None:
    assert set(airflow.states(dag_id, runs[dag_id]).values()) == {"success"}


def test_a_function_and_the_task_after_it_are_given_what_ran_before(
    runs: dict[str, str], requests: list[dict[str, Any]]
) -> None:
    report, headline = of(requests, "report"), of(requests, "headline")
    assert instruction_in_prompt(report) == "Write a report on our 3 customers and their 2 complaints."
    assert results_in_prompt(report) == [("numbers", None), ("complaints", None)]
    assert results_in_prompt(headline) == [("report", None)]


def test_instances_are_labelled_by_their_items_and_joined_under_them(
    airflow: AirflowDriver, runs: dict[str, str], requests: list[dict[str, Any]]
) -> None:
    instances = airflow.instances("translations", runs["translations"])
    labels = {(each["task_id"], each["map_index"]): each["rendered_map_index"] for each in instances}
    assert [labels["translate", index] for index in range(3)] == ["French", "Danish", "Welsh"]
    assert labels["compare", -1] is None
    joined = [("translate", language) for language in ("French", "Danish", "Welsh")]
    assert results_in_prompt(of(requests, "compare")) == joined


def test_fields_of_a_structured_answer_are_arguments_of_other_operators(
    airflow: AirflowDriver, runs: dict[str, str]
) -> None:
    run_id = runs["triage_incident"]
    assert airflow.result("triage_incident", run_id, "open_ticket") == "high: Blank checkout"
    owners = [airflow.result("triage_incident", run_id, "notify", index) for index in (0, 1)]
    assert owners == ["owner of checkout", "owner of payment"]


def test_nothing_that_another_task_returned_is_rendered(
    airflow: AirflowDriver, runs: dict[str, str], requests: list[dict[str, Any]]
) -> None:
    assert instruction_in_prompt(of(requests, "say")) == f"Say {TEMPLATE}."
    item = f"a {TEMPLATE}"
    assert instruction_in_prompt(of(requests, "each", item)) == f"Say {TEMPLATE} to {item}."


def test_all_instances_of_a_mapped_task_give_their_return_values(
    runs: dict[str, str], requests: list[dict[str, Any]]
) -> None:
    asked = of(requests, "joins")
    fences = ClaudeRequest(asked["model"], asked["body"], asked["stream"]).fences
    assert [json.loads(each.content) for each in fences if each.name == "result"] == [[2, 4]]


def test_parts_of_a_result_are_there_whether_a_task_ends_in_a_worker_or_in_the_triggerer(
    airflow: AirflowDriver, runs: dict[str, str]
) -> None:
    assert airflow.result("odd_data", runs["odd_data"], "use") == [True, 7]
    events = airflow.get("/assets/events", source_dag_id="odd_data")
    assert [each["source_task_id"] for each in events["asset_events"]] == ["ends_in_worker"]


def test_a_limit_holds_for_all_tasks_of_a_run_and_the_command_line_tells_how_to_raise_it(
    airflow: AirflowDriver, runs: dict[str, str], chassis: Chassis
) -> None:
    run_id = runs["spent_limit"]
    assert airflow.states("spent_limit", run_id) == {("first", -1): "success", ("second", -1): "failed"}
    status = json.loads(chassis("status", "spent_limit", "--run", run_id, "--json").stdout)
    [failed] = [row for row in status["tasks"] if row["state"] == "failed"]
    assert failed["error"]["class"] == "LimitSpentError"
    assert "the DAG's file" in failed["error"]["hint"]
    assert status["limits"]["run"]["max_calls"] == 1
    [cost] = json.loads(chassis("costs", "spent_limit", "--json").stdout)["workflows"]
    assert cost["runs"][0]["usage"]["calls"] == 1


def test_one_item_is_done_again_with_what_joins_it(
    airflow: AirflowDriver, runs: dict[str, str], control: SimulatorControl, chassis: Chassis
) -> None:
    control.reset()
    run_id = runs["translations"]
    done = chassis("retry", "translations", "translate", "--run", run_id, "--item", "Danish", "--downstream")
    assert done.returncode == 0, done.stdout + done.stderr
    assert airflow.wait_run("translations", run_id) == "success"
    asked = [(each["task"], each["item"]) for each in control.requests()]
    assert asked == [("translate", "Danish"), ("compare", None)]
    said = chassis("transcript", "translations", "translate", "--run", run_id, "--item", "Danish").stdout
    assert "Translate into Danish: Your contract ends on Friday." in said


def test_an_item_that_the_run_has_no_more_is_given_to_nobody(
    airflow: AirflowDriver, runs: dict[str, str], control: SimulatorControl
) -> None:
    control.reset()
    run_id = runs["shrinking"]
    body = {"dag_run_id": run_id, "task_ids": ["find"], "include_downstream": True, "only_failed": False}
    body |= {"dry_run": False, "reset_dag_runs": True}
    airflow.http.post("/dags/shrinking/clearTaskInstances", json=body).raise_for_status()
    assert airflow.wait_run("shrinking", run_id) == "success"
    asked = control.requests()
    left = [("each", "z"), ("each", "a")]
    assert results_in_prompt(of(asked, "joins_all")) == results_in_prompt(of(asked, "counts")) == left
    assert instruction_in_prompt(of(asked, "counts")) == "There are 2."


def test_only_a_plans_task_is_amended(runs: dict[str, str], chassis: Chassis) -> None:
    amended = ("--instruction", "Translate into Dutch.", "--reason", "wrong language")
    done = chassis("retry", "release_notes", "write_notes", "--run", runs["release_notes"], *amended)
    assert done.returncode == 2
    assert "hand-written" in done.stderr
