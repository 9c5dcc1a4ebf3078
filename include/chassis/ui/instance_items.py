"""Finds the item of a mapped task instance: its place in the list that the plan gives the run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chassis.contract.names import RETURNED
from chassis.ui.run_facts import xcoms
from chassis.workflow import TaskGraph

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy.orm import Session

    from chassis.workflow import WorkflowSpec


def item_of(session: Session, spec: WorkflowSpec | None, instance: TaskInstance) -> str | None:
    """The item of a task instance; None if the task isn't mapped or the item is unknown.

    Doesn't use the label that Airflow shows: an instance that never ran has none, and one that looks like a secret is
    masked.

    :param spec: the run's plan; None if there is none, and the label must do
    """
    return items_of(session, spec, [instance])[0]


def items_of(
    session: Session, spec: WorkflowSpec | None, instances: Sequence[TaskInstance]
) -> list[str | None]:
    """The items of several instances of one task, like :func:`item_of`, reading the list once."""
    first = instances[0]
    known = dict(enumerate(list_of(session, spec, first.dag_id, first.run_id, first.task_id)))
    return [
        known.get(each.map_index, each._rendered_map_index) if each.map_index >= 0 else None
        for each in instances
    ]


def list_of(
    session: Session,
    spec: WorkflowSpec | None,
    dag_id: str,
    run_id: str,
    task_id: str,
    inputs: Mapping[str, Any] | None = None,
) -> Sequence[str]:
    """The list that a task of a run is mapped over, in the order of its instances; empty if there is none or it is
    unknown.

    :param inputs: the run's, which may hold the list before the run itself does
    """
    source = TaskGraph(spec.tasks).items(task_id) if spec is not None else None
    if source is None or source.finder is None:
        return source.items or () if source is not None else ()
    found = xcoms(session, dag_id, run_id, source.finder).get(RETURNED)
    return found if isinstance(found, list) else source.known(inputs or {}) or ()
