"""Workflows as they stand: what the plan store has of them, and what Airflow says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from chassis.cli.task_failure import error_document
from chassis.errors import PlanError
from chassis.errors.client import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chassis.airflow_client import Airflow, Json
    from chassis.plans.refs import PlanRef
    from chassis.plans.store import PlanStore

TAG = "chassis"
"""Of every DAG that Chassis builds, and of the planner."""
UNFINISHED = ("queued", "running")
_RUN_STATES = ("queued", "running", "success", "failed")


@dataclass(frozen=True)
class Standing:
    """One workflow.

    :ivar tasks: how many its plan has; None when the plan is broken
    :ivar schedule: when it runs by itself, in words; empty for never
    :ivar paused: None when Airflow doesn't have the workflow, or wasn't asked
    :ivar next_run: when it runs next, with its UTC offset; None for never or unknown
    :ivar last_run: state of its last run; None when there is none, or Airflow wasn't asked
    :ivar fault: why its plan can't be read
    """

    workflow_id: str
    revision: int
    retired: bool
    title: str = ""
    tasks: int | None = None
    schedule: str = ""
    timezone: str = "UTC"
    paused: bool | None = None
    next_run: datetime | None = None
    last_run: str | None = None
    fault: PlanError | None = None

    def document(self) -> Json:
        """The workflow as JSON-safe data."""
        found: dict[str, Any] = {
            "workflow_id": self.workflow_id,
            "revision": self.revision,
            "retired": self.retired,
            "title": self.title,
            "tasks": self.tasks,
            "schedule": self.schedule or None,
            "timezone": self.timezone if self.schedule else None,
            "paused": self.paused,
            "next_run": self.next_run.isoformat() if self.next_run else None,
            "last_run_state": self.last_run,
        }
        return found if self.fault is None else {**found, "error": error_document(self.fault)}


def read_workflows(store: PlanStore) -> list[Standing]:
    """What the plan store has, by id.

    :raises StoreError: the store can't be read
    """
    return [_of_plan(store, ref) for ref in store.heads().values()]


def _of_plan(store: PlanStore, ref: PlanRef) -> Standing:
    found = Standing(ref.id, ref.revision, ref.retired)
    try:
        spec = store.read(ref)
    except PlanError as error:
        return replace(found, fault=error)
    found = replace(found, title=spec.title, tasks=len(spec.tasks))
    schedule = spec.schedule
    if schedule is None:
        return found
    when = schedule.cron or schedule.preset or f"asset {schedule.asset}"
    return replace(found, schedule=when, timezone=schedule.timezone)


def with_airflow(workflows: Iterable[Standing], airflow: Airflow) -> list[Standing]:
    """The same with what Airflow says of them, in five requests however many there are."""
    dags = {dag["dag_id"]: dag for dag in airflow.dags(tag=TAG)}
    last = {dag["dag_id"]: state for state in _RUN_STATES for dag in airflow.dags(tag=TAG, last_run=state)}
    return [
        _of_dag(each, dags[each.workflow_id], last.get(each.workflow_id))
        if each.workflow_id in dags
        else each
        for each in workflows
    ]


def _of_dag(workflow: Standing, dag: Json, last_run: str | None) -> Standing:
    after = dag.get("next_dagrun_run_after")
    paused = bool(dag["is_paused"])
    next_run = None if paused or workflow.retired or not after else _in_zone(str(after), workflow.timezone)
    return replace(workflow, paused=paused, next_run=next_run, last_run=last_run)


def _in_zone(moment: str, timezone: str) -> datetime:
    when = datetime.fromisoformat(moment)
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).astimezone(ZoneInfo(timezone))


def find_workflow(airflow: Airflow, workflow_id: str) -> Json:
    """Airflow's DAG of a workflow, or of a planner.

    :raises UsageError: there is no such workflow; names the nearest
    """
    dag = airflow.find_dag(workflow_id)
    if dag is not None:
        return dag
    names = [found["dag_id"] for found in airflow.dags(tag=TAG)]
    raise UsageError(f"There is no workflow '{workflow_id}'.", hint=name_hint(workflow_id, names))


def name_hint(name: str, names: list[str], what: str = "workflows") -> str:
    """What to do about a wrong name: the nearest right one, or those that there are."""
    from chassis.workflow import nearest

    near = nearest(name, names)
    if near is not None:
        return f"Did you mean '{near}'?"
    return (
        f"Existing {what}: {', '.join(names)}." if names else 'There are none yet: chassis run "REQUIREMENT".'
    )
