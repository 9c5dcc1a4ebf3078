"""Finding the workflow and the run that a command means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chassis.cli.report import Report
from chassis.errors.client import UsageError
from chassis.workflow import nearest

if TYPE_CHECKING:
    from chassis.airflow_client import Airflow, Json

from chassis.contract.names import TAG

UNFINISHED = ("queued", "running")
"""States of a run that goes on."""
_RECENT = 20


def find_workflow(airflow: Airflow, workflow_id: str) -> Json:
    """Airflow's DAG of a workflow, or of a planner.

    :raises UsageError: there is no such workflow; names the nearest
    """
    dag = airflow.find_dag(workflow_id)
    if dag is not None:
        return dag
    names = [found["dag_id"] for found in airflow.dags(tag=TAG)]
    raise UsageError(f"There is no workflow '{workflow_id}'.", hint=_hint(workflow_id, names, "workflows"))


def find_run(airflow: Airflow, workflow_id: str, run_id: str | None) -> Json:
    """The run of a workflow with this id, or its newest.

    :raises UsageError: there is no such workflow or run; names the nearest
    """
    find_workflow(airflow, workflow_id)
    if run_id is not None and (run := airflow.find_run(workflow_id, run_id)) is not None:
        return run
    recent = airflow.runs(workflow_id, limit=_RECENT)
    if run_id is not None:
        hint = _hint(run_id, [found["dag_run_id"] for found in recent], "runs")
        raise UsageError(f"Workflow '{workflow_id}' has no run '{run_id}'.", hint=hint)
    if not recent:
        raise UsageError(
            f"Workflow '{workflow_id}' has no run yet.", hint="Start one in Airflow, or plan it again."
        )
    return recent[0]


def read_report(airflow: Airflow, workflow_id: str, run_id: str, *, results: bool = False) -> Report:
    """How a run stands that was there a moment ago.

    :param results: whether with the tasks' results
    """
    view = airflow.run_view(workflow_id, run_id, results=results)
    if view is None:
        raise UsageError(f"Workflow '{workflow_id}' no longer has a run '{run_id}'.")
    return Report(view)


def _hint(name: str, names: list[str], what: str) -> str:
    """What to do about a wrong name: the nearest right one, or those that there are."""
    if near := nearest(name, names):
        return f"Did you mean '{near}'?"
    there = f"Existing {what}: {', '.join(names)}."
    return there if names else 'There are none yet: chassis run "REQUIREMENT".'
