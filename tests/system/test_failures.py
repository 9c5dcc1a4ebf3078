"""What a person reads when Bedrock can't be used, and that no retry is spent where it can't help."""

from __future__ import annotations

import json

import pytest

from chassis.local.simulator import SimulatorControl
from chassis.local.stack import LocalStack
from tests.system.conftest import Chassis
from tests.system.driver import AirflowDriver

SUM = "Calculate the sum of 2 and 2"


@pytest.fixture(scope="module", autouse=True)
def odd_connections(airflow: AirflowDriver, stack: LocalStack) -> None:
    """The connections of ``tests/system/dags/odd_connections.py``, but for the one that isn't there."""

    def connection(endpoint: str | None, **fields: str) -> dict[str, object]:
        config = {"bedrock-runtime": {"endpoint_url": endpoint}}
        # The SDK's own quick retries would only take time here.
        extra = {"region_name": "us-east-1", "service_config": config, "claude": {"max_retries": 0}}
        return {"conn_type": "aws", "extra": json.dumps(extra), **fields}

    keys = {"login": "SIMULATED", "password": "simulated-not-claude"}
    for conn_id, fields in {
        "no_credentials": connection(stack.simulator_url),
        "wrong_secret": connection(stack.simulator_url, **keys | {"password": "guessed"}),
        "no_route": connection("http://127.0.0.1:9", **keys),
    }.items():
        answer = airflow.http.post("/connections", json={"connection_id": conn_id, **fields})
        assert answer.is_success, answer.text


@pytest.mark.parametrize(
    ("conn_id", "error", "words", "tries"),
    [
        ("no_credentials", "CredentialsMissingError", "no_credentials", 1),
        ("wrong_secret", "CredentialsRefusedError", "wrong_secret", 1),
        ("no_route", "UnreachableError", "127.0.0.1:9", 2),
        ("not_defined", "ConnectionSetupError", "not_defined", 1),
    ],
)
def test_a_connection_that_can_not_work_is_told_in_one_sentence(
    airflow: AirflowDriver, conn_id: str, error: str, words: str, tries: int
) -> None:
    dag_id = f"with_{conn_id}"
    run_id = airflow.trigger(dag_id)
    assert airflow.wait_run(dag_id, run_id) == "failed"
    (instance,) = airflow.instances(dag_id, run_id)
    assert instance["try_number"] == tries
    log = airflow.log(dag_id, run_id, "ask", try_number=tries)
    told = [line for line in log.splitlines() if error in line and words in line]
    assert told, log[-4000:]


@pytest.mark.parametrize(
    ("fault", "error", "requests"),
    [
        ("access_denied", "AccessDeniedError", 1),
        ("expired_token", "CredentialsRefusedError", 1),
        ("unknown_model", "ModelNotFoundError", 1),
    ],
)
def test_a_refusal_by_bedrock_is_told_in_the_log_and_the_command_line_and_not_retried(
    airflow: AirflowDriver,
    simulator: SimulatorControl,
    chassis: Chassis,
    fault: str,
    error: str,
    requests: int,
) -> None:
    simulator.add_fault(fault, kind="plan")
    done = chassis("run", SUM, "--workflow-id", f"refused_{fault}")
    assert done.returncode == 3, done.stdout[-2000:] + done.stderr[-2000:]
    assert len(simulator.requests()) == requests
    run = airflow.get("/dags/plan_workflow/dagRuns", order_by="-run_after", limit=1)["dag_runs"][0]
    log = airflow.log("plan_workflow", run["dag_run_id"], "plan")
    sentences = [line for line in log.splitlines() if error in line]
    assert sentences, log[-4000:]
    hint = airflow.get(
        f"/dags/plan_workflow/dagRuns/{run['dag_run_id']}/taskInstances/plan/xcomEntries/error",
        deserialize=True,
    )["value"]
    assert hint["message"][:60] in " ".join((done.stdout + done.stderr).split())


def test_a_long_wait_that_the_server_asks_for_is_airflows(
    airflow: AirflowDriver, simulator: SimulatorControl
) -> None:
    """Up to 20 seconds a call waits where it is; this one is given back, and the task is tried again after the wait."""
    simulator.add_fault("throttle", kind="task", task="add_numbers", times=1, retry_after=21)
    workflow_id, run_id, state = airflow.plan_and_run(SUM, workflow_id="throttled_sum")
    assert state == "success"
    tries = {ti["task_id"]: ti["try_number"] for ti in airflow.instances(workflow_id, run_id)}
    assert tries == {"identify_numbers": 1, "add_numbers": 2, "report_result": 1}
    first, second = (entry["started"] for entry in simulator.requests(task="add_numbers"))
    assert second - first >= 21


def test_a_blocked_task_fails_says_why_and_is_not_asked_again(
    airflow: AirflowDriver, simulator: SimulatorControl
) -> None:
    simulator.add_fault("blocked", kind="task", task="add_numbers")
    workflow_id, run_id, state = airflow.plan_and_run(SUM, workflow_id="blocked_sum")
    assert state == "failed"
    assert [request["task"] for request in simulator.requests() if request["kind"] == "task"] == [
        "identify_numbers",
        "add_numbers",
    ]
    assert "TaskBlockedError" in airflow.log(workflow_id, run_id, "add_numbers")
    assert airflow.states(workflow_id, run_id)["report_result", -1] == "upstream_failed"
