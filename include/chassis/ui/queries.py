"""Queries of the board and of the page of all workflows to Airflow's database. All are read-only.

Invariants that must not be relaxed:

- A refresh of a board is one statement, however many tasks the run has, and reads the cards only of what changed.
- No result, prompt or transcript is read here: a card is a few hundred bytes. Why a task failed without a card is read
  separately, for a few tasks at a time, see ``chassis.ui.failure_reasons``.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from airflow.models.dag import DagModel, DagTag
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session, aliased

from chassis.contract.names import CARD, PENDING_PLAN, TAG
from chassis.contract.workflow_rows import WaitingPlan, WorkflowRow
from chassis.contract.xcoms import Card, PendingPlan
from chassis.ui.run_facts import plain_json

EVER = datetime(1970, 1, 1, tzinfo=UTC)
"""A moment since which everything has changed."""


class Instance(NamedTuple):
    """A task instance, as far as a board shows it.

    :ivar card: what it left for the board; read only if it changed since the requested moment
    """

    task_id: str
    map_index: int
    state: str | None
    try_number: int
    start: datetime | None
    end: datetime | None
    label: str | None
    updated: datetime
    operator: str
    card: Card | None = None


@dataclass(frozen=True)
class RunState:
    """A run with all its task instances, at one moment.

    :ivar card: the run's newest card, which holds what the run had spent by then
    """

    dag_id: str
    run_id: str
    state: str
    start: datetime | None
    end: datetime | None
    bundle_version: str | None
    card: Card | None
    instances: tuple[Instance, ...]


def read_run(session: Session, dag_id: str, run_id: str, since: datetime = EVER) -> RunState | None:
    """Read a run and all its task instances in one statement; None if there is no such run.

    :param since: what changed after this moment gets its card
    """
    # Not correlated, so it is evaluated once, not for each row.
    cards = aliased(XComModel)
    the_run = select(DagRun.id).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id).scalar_subquery()
    newest_card = (
        select(cards.value)
        .where(cards.dag_run_id == the_run.correlate(None), cards.key == CARD)
        .order_by(cards.timestamp.desc())
        .limit(1)
        .correlate(None)
        .scalar_subquery()
    )
    statement = (
        select(
            DagRun._state,
            DagRun.start_date,
            DagRun.end_date,
            DagRun.bundle_version,
            newest_card,
            TaskInstance.task_id,
            TaskInstance.map_index,
            TaskInstance.state,
            TaskInstance.try_number,
            TaskInstance.start_date,
            TaskInstance.end_date,
            TaskInstance._rendered_map_index,
            TaskInstance.updated_at,
            TaskInstance.operator,
            XComModel.value,
        )
        .select_from(DagRun)
        .outerjoin(
            TaskInstance, and_(TaskInstance.dag_id == DagRun.dag_id, TaskInstance.run_id == DagRun.run_id)
        )
        .outerjoin(
            XComModel,
            and_(
                XComModel.dag_run_id == DagRun.id,
                XComModel.task_id == TaskInstance.task_id,
                XComModel.map_index == TaskInstance.map_index,
                XComModel.key == CARD,
                TaskInstance.updated_at > since,
            ),
        )
        .where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)
        .order_by(TaskInstance.map_index)
    )
    rows = session.execute(statement).all()
    if not rows:
        return None
    state, start, end, bundle_version, card = rows[0][:5]
    instances = tuple(_instance(*row[5:]) for row in rows if row[5] is not None)
    return RunState(
        dag_id,
        run_id,
        str(state or "queued"),
        start,
        end,
        bundle_version,
        Card.of(plain_json(card)),
        instances,
    )


def _instance(*row: Any) -> Instance:
    task_id, map_index, state, tries, start, end, label, updated, operator, card = row
    known = (state, tries or 0, start, end, label, updated or EVER, operator or "")
    return Instance(task_id, map_index, *known, Card.of(plain_json(card)))


def moment(text: str) -> datetime:
    """Parse a moment that this server returned earlier; anything else means all of the past."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return EVER
    return found if found.tzinfo else EVER


def read_workflows(session: Session, readable: Collection[str]) -> list[WorkflowRow]:
    """All workflows and planners that may be read, most recently run first.

    :param readable: the DAGs that the user may read
    """
    ours = select(DagTag.dag_id).where(DagTag.name == TAG)
    newest_id = (
        select(func.max(DagRun.id).label("id"))
        .where(DagRun.dag_id.in_(ours))
        .group_by(DagRun.dag_id)
        .subquery()
    )
    run = select(DagRun).join(newest_id, DagRun.id == newest_id.c.id).subquery()
    card = (
        select(XComModel.value)
        .where(XComModel.dag_run_id == run.c.id, XComModel.key == CARD)
        .order_by(XComModel.timestamp.desc())
        .limit(1)
        .scalar_subquery()
    )
    statement = (
        select(
            DagModel.dag_id,
            func.coalesce(DagModel._dag_display_property_value, DagModel.dag_id).label("title"),
            DagModel.is_paused.label("paused"),
            func.coalesce(DagModel.timetable_summary, "").label("schedule"),
            DagModel.next_dagrun_create_after.label("next_run"),
            run.c.run_id,
            run.c.state,
            run.c.start_date.label("start"),
            run.c.end_date.label("end"),
            card.label("card"),
        )
        .outerjoin(run, run.c.dag_id == DagModel.dag_id)
        .where(DagModel.dag_id.in_(readable), DagModel.dag_id.in_(ours), DagModel.is_stale.is_(False))
    )
    found = [dict(row) for row in session.execute(statement).mappings()]
    tags: dict[str, list[str]] = {}
    of_these = select(DagTag.dag_id, DagTag.name).where(DagTag.dag_id.in_([row["dag_id"] for row in found]))
    for dag_id, name in session.execute(of_these):
        tags.setdefault(dag_id, []).append(name)
    rows = (
        WorkflowRow.model_validate(
            {**row, "tags": tags.get(row["dag_id"], ()), "card": Card.of(plain_json(row["card"]))}
        )
        for row in found
    )
    return sorted(rows, key=lambda row: (-(row.start or EVER).timestamp(), row.dag_id))


def read_waiting(session: Session, readable: Collection[str]) -> list[WaitingPlan]:
    """The plans that wait for a decision, of readable DAGs, oldest first."""
    statement = (
        select(TaskInstance.dag_id, TaskInstance.run_id, TaskInstance.start_date, XComModel.value)
        .join(
            XComModel,
            and_(
                XComModel.dag_id == TaskInstance.dag_id,
                XComModel.run_id == TaskInstance.run_id,
                XComModel.task_id == TaskInstance.task_id,
                XComModel.map_index == TaskInstance.map_index,
                XComModel.key == PENDING_PLAN,
            ),
        )
        .where(TaskInstance.dag_id.in_(readable), TaskInstance.state == "awaiting_input")
        .order_by(TaskInstance.start_date)
    )
    return [
        WaitingPlan(dag_id=dag_id, run_id=run_id, since=since, plan=PendingPlan.of(plain_json(value)))
        for dag_id, run_id, since, value in session.execute(statement)
    ]


def newest_run(session: Session, dag_id: str) -> str | None:
    """Id of a DAG's newest run; None if it has none."""
    statement = select(DagRun.run_id).where(DagRun.dag_id == dag_id)
    return session.scalar(statement.order_by(DagRun.run_after.desc(), DagRun.id.desc()).limit(1))
