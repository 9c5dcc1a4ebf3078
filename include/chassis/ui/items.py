"""Which item a mapped task instance is: its place in the list that the run goes through, by its plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chassis.ui.run_facts import xcoms
from chassis.workflow import TaskGraph

if TYPE_CHECKING:
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy.orm import Session

    from chassis.workflow import WorkflowSpec


def item_of(session: Session, spec: WorkflowSpec | None, instance: TaskInstance) -> str | None:
    """The item of a task instance; None when the task isn't mapped, or nobody knows the item.

    Not the label that Airflow shows: an instance that never ran has none, and one that looks like a secret is masked.

    :param spec: the run's plan; None when there is none, and the label must do
    """
    if instance.map_index < 0:
        return None
    graph = TaskGraph(spec.tasks) if spec is not None else None
    root = graph.group_of(instance.task_id) if graph is not None else None
    if spec is None or root is None:
        return instance._rendered_map_index
    source = next(task.for_each for task in spec.tasks if task.id == root)
    items = source.items if source is not None else None
    if items is None:
        found = xcoms(session, instance.dag_id, instance.run_id, f"{root}__items").get("return_value")
        items = tuple(found) if isinstance(found, list) else ()
    in_list = instance.map_index < len(items)
    return items[instance.map_index] if in_list else instance._rendered_map_index
