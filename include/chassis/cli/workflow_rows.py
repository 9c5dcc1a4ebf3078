"""Workflows as they stand: what the plan store has of them, and what Airflow says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from chassis.cli.report import error_document
from chassis.contract.names import TAG
from chassis.errors import PlanError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chassis.airflow_client import Airflow, Json
    from chassis.plans.refs import PlanRef
    from chassis.plans.store import PlanStore

_RUN_STATES = ("queued", "running", "success", "failed")


@dataclass(frozen=True)
class WorkflowRow:
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
        found: Json = {
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


def read_workflows(store: PlanStore) -> list[WorkflowRow]:
    """What the plan store has, by id.

    :raises StoreError: the store can't be read
    """
    return [_of_plan(store, ref) for ref in store.heads().values()]


def _of_plan(store: PlanStore, ref: PlanRef) -> WorkflowRow:
    row = WorkflowRow(ref.id, ref.revision, ref.retired)
    try:
        spec = store.read(ref)
    except PlanError as error:
        return replace(row, fault=error)
    row = replace(row, title=spec.title, tasks=len(spec.tasks))
    if (schedule := spec.schedule) is None:
        return row
    when = schedule.cron or schedule.preset or f"asset {schedule.asset}"
    return replace(row, schedule=when, timezone=schedule.timezone)


def with_airflow(workflows: Iterable[WorkflowRow], airflow: Airflow) -> list[WorkflowRow]:
    """The same with what Airflow says of them, in five requests however many there are."""
    dags = {dag["dag_id"]: dag for dag in airflow.dags(tag=TAG)}
    last = {dag["dag_id"]: state for state in _RUN_STATES for dag in airflow.dags(tag=TAG, last_run=state)}
    return [
        _of_dag(each, dags[each.workflow_id], last.get(each.workflow_id))
        if each.workflow_id in dags
        else each
        for each in workflows
    ]


def _of_dag(workflow: WorkflowRow, dag: Json, last_run: str | None) -> WorkflowRow:
    paused, after, next_run = bool(dag["is_paused"]), dag.get("next_dagrun_run_after"), None
    if after and not paused and not workflow.retired:
        moment = datetime.fromisoformat(str(after))
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        next_run = moment.astimezone(ZoneInfo(workflow.timezone))
    return replace(workflow, paused=paused, next_run=next_run, last_run=last_run)
