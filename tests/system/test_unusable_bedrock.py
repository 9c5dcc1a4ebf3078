"""The planner's own connection can't work: what the command line says, on an Airflow of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chassis.local.stack import LocalStack
from tests.system.driver import AirflowDriver, run_chassis, started

NOWHERE = {"bedrock-runtime": {"endpoint_url": "http://127.0.0.1:9"}}
KEYS = {"login": "SIMULATED", "password": "simulated-not-claude"}


@pytest.mark.parametrize(
    ("keys", "error", "sentence"),
    [
        (
            {},
            "CredentialsMissingError",
            "There are no AWS credentials for the Airflow connection 'claude_bedrock'",
        ),
        (KEYS, "UnreachableError", "Bedrock at 127.0.0.1:9 (connection 'claude_bedrock'"),
    ],
    ids=["no credentials", "no route"],
)
def test_the_command_line_says_in_one_sentence_why_bedrock_can_not_be_used(
    tmp_path: Path, keys: dict[str, str], error: str, sentence: str
) -> None:
    extra = {"region_name": "us-east-1", "service_config": NOWHERE, "claude": {"max_retries": 0}}
    stack = LocalStack(
        tmp_path / "home",
        env={
            "AIRFLOW_CONN_CLAUDE_BEDROCK": json.dumps({"conn_type": "aws", "extra": extra, **keys}),
            "AIRFLOW__CHASSIS__TASK_RETRIES": "0",
        },
    )
    with started(stack):
        done = run_chassis(stack.home, "run", "Calculate the sum of 2 and 2")
        airflow = AirflowDriver(stack.url, stack.username, stack.password)
        (run,) = airflow.get("/dags/plan_workflow/dagRuns")["dag_runs"]
        log = airflow.log("plan_workflow", run["dag_run_id"], "plan")
    assert done.returncode == 3, done.stdout[-2000:] + done.stderr[-2000:]
    assert sentence in " ".join(done.stderr.split())
    assert [line for line in log.splitlines() if error in line and sentence in line]
