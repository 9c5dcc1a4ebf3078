"""Why a task failed: as it said itself, or else the last error in its log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chassis.contract.names import ERROR
from chassis.errors import failure_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chassis.airflow_client import Airflow, Json
    from chassis.errors import ChassisError


def read_failure(
    airflow: Airflow, dag_id: str, run_id: str, task_id: str, *, try_number: int, map_index: int = -1
) -> ChassisError:
    """The error that made a task instance fail."""
    value = airflow.xcom(dag_id, run_id, task_id, map_index=map_index, key=ERROR)

    def log() -> Iterator[Json]:
        if try_number:
            yield from airflow.log(dag_id, run_id, task_id, try_number, map_index=map_index)

    return failure_of(value, log(), task_id)


def error_document(error: ChassisError) -> Json:
    """An error in ``--json`` documents: the same three fields for every class."""
    return {"class": type(error).__name__, "message": error.message.rstrip(), "hint": error.hint}
