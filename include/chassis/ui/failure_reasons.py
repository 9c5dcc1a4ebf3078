"""Why tasks failed that left no error of Chassis's own: killed, timed out, or by another's exception.

That is in their logs, which may be far away and long. So a log is read only for a task that failed and said nothing,
and for few of them in one request.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow.utils.log.log_reader import TaskLogReader

from chassis.contract.names import ERROR
from chassis.errors import failure_of
from chassis.text import one_line
from chassis.ui.error_view import ErrorView, view
from chassis.ui.run_facts import find_instance, xcoms

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy.orm import Session

    from chassis.ui.queries import RunState

logger = logging.getLogger(__name__)

FAILED = frozenset({"failed", "up_for_retry"})
"""States of a task whose last try failed."""

MOST = 20
"""Logs that one request reads at most."""

_LONGEST_LINE = 200


def why_failed(session: Session, instance: TaskInstance, *, log: bool = True) -> ErrorView | None:
    """The error of a task whose last try failed, as ``chassis status`` tells it; None for any other task.

    :param log: whether its log may be read when it left no error
    """
    if instance.state not in FAILED:
        return None
    left = xcoms(session, instance.dag_id, instance.run_id, instance.task_id, instance.map_index)
    return view(failure_of(left.get(ERROR), log_events(instance) if log else (), instance.task_id))


def reasons(session: Session, run: RunState) -> Mapping[tuple[str, int], str]:
    """Why tasks of a run failed that left no card, by task id and map index; only of what changed."""
    silent = [each for each in run.instances if each.changed and not each.card and each.state in FAILED]
    found = {(each.task_id, each.map_index): "See its log in Airflow." for each in silent}
    for each in silent[:MOST]:
        instance = find_instance(session, run.dag_id, run.run_id, each.task_id, each.map_index)
        error = why_failed(session, instance) if instance is not None else None
        if error is not None:
            found[each.task_id, each.map_index] = one_line(error.message, _LONGEST_LINE)
    return found


def log_events(instance: TaskInstance) -> Iterator[Mapping[str, Any]]:
    """The events of the last try's log; none when it can't be read, by whichever handler reads it here."""
    reader = TaskLogReader()
    if not instance.try_number or not reader.supports_read:
        return
    try:
        events, _ = reader.read_log_chunks(instance, instance.try_number, {"end_of_log": False})
        yield from (event.model_dump() for event in events)
    except Exception:
        logger.exception("The log of %s can't be read.", instance)
