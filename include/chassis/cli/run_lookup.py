"""Finding the run that a command means, and what is known about its workflow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chassis.cli.plan_types import types_of_dag
from chassis.cli.planner_client import planning_of
from chassis.cli.report import Report, read_report
from chassis.cli.target import is_remote, open_store
from chassis.cli.task_shapes import Shape, revision_of_tags, shape_of_dag, shape_of_plan
from chassis.errors import ChassisError
from chassis.errors.client import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from chassis.airflow_client import Airflow, Json
    from chassis.workflow import WorkflowSpec

CHASSIS_TAG = "chassis"
"""Of every DAG that Chassis builds, and of the planner."""
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
    names = [found["dag_id"] for found in airflow.dags(tag=CHASSIS_TAG)]
    raise UsageError(f"There is no workflow '{workflow_id}'.", hint=_hint(workflow_id, names))


def _hint(name: str, names: list[str], what: str = "workflows") -> str:
    """What to do about a wrong name: the nearest right one, or those that there are."""
    from chassis.workflow import nearest

    if near := nearest(name, names):
        return f"Did you mean '{near}'?"
    return (
        f"Existing {what}: {', '.join(names)}." if names else 'There are none yet: chassis run "REQUIREMENT".'
    )


def find_run(airflow: Airflow, workflow_id: str, run_id: str | None) -> tuple[Json, Json]:
    """A workflow's DAG and one of its runs: the one with this id, or the newest.

    :raises UsageError: there is no such workflow or run; names the nearest
    """
    dag = find_workflow(airflow, workflow_id)
    if run_id is not None:
        run = airflow.find_run(workflow_id, run_id)
        if run is not None:
            return dag, run
    recent = airflow.runs(workflow_id, limit=_RECENT)
    if run_id is None and recent:
        return dag, recent[0]
    if run_id is None:
        raise UsageError(
            f"Workflow '{workflow_id}' has no run yet.", hint="Start one in Airflow, or plan it again."
        )
    names = [found["dag_run_id"] for found in recent]
    raise UsageError(f"Workflow '{workflow_id}' has no run '{run_id}'.", hint=_hint(run_id, names, "runs"))


def find_shape(airflow: Airflow, home: Path, dag: Json, run: Json) -> Shape:
    """The tasks of a run: of the very plan it is pinned to if the plan store has it, else of today's DAG."""
    found = _find_plan(home, dag["dag_id"], run)
    if found is not None:
        spec, revision = found
        return shape_of_plan(spec, revision, run["conf"] or {})
    return shape_of_dag(airflow.tasks(dag["dag_id"]), revision_of_tags(dag))


def input_types(airflow: Airflow, home: Path, dag: Json, run: Json) -> dict[str, str]:
    """The declared types of the inputs of the plan that a run is pinned to, by name; else of today's DAG."""
    found = _find_plan(home, dag["dag_id"], run)
    if found is None:
        return types_of_dag(airflow, dag["dag_id"])
    return {name: given.type for name, given in found[0].inputs.items()}


def _find_plan(home: Path, workflow_id: str, run: Json) -> tuple[WorkflowSpec, int] | None:
    """The plan that a run is pinned to, and its revision; None if the plan store of this machine doesn't have it."""
    version = run["bundle_version"]
    if not version or is_remote():
        return None
    try:
        store = open_store(home)
        ref = store.version_heads(version)[workflow_id]
        return store.read(ref), ref.revision
    except (ChassisError, KeyError):
        return None  # no plan of ours, or a broken one: its DAG says more than no table at all


def report_of(airflow: Airflow, shape: Shape, workflow_id: str, run_id: str) -> Report:
    """How a run stands that is known to exist, without its tasks' results."""
    report = read_report(airflow, workflow_id, run_id, shape, planning=planning_of(airflow, run_id))
    if report is None:
        raise UsageError(f"Workflow '{workflow_id}' has no run '{run_id}' any more.")
    return report
