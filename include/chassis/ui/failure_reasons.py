"""Why tasks failed: by their own error, or by their log if they were killed or another exception ended them.

Logs may be remote and long. So a log is read only for a task that failed without an error, and only for a few per
request.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow.utils.log.log_reader import TaskLogReader

from chassis.contract.names import ERROR
from chassis.contract.xcoms import TaskError
from chassis.errors import failure_of
from chassis.ui.run_facts import find_instance, xcoms

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy.orm import Session

    from chassis.ui.queries import RunState

logger = logging.getLogger(__name__)

FAILED = frozenset({"failed", "up_for_retry"})
"""States of a task whose last try failed."""

MOST = 20
"""Maximum number of logs that one view of a board reads."""


def why_failed(session: Session, instance: TaskInstance, *, log: bool = True) -> TaskError | None:
    """The error of a task whose last try failed, as ``chassis status`` shows it; None for any other task.

    :param log: whether to read its log if it left no error
    """
    if instance.state not in FAILED:
        return None
    left = xcoms(session, instance.dag_id, instance.run_id, instance.task_id, instance.map_index)
    events = _log_events(instance) if log else ()
    return TaskError.made(failure_of(left.get(ERROR), events, instance.task_id))


def silent_failures(session: Session, run: RunState, since: datetime) -> Mapping[tuple[str, int], TaskError]:
    """Why tasks failed without a card, by task id and map index; only for changes since a moment."""
    silent = [
        each for each in run.instances if each.updated > since and not each.card and each.state in FAILED
    ]
    found = {
        (each.task_id, each.map_index): TaskError(kind="TaskFailedError", message="See its log in Airflow.")
        for each in silent
    }
    for task_id, map_index in list(found)[:MOST]:
        instance = find_instance(session, run.dag_id, run.run_id, task_id, map_index)
        if instance is not None and (failure := why_failed(session, instance)):
            found[task_id, map_index] = failure
    return found


def _log_events(instance: TaskInstance) -> Iterator[Mapping[str, Any]]:
    """The events of the last try's log, through whichever handler reads it here; none if it can't be read."""
    reader = TaskLogReader()
    if not instance.try_number or not reader.supports_read:
        return
    try:
        events, _ = reader.read_log_chunks(instance, instance.try_number, {"end_of_log": False})
        yield from (event.model_dump() for event in events)
    except Exception:
        logger.exception("The log of %s can't be read.", instance)
