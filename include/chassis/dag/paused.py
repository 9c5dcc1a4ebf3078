"""A paused workflow: Airflow takes its runs and starts none of their tasks, so nothing is planned or started for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk.exceptions import AirflowRuntimeError

from chassis.errors import WorkflowPausedError

if TYPE_CHECKING:
    from airflow.sdk import Context


def refuse_paused(context: Context, workflow_id: str) -> None:
    """Refuse to start what would not run. A workflow that Airflow doesn't know yet isn't paused.

    :raises WorkflowPausedError: the workflow is paused
    """
    try:
        paused = context["ti"].get_dag(workflow_id).is_paused
    except AirflowRuntimeError:
        return
    if paused:
        raise WorkflowPausedError(
            f"Workflow '{workflow_id}' is paused: its run would not start.",
            hint="Unpause it on its page in Airflow, then clear this task; or start again with "
            "`chassis run --unpause`.",
        )
