"""Workflows as they stand: what the plan store has of them, and what Airflow says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from chassis.cli.report import error_document
from chassis.errors import PlanError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from chassis.airflow_client import Airflow, Json
    from chassis.contract.workflow_rows import WorkflowRow
    from chassis.plans.refs import PlanRef
    from chassis.plans.store import PlanStore


@dataclass(frozen=True)
class PlannedWorkflow:
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


def read_workflows(store: PlanStore) -> list[PlannedWorkflow]:
    """What the plan store has, by id.

    :raises StoreError: the store can't be read
    """
    return [_of_plan(store, ref) for ref in store.heads().values()]


def _of_plan(store: PlanStore, ref: PlanRef) -> PlannedWorkflow:
    row = PlannedWorkflow(ref.id, ref.revision, ref.retired)
    try:
        spec = store.read(ref)
    except PlanError as error:
        return replace(row, fault=error)
    row = replace(row, title=spec.title, tasks=len(spec.tasks))
    if (schedule := spec.schedule) is None:
        return row
    when = schedule.cron or schedule.preset or f"asset {schedule.asset}"
    return replace(row, schedule=when, timezone=schedule.timezone)


def with_airflow(workflows: Iterable[PlannedWorkflow], airflow: Airflow) -> list[PlannedWorkflow]:
    """The same with what Airflow says of them."""
    known = {row.dag_id: row for row in airflow.workflows().workflows}
    return [_joined(each, known.get(each.workflow_id)) for each in workflows]


def _joined(workflow: PlannedWorkflow, row: WorkflowRow | None) -> PlannedWorkflow:
    if row is None:
        return workflow
    next_run = None if row.paused or workflow.retired else row.next_run
    if next_run is not None:
        next_run = next_run.astimezone(ZoneInfo(workflow.timezone))
    return replace(workflow, paused=row.paused, next_run=next_run, last_run=row.state)
