"""Choosing what a retry runs again: one task instance, as it is or amended, and what it kept from running."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from unicodedata import normalize

from chassis.cli.render import full_name
from chassis.errors.client import AirflowRefusedError, UsageError
from chassis.rerun_scope import FAILED, instances_to_clear

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from chassis.airflow_client import Airflow
    from chassis.cli.report import Report, Row
    from chassis.rerun_scope import Instance


@dataclass(frozen=True)
class Amending:
    """What came of an amendment.

    :ivar number: its number in the run
    :ivar items: those that it is for; none for a task without items
    :ivar revision: the plan's revision that has the change; None when it isn't in the plan
    :ivar save_error: why not, although that was asked for
    """

    number: int
    items: list[str]
    cleared: list[Instance]
    revision: int | None
    save_error: str


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
    found = _of_item(mapped, item)
    if not found:
        names = {row.item for row in mapped if row.item is not None}
        raise _unknown("item", item, names, f"task '{task_id}'")
    return found


def _of_item(rows: list[Row], item: str) -> list[Row]:
    """The rows of an item. Unicode writes ``é`` in two ways (NFC and NFD); an item is known by either of them."""
    exact = [row for row in rows if row.item == item]
    same = normalize("NFC", item)
    return exact or [row for row in rows if row.item is not None and normalize("NFC", row.item) == same]


def _without_item(rows: list[Row], mapped: list[Row], task_id: str) -> list[Row]:
    if not mapped:
        return rows[:1]
    failed = [row for row in mapped if row.state in FAILED]
    if not failed:
        names = ", ".join(full_name(row) for row in mapped)
        raise UsageError(f"No item of task '{task_id}' failed: {names}.", hint="Name one with --item.")
    return failed


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
    states = [((each["task_id"], each["map_index"]), each["state"]) for each in followers]
    chosen = instances_to_clear(instances, states, downstream=downstream)
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


def retry_amended(
    airflow: Airflow, report: Report, targets: Sequence[Row], change: Mapping[str, Any], *, downstream: bool
) -> Amending:
    """Amend a task, or items of it, and make them, and what they kept from running, run again.

    Of several targets, which are the items that failed, Airflow's side finds the others itself: what is amended is
    what has failed at that moment.

    :param change: ``instruction``, ``inputs``, ``reason`` and ``save``, see ``chassis.ui.amended_reruns.Wish``
    :raises UsageError: one runs at this moment, or the change can't be made; nothing was done
    """
    workflow_id, run_id = str(report.workflow_id), str(report.dag_run_id)
    first = targets[0]
    wish = {**change, "downstream": downstream, "all_failed": len(targets) > 1}
    try:
        done = airflow.amend(workflow_id, run_id, (first.id, first.map_index), wish)
    except AirflowRefusedError as error:
        if error.status not in (400, 404, 409):
            raise
        names = ", ".join(full_name(row) for row in targets)
        raise UsageError(f"Not amended: {names}. {error.detail}") from None
    cleared = [(each["task_id"], each["map_index"]) for each in done["cleared"]]
    return Amending(done["amendment"], done["items"], cleared, done["revision"], done["save_error"])


def _unknown(kind: str, name: str, names: set[str], where: str) -> UsageError:
    from chassis.workflow import nearest

    near = nearest(name, names)
    there = ", ".join(sorted(names)) or "none"
    return UsageError(
        f"There is no {kind} '{name}' in {where}.",
        hint=f"Did you mean '{near}'?" if near else f"It has: {there}.",
    )
