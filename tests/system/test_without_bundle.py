"""The main job in a deployment that can't configure ``PlanBundle``: ``dags/workflows.py`` loads the plans."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from chassis.local.stack import LocalStack
from tests.system.driver import AirflowDriver, started

DAGS = Path(__file__).parents[2] / "dags"


@pytest.fixture
def plain_airflow(tmp_path: Path) -> Iterator[AirflowDriver]:
    """An Airflow of its own whose only bundle is the folder of DAG files."""
    folder = {
        "name": "dags-folder",
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": str(DAGS)},
    }
    stack = LocalStack(
        tmp_path / "home",
        env={
            "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps([folder]),
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "5",
        },
    )
    with started(stack):
        yield AirflowDriver(stack.url, stack.username, stack.password)


def test_the_fallback_loader_brings_a_planned_workflow_to_its_result(plain_airflow: AirflowDriver) -> None:
    workflow_id, run_id, state = plain_airflow.plan_and_run("Calculate the sum of 5 and 3")
    assert state == "success"
    assert "8" in plain_airflow.result(workflow_id, run_id, "report_result")["summary"]
    assert plain_airflow.get(f"/dags/{workflow_id}/details")["bundle_version"] is None, "nothing is pinned"
