"""What workflows have cost: the ledgers of their runs, added up.

Dollars that nobody pays, of answers from the simulator, are never added to real ones.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any

from chassis.cli import amounts
from chassis.cli.report import error_document
from chassis.contract.names import PLANNER_DAG, planner_run_of
from chassis.contract.spending import Totals
from chassis.errors import RecordBrokenError
from chassis.errors.client import UsageError
from chassis.records.run_records import RunRecords, recorded_dags, recorded_runs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chassis.files import Files
    from chassis.records.run_records import RecordedRun


@dataclass(frozen=True)
class RunCost:
    """What one run has cost.

    :ivar started: when its first call was opened, in seconds since 1970; None if it made none
    :ivar simulated: whether only the simulator answered
    :ivar spent: None if its ledger can't be read
    :ivar error: why it can't
    """

    run_id: str
    started: float | None = None
    spent: Totals | None = None
    simulated: bool = False
    error: RecordBrokenError | None = None

    def document(self) -> dict[str, Any]:
        """The run as JSON-safe data."""
        found: dict[str, Any] = {"run_id": self.run_id, "simulated": self.simulated}
        if self.error is not None:
            return {**found, "error": error_document(self.error)}
        return {**found, "started_at": self.started, "usage": _usage(self.spent)}


@dataclass(frozen=True)
class WorkflowCost:
    """What the runs of one workflow, or of a planner's DAG, have cost; the earliest run first.

    :ivar planning: the planner's runs that started these runs
    """

    workflow_id: str
    runs: tuple[RunCost, ...]
    planning: tuple[RunCost, ...] = ()

    def sums(self, *, simulated: bool) -> dict[str, Totals]:
        """The sums by their names: of the runs, and where planning started them, of that and of both together."""
        runs, planning = _sum(self.runs, simulated), _sum(self.planning, simulated)
        if runs is None or planning is None:
            return {"Total": runs} if runs else {"Planning": planning} if planning else {}
        return {"Runs": runs, "Planning": planning, "Together": runs + planning}

    def spent(self, *, simulated: bool) -> Totals | None:
        """The sum over the real, or over the simulated, runs; None if there are none."""
        return _sum(self.runs, simulated)

    @property
    def broken(self) -> int:
        """How many runs the sums lack, because their ledgers can't be read."""
        return sum(run.error is not None for run in self.runs)

    def document(self, *, with_runs: bool) -> dict[str, Any]:
        """The workflow as JSON-safe data."""
        found: dict[str, Any] = {
            "workflow_id": self.workflow_id,
            "run_count": len(self.runs),
            "broken_count": self.broken,
            "usage": _usage(self.spent(simulated=False)),
            "simulated_usage": _usage(self.spent(simulated=True)),
        }
        if not with_runs:
            return found
        found["planning_usage"] = _usage(_sum(self.planning, simulated=False))
        found["simulated_planning_usage"] = _usage(_sum(self.planning, simulated=True))
        return {**found, "runs": [run.document() for run in self.runs]}


def _sum(runs: Iterable[RunCost], simulated: bool) -> Totals | None:
    parts = [run.spent for run in runs if run.simulated is simulated and run.spent is not None]
    return reduce(add, parts) if parts else None


def _usage(spent: Totals | None) -> dict[str, Any]:
    """As in the other ``--json`` documents, with what is in flight; None: there was no call."""
    totals = spent or Totals()
    return {
        **amounts.document(totals),
        "open_calls": totals.open_calls,
        "open_usd": totals.open.cost_usd or 0.0,
        "open_tokens": totals.open.tokens,
    }


def read_cost(files: Files, workflow_id: str) -> WorkflowCost:
    """What one workflow has cost, run by run.

    :raises UsageError: no call of it is recorded; names the nearest workflow that has one
    :raises StoreError: the record store can't be read
    """
    runs = _called(recorded_runs(files, workflow_id))
    if not runs:
        raise _unknown(
            workflow_id, [dag_id for dag_id, runs in recorded_dags(files).items() if _called(runs)]
        )
    cost = _cost(files, workflow_id, runs)
    started = {planner_run for run in runs if (planner_run := planner_run_of(run))}
    planning = sorted(started & set(_called(recorded_runs(files, PLANNER_DAG))))
    return replace(cost, planning=tuple(_run_cost(files, PLANNER_DAG, run) for run in planning))


def read_costs(files: Files) -> list[WorkflowCost]:
    """What every workflow has cost, planners too, by name. Errors as of :func:`read_cost`."""
    costs = [_cost(files, dag_id, _called(runs)) for dag_id, runs in recorded_dags(files).items()]
    return [cost for cost in costs if cost.runs]


def _called(runs: list[RecordedRun]) -> list[str]:
    return [run.run_id for run in runs if run.called]


def _cost(files: Files, workflow_id: str, run_ids: list[str]) -> WorkflowCost:
    runs = [_run_cost(files, workflow_id, run_id) for run_id in run_ids]
    return WorkflowCost(workflow_id, tuple(sorted(runs, key=lambda run: (run.started or 0.0, run.run_id))))


def _run_cost(files: Files, workflow_id: str, run_id: str) -> RunCost:
    try:
        spent = RunRecords(files, workflow_id, run_id).ledger.spending()
    except RecordBrokenError as error:
        return RunCost(run_id, error=error)
    return RunCost(run_id, spent.began_at, spent.totals, simulated=spent.simulated)


def _unknown(workflow_id: str, names: list[str]) -> UsageError:
    from chassis.workflow import nearest

    near = nearest(workflow_id, names)
    there = f"Recorded are: {', '.join(names)}." if names else "Nothing is recorded yet."
    return UsageError(
        f"No call to Claude is recorded for workflow '{workflow_id}'.",
        hint=f"Did you mean '{near}'?" if near else there,
    )
