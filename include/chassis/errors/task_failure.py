"""Why a task failed, for the command line and the pages: its own error, or else the last error in its log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chassis.errors.base import ChassisError, restore_error

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class TaskFailedError(ChassisError):
    """A task failed without an error of Chassis: killed, timed out, or by another exception."""


def failure_of(left: Any, log: Iterable[Mapping[str, Any]], task_id: str) -> ChassisError:
    """The error that made a task fail.

    :param left: its XCom ``error``; None if it has none
    :param log: the events of its log, oldest first; read only if the task left no error
    """
    if isinstance(left, dict) and isinstance(left.get("class"), str):
        return restore_error(left)
    reason = ""
    for event in log:
        reason = _error_text(event) or reason
    if reason:
        return TaskFailedError(f"Task {task_id} failed: {reason}")
    return TaskFailedError(
        f"Task {task_id} failed: its log gives no reason",
        hint="Its worker may have been killed, or somebody marked it as failed: see its audit log in Airflow.",
    )


def _error_text(event: Mapping[str, Any]) -> str:
    if event.get("level") not in ("error", "critical"):
        return ""
    for detail in event.get("error_detail") or ():
        return f"{detail['exc_type']}: {detail['exc_value']}"
    return str(event.get("event", ""))
