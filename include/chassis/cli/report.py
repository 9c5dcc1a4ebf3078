"""A run as rows and as the ``--json`` document, by the view that the Chassis plugin gives of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from chassis.cli import amounts
from chassis.cli.console import safe_line
from chassis.contract.run_view import InstanceView, RunView, TaskView
from chassis.contract.spending import Bound, Totals
from chassis.contract.xcoms import TaskError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chassis.airflow_client import Json
    from chassis.errors import ChassisError
    from chassis.rerun_scope import Instance

FINISHED = frozenset({"success", "failed"})
"""States of a run that has ended."""
_FAILED = frozenset({"failed", "up_for_retry"})


@dataclass(frozen=True)
class Row:
    """One task, or one item of it."""

    task: TaskView
    at: InstanceView

    @property
    def instance(self) -> Instance:
        """What Airflow knows it by."""
        return self.task.id, self.at.map_index

    @property
    def label(self) -> str:
        """The task's id, with its item."""
        item = self.at.item if self.at.item is not None or self.at.map_index < 0 else f"#{self.at.map_index}"
        return safe_line(self.task.id if item is None else f"{self.task.id} [{item}]")


@dataclass(frozen=True)
class Report:
    """One run of a workflow, as far as it is."""

    view: RunView

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """The tasks in the plan's order, with each item that is still to come.

        What isn't of the plan (Chassis's helpers, the stand-in for a broken plan) comes last, and only when it failed:
        it is the reason of everything else then.
        """
        rows = [Row(task, at) for task in self.view.tasks for at in task.instances]
        planned = [row for row in rows if row.task.kind == "planned"]
        others = [row for row in rows if row.task.kind != "planned" and row.at.state in _FAILED]
        return (*planned, *others)

    @property
    def simulated(self) -> bool:
        """Whether the simulator answered for any of it."""
        view = self.view
        return (
            view.simulated
            or bool(view.planning and view.planning.simulated)
            or any(row.at.simulated for row in self.rows)
            or bool(view.spending and view.spending.run.simulated_calls)
        )

    @property
    def spent(self) -> Totals | None:
        """What the run has spent, without its planning; None as long as nothing is known of."""
        if (spending := self.view.spending) is not None:
            return _settled(spending.run) if self.view.state in FINISHED else spending.run
        return _sum(row.at.spent for row in self.rows)

    @property
    def planning_spent(self) -> Totals | None:
        """What the planner has spent on the plan that this run is the first one of; else None."""
        planning = self.view.planning
        if planning is None:
            return None
        if planning.spending is not None:
            return planning.spending.run
        unpriced = planning.usage.calls if planning.cost_usd is None else 0
        return Totals(
            calls=planning.usage.calls,
            usage=planning.usage,
            cost_usd=planning.cost_usd or 0.0,
            unpriced_calls=unpriced,
        )

    @property
    def total(self) -> Totals | None:
        """The run and its planning together; None as long as nothing is known of."""
        return _sum((self.spent, self.planning_spent))

    def document(self) -> Json:
        """The ``--json`` document. The tasks' usage adds up to ``usage``; ``total_usage`` has the planning, too."""
        view, planning = self.view, self.planning_spent
        document = {
            "workflow_id": view.workflow_id,
            "revision": view.revision,
            "dag_run_id": view.run_id,
            "state": view.state,
            "simulated": self.simulated,
            "tasks": [self._row_document(row) for row in self.rows],
            "usage": amounts.document(self.spent),
            "planning_usage": None if planning is None else amounts.document(planning),
            "total_usage": amounts.document(self.total),
        }
        if view.spending is not None:
            document |= {"limits": view.spending.limits.document(), "prices": view.spending.prices}
        return document

    def _row_document(self, row: Row) -> Json:
        at = row.at
        result = None
        if (found := at.result) is not None:
            facts = {"summary": found.summary, "output": found.output, "model": found.model}
            result = {**facts, "request_ids": list(found.request_ids)}
        document = {
            "id": row.task.id,
            "item": at.item,
            "name": row.task.name,
            "state": at.state,
            "depends_on": list(row.task.depends_on),
            "try_number": at.try_number,
            "result": result,
            "usage": None if row.at.spent is None else amounts.document(row.at.spent),
        }
        if at.amendment is not None:
            document["amendment"] = next(
                each for each in self.view.amendments if each["number"] == at.amendment
            )
        if at.carried_from:
            document["carried_from"] = at.carried_from
        if at.outdated:
            document["outdated"] = True
        return document if at.error is None else {**document, "error": _error_document(at.error)}


def error_document(error: ChassisError) -> Json:
    """An error in ``--json`` documents: the same three fields for every class."""
    return _error_document(TaskError.made(error))


def failed_document(error: ChassisError) -> Json:
    """The ``--json`` document where there is no run, because of an error."""
    nothing = Report(RunView(workflow_id="", run_id="", title="", state="failed", active=False)).document()
    return {**nothing, "workflow_id": None, "dag_run_id": None, "error": error_document(error)}


def _error_document(error: TaskError) -> Json:
    return {"class": error.kind, "message": error.message, "hint": error.hint}


def _sum(parts: Iterable[Totals | None]) -> Totals | None:
    known = [part for part in parts if part is not None]
    return sum(known[1:], start=known[0]) if known else None


def _settled(totals: Totals) -> Totals:
    """The same once the run has ended: nobody saw how the calls ended that were open at the last look."""
    return totals.model_copy(
        update={
            "calls": totals.calls + totals.open_calls,
            "uncertain_calls": totals.uncertain_calls + totals.open_calls,
            "uncertain": Bound(
                tokens=totals.uncertain.tokens + totals.open.tokens,
                cost_usd=round((totals.uncertain.cost_usd or 0) + (totals.open.cost_usd or 0), 9),
            ),
            "open_calls": 0,
            "open": Bound(),
        }
    )
