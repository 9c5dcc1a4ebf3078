"""Choosing what a retry runs again: task instances, as they are or amended, and what they kept from running."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chassis.cli.input_arguments import Input, input_values, parse_inputs
from chassis.errors.client import AirflowRefusedError, UsageError
from chassis.rerun_scope import FAILED, instances_to_clear
from chassis.text import same_name
from chassis.workflow import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from chassis.airflow_client import Airflow, Json
    from chassis.cli.report import Report, Row
    from chassis.rerun_scope import Instance


@dataclass(frozen=True)
class Amendment:
    """What a retry is asked to change, as it was given."""

    instruction: str | None
    inputs: tuple[Input, ...]
    reason: str
    save: bool

    def wish(self, types: Mapping[str, str]) -> Json:
        """The change as Airflow's side takes it, see ``chassis.ui.amended_reruns.AmendRequest``.

        :param types: the declared types of the workflow's inputs
        :raises UsageError: an input's text can't be read as its type
        """
        inputs = input_values(self.inputs, types)
        return {"instruction": self.instruction, "inputs": inputs, "reason": self.reason, "save": self.save}


def amendment_of(
    instruction: str | None, inputs: Iterable[str], reason: str | None, *, save: bool, latest: bool
) -> Amendment | None:
    """What a retry is asked to change; None when it is to run again as it was.

    :raises UsageError: the options don't go together
    """
    changed = parse_inputs(inputs)
    if instruction is None and not changed:
        if reason is not None or save:
            raise UsageError(
                "--reason and --save belong to an amendment.",
                hint="Say what to change: --instruction or --input.",
            )
        return None
    if not (reason or "").strip():
        raise UsageError(
            "An amendment needs a reason, which stays with the run.", hint="Give it with --reason."
        )
    if latest:
        raise UsageError(
            "--latest takes the newest plan, and an amendment leaves the plan as it is: they don't go together.",
            hint="Leave out one of them.",
        )
    return Amendment(instruction, tuple(changed), str(reason), save)


@dataclass(frozen=True)
class AmendedRetry:
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
    rows = [row for row in report.rows if row.task.id == task_id]
    if not rows:
        raise _unknown("task", task_id, {row.task.id for row in report.rows}, f"run {report.view.run_id}")
    mapped = [row for row in rows if row.at.map_index >= 0]
    if item is None:
        failed = [row for row in mapped if row.at.state in FAILED]
        if mapped and not failed:
            names = ", ".join(row.label for row in mapped)
            raise UsageError(f"No item of task '{task_id}' failed: {names}.", hint="Name one with --item.")
        return failed or rows[:1]
    if not mapped:
        raise UsageError(f"Task '{task_id}' has no items.", hint="Leave out --item.")
    named = [row for row in mapped if row.at.item is not None]
    exact = [row for row in named if row.at.item == item]
    found = exact or [row for row in named if same_name(row.at.item or "") == same_name(item)]
    if not found:
        raise _unknown("item", item, {row.at.item or "" for row in named}, f"task '{task_id}'")
    return found


def retry(
    airflow: Airflow, report: Report, targets: Sequence[Row], *, downstream: bool, latest: bool = False
) -> list[Instance]:
    """Make the targets, and what they kept from running, run again.

    :param latest: move the run to the newest version of its workflow that Airflow has
    :return: what was cleared
    :raises UsageError: one of them runs at this moment
    """
    workflow_id, run_id = report.view.workflow_id, report.view.run_id
    instances = [row.instance for row in targets]
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
    airflow: Airflow, report: Report, targets: Sequence[Row], wish: Json, *, downstream: bool
) -> AmendedRetry:
    """Amend a task, or items of it, and make them, and what they kept from running, run again.

    Of several targets, which are the items that failed, Airflow's side finds the others itself: what is amended is
    what has failed at that moment.

    :param wish: of :meth:`Amendment.wish`
    :raises UsageError: one runs at this moment, or the change can't be made; nothing was done
    """
    wish = {**wish, "downstream": downstream, "all_failed": len(targets) > 1}
    try:
        done = airflow.amend(report.view.workflow_id, report.view.run_id, targets[0].instance, wish)
    except AirflowRefusedError as error:
        if error.status not in (400, 404, 409):
            raise
        names = ", ".join(row.label for row in targets)
        raise UsageError(f"Not amended: {names}. {error.detail}") from None
    cleared = [(each["task_id"], each["map_index"]) for each in done["cleared"]]
    return AmendedRetry(done["amendment"], done["items"], cleared, done["revision"], done["save_error"])


def _unknown(kind: str, name: str, names: set[str], where: str) -> UsageError:
    near = nearest(name, names)
    there = ", ".join(sorted(names)) or "none"
    return UsageError(
        f"There is no {kind} '{name}' in {where}.",
        hint=f"Did you mean '{near}'?" if near else f"It has: {there}.",
    )
