"""Finding the workflow and the run that a command means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chassis.cli.report import Report
from chassis.contract.names import TAG
from chassis.contract.run_view import NEWEST_RUN
from chassis.errors.client import UsageError
from chassis.workflow import nearest

if TYPE_CHECKING:
    from chassis.airflow_client import Airflow, Json

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


def find_run(airflow: Airflow, workflow_id: str, run_id: str) -> Json:
    """A run of a workflow, as Airflow has it.

    :raises UsageError: there is no such workflow or run; names the nearest
    """
    run = airflow.find_run(workflow_id, run_id)
    if run is None:
        raise _no_run(airflow, workflow_id, run_id)
    return run


def read_report(airflow: Airflow, workflow_id: str, run_id: str | None, *, results: bool = False) -> Report:
    """The status of a run: the one with this id, or the newest.

    :param results: whether with the tasks' results
    :raises UsageError: there is no such workflow or run; names the nearest
    """
    view = airflow.run_view(workflow_id, run_id or NEWEST_RUN, results=results)
    if view is None:
        raise _no_run(airflow, workflow_id, run_id)
    return Report(view)


def _no_run(airflow: Airflow, workflow_id: str, run_id: str | None) -> UsageError:
    find_workflow(airflow, workflow_id)
    recent = [found["dag_run_id"] for found in airflow.runs(workflow_id, limit=_RECENT)]
    if run_id is None or not recent:
        hint = "Start one in Airflow, or plan it again."
        return UsageError(f"Workflow '{workflow_id}' has no run yet.", hint=hint)
    return UsageError(f"Workflow '{workflow_id}' has no run '{run_id}'.", hint=_hint(run_id, recent, "runs"))


def _hint(name: str, names: list[str], what: str) -> str:
    """What to do about a wrong name: the nearest right one, or those that there are."""
    if near := nearest(name, names):
        return f"Did you mean '{near}'?"
    there = f"Existing {what}: {', '.join(names)}."
    return there if names else 'There are none yet: chassis run "REQUIREMENT".'
