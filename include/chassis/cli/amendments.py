"""What people changed for single tasks of a run: asked for in the command line, and shown with the run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from chassis.cli.console import safe_line
from chassis.cli.input_values import Input, input_values, parse_inputs
from chassis.errors.client import AirflowRefusedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from chassis.airflow_client import Airflow, Json
    from chassis.cli.report import Report


_MOST_NAMES = 10
"""Items of an amendment that its line names; ``--json`` has all."""


@dataclass(frozen=True)
class Change:
    """What a retry is asked to change, as it was given."""

    instruction: str | None
    inputs: tuple[Input, ...]
    reason: str
    save: bool

    def wish(self, types: Mapping[str, str]) -> Json:
        """The change as Airflow's side takes it, see ``chassis.ui.amended_reruns.Wish``.

        :param types: the declared types of the workflow's inputs
        :raises UsageError: an input's text can't be read as its type
        """
        inputs = input_values(self.inputs, types)
        return {"instruction": self.instruction, "inputs": inputs, "reason": self.reason, "save": self.save}


def change_of(
    instruction: str | None, inputs: Iterable[str], reason: str | None, *, save: bool, latest: bool
) -> Change | None:
    """What a retry is asked to change; None when it is to run again as it was.

    :raises UsageError: the options don't go together
    """
    changed = parse_inputs(inputs)
    if instruction is None and not changed:
        if reason is not None or save:
            raise UsageError(
                "--reason and --save belong to an amendment.",
                hint="Say what is to change: --instruction or --input.",
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
    return Change(instruction, tuple(changed), str(reason), save)


def read_amendments(airflow: Airflow, workflow_id: str, run_id: str) -> list[Json]:
    """The run's amendments that count; none from an Airflow whose Chassis doesn't know them."""
    try:
        found = airflow.amendments(workflow_id, run_id)
    except AirflowRefusedError as error:
        if error.status == 404:
            return []
        raise
    return [each for each in found if not each["withdrawn"]]


def with_amendments(report: Report, amendments: Iterable[Json]) -> Report:
    """The report in which each amended task has its last amendment."""
    last: dict[tuple[Any, Any], Json] = {
        (each["task_id"], item): each for each in amendments for item in each["items"] or [None]
    }
    rows = (replace(row, amendment=last.get((row.id, row.item))) for row in report.rows)
    return replace(report, rows=tuple(rows))


def _named(items: list[str]) -> str:
    more = len(items) - _MOST_NAMES
    return ", ".join(items[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def amendment_lines(amendments: Iterable[Json]) -> Iterator[str]:
    """Each amendment in a line: of what, by whom, when, and why."""
    for each in amendments:
        task = f"{each['task_id']} [{_named(each['items'])}]" if each["items"] else each["task_id"]
        parts = ["instruction"] if each["instruction"] is not None else []
        parts += [f"input {name}" for name in each["inputs"]]
        when = str(each["at"])[:16].replace("T", " ")
        saved = "" if each["saved_revision"] is None else f" (revision {each['saved_revision']})"
        yield safe_line(
            f"Amendment {each['number']}: {task}, {', '.join(parts)}{saved}. {each['by']}, {when} UTC: {each['reason']}"
        )
