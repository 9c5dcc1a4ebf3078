"""Airflow's facts of a run and a task: the few reads that a page needs, each by its key."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow.models.dagrun import DagRun
from airflow.models.hitl import HITLDetail
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from fastapi import HTTPException, status
from sqlalchemy import select

from chassis.contract.names import PLAN_OPERATOR
from chassis.contract.run_view import NO_SUCH_RUN
from chassis.rerun_scope import FAILED
from chassis.text import HALVES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Select
    from sqlalchemy.orm import Session


def find_run(session: Session, dag_id: str, run_id: str) -> DagRun:
    """Find a run of a DAG.

    :raises HTTPException: 404, there is none
    """
    run: DagRun | None = session.scalar(
        select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)
    )
    if run is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, NO_SUCH_RUN)
    return run


def _instances(dag_id: str, run_id: str, *which: Any) -> Select[TaskInstance]:
    return select(TaskInstance).where(TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id, *which)


def find_instance(
    session: Session, dag_id: str, run_id: str, task_id: str, map_index: int = -1
) -> TaskInstance | None:
    """A task of a run, or one item of it; None if the run doesn't have it."""
    which = (TaskInstance.task_id == task_id, TaskInstance.map_index == map_index)
    return session.scalar(_instances(dag_id, run_id, *which))


def failed_instances(session: Session, dag_id: str, run_id: str, task_id: str) -> list[TaskInstance]:
    """The failed items of a task of a run, in order; the task itself if it has no items."""
    failed = _instances(dag_id, run_id, TaskInstance.task_id == task_id, TaskInstance.state.in_(FAILED))
    return list(session.scalars(failed.order_by(TaskInstance.map_index)))


def first_failed(session: Session, dag_id: str, run_id: str) -> TaskInstance | None:
    """The first task of a run that failed; None if none did."""
    failed = _instances(dag_id, run_id, TaskInstance.state == "failed")
    return session.scalar(failed.order_by(TaskInstance.end_date).limit(1))


def planning_instance(session: Session, dag_id: str, run_id: str) -> TaskInstance | None:
    """The task of a run that asks for a plan; None if the run is no planner's."""
    return session.scalar(_instances(dag_id, run_id, TaskInstance.operator == PLAN_OPERATOR))


def planner_runs(session: Session, run_id: str) -> list[str]:
    """The planners' DAGs that have a run of this id."""
    statement = select(TaskInstance.dag_id).where(
        TaskInstance.run_id == run_id, TaskInstance.operator == PLAN_OPERATOR
    )
    return sorted(set(session.scalars(statement)))


def question_of(session: Session, instance: TaskInstance) -> HITLDetail | None:
    """A task's question to a person, with the answer; None if it never asked."""
    return session.scalar(select(HITLDetail).where(HITLDetail.ti_id == instance.id))


def xcoms(session: Session, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> Mapping[str, Any]:
    """A task's XComs by key: plain JSON, never deserialised to objects."""
    rows = session.execute(
        select(XComModel.key, XComModel.value).where(
            XComModel.dag_id == dag_id,
            XComModel.run_id == run_id,
            XComModel.task_id == task_id,
            XComModel.map_index == map_index,
        )
    )
    return {key: plain_json(value) for key, value in rows}


def plain_json(value: Any) -> Any:
    """A stored value as JSON with whole characters only: a model refuses text that contains half of one.

    If an XCom backend keeps the value elsewhere, this is only its address.
    """
    if isinstance(value, str):
        with suppress(ValueError):
            found = json.loads(value)
            whole = "\\u" not in value
            return found if whole else json.loads(HALVES.sub("\ufffd", json.dumps(found, ensure_ascii=False)))
    return value
