"""Choosing what a retry runs again: one task instance, and what it kept from running.

Which instances follow which is Airflow's to say (it knows the run's own version of the workflow, and that
inside a mapped group each item goes its own way). Which of them run again is decided here, by their state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chassis.cli.errors import AirflowRefusedError, UsageError
from chassis.cli.render import full_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from chassis.cli.airflow_api import Airflow, Instance, Json
    from chassis.cli.report import Report, Row

_KEPT_FROM_RUNNING = frozenset({"upstream_failed", "skipped", "removed"})
_FAILED = frozenset({"failed", "upstream_failed"})


def find_targets(report: Report, task_id: str, item: str | None) -> list[Row]:
    """The task instances that are meant: the task, its item, or every item of it that failed.

    :raises UsageError: there is no such task or item, or nothing says which item; names the nearest, or all
    """
    rows = [row for row in report.rows if row.id == task_id]
    if not rows:
        raise _unknown("task", task_id, {row.id for row in report.rows}, f"run {report.dag_run_id}")
    mapped = [row for row in rows if row.map_index >= 0]
    if item is None:
        return _without_item(rows, mapped, task_id)
    if not mapped:
        raise UsageError(f"Task '{task_id}' has no items.", hint="Leave out --item.")
    found = [row for row in mapped if row.item == item]
    if not found:
        names = {row.item for row in mapped if row.item is not None}
        raise _unknown("item", item, names, f"task '{task_id}'")
    return found


def _without_item(rows: list[Row], mapped: list[Row], task_id: str) -> list[Row]:
    if not mapped:
        return rows[:1]
    failed = [row for row in mapped if row.state in _FAILED]
    if not failed:
        names = ", ".join(full_name(row) for row in mapped)
        raise UsageError(f"No item of task '{task_id}' failed: {names}.", hint="Name one with --item.")
    return failed


def select_instances(
    targets: Sequence[Row], followers: Iterable[Json], *, downstream: bool
) -> list[Instance]:
    """The instances to clear.

    :param targets: what was asked for
    :param followers: task instances that follow them, as Airflow gives them; may hold the targets too
    :param downstream: whether those that have run are to run again as well
    """
    chosen: list[Instance] = [(row.id, row.map_index) for row in targets]
    for follower in followers:
        instance = (follower["task_id"], follower["map_index"])
        wanted = downstream or follower["state"] in _KEPT_FROM_RUNNING
        if wanted and instance not in chosen:
            chosen.append(instance)
    return chosen


def retry(
    airflow: Airflow, report: Report, targets: Sequence[Row], *, downstream: bool, latest: bool = False
) -> list[Instance]:
    """Make the targets, and what they kept from running, run again.

    :param latest: move the run to the newest version of its workflow that Airflow has
    :return: what was cleared
    :raises UsageError: one of them runs at this moment
    """
    workflow_id, run_id = report.workflow_id, report.dag_run_id
    assert workflow_id is not None, "a run has a workflow"
    assert run_id is not None, "a run has an id"
    instances: list[Instance] = [(row.id, row.map_index) for row in targets]
    followers = airflow.downstream(workflow_id, run_id, instances)
    chosen = select_instances(targets, followers, downstream=downstream)
    try:
        airflow.clear(workflow_id, run_id, chosen, latest=latest)
    except AirflowRefusedError as error:
        if error.status != 409:
            raise
        raise UsageError(
            f"Something of this is running now, so nothing was retried: {error.detail}",
            hint=f"Wait for it: chassis status {workflow_id} --run {run_id}",
        ) from None
    return chosen


def _unknown(kind: str, name: str, names: set[str], where: str) -> UsageError:
    from chassis.workflow import nearest

    near = nearest(name, names)
    there = ", ".join(sorted(names)) or "none"
    return UsageError(
        f"There is no {kind} '{name}' in {where}.",
        hint=f"Did you mean '{near}'?" if near else f"It has: {there}.",
    )
