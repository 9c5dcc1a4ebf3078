"""Why a task failed: as it said itself, or else the last error in its log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chassis.errors import ChassisError, restore_error

if TYPE_CHECKING:
    from chassis.cli.airflow_api import Airflow, Json

_KEY = "error"  # under which Chassis's operators leave ChassisError.describe(), see chassis.dag.calling


class TaskFailedError(ChassisError):
    """A task failed without saying why in Chassis's own way: killed, timed out, or a foreign fault."""


def read_failure(
    airflow: Airflow, dag_id: str, run_id: str, task_id: str, *, try_number: int, map_index: int = -1
) -> ChassisError:
    """The error that made a task instance fail."""
    value = airflow.xcom(dag_id, run_id, task_id, map_index=map_index, key=_KEY)
    if isinstance(value, dict) and isinstance(value.get("class"), str):
        return restore_error(value)
    events = airflow.log(dag_id, run_id, task_id, try_number, map_index=map_index) if try_number else []
    reason = next((text for event in reversed(events) if (text := _error_text(event))), "")
    return TaskFailedError(f"Task {task_id} failed: {reason or 'its log gives no reason'}")


def error_document(error: ChassisError) -> Json:
    """An error in ``--json`` documents: the same three fields for every class."""
    return {"class": type(error).__name__, "message": error.message.rstrip(), "hint": error.hint}


def _error_text(event: Json) -> str:
    if event.get("level") not in ("error", "critical"):
        return ""
    for detail in event.get("error_detail") or ():
        return f"{detail['exc_type']}: {detail['exc_value']}"
    return str(event.get("event", ""))
