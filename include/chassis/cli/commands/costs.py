"""``chassis costs``: what runs have spent."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from chassis.cli.commands.shared_options import HOME, HomeOption, JsonOption
from chassis.cli.console import out, print_json, safe_line, tell
from chassis.cli.exit_codes import FAILED, SUCCESS, reports_errors

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chassis.cli.costs import RunCost, WorkflowCost
    from chassis.cli.listing import Listing
    from chassis.contract.spending import Totals


@reports_errors
def costs(
    workflow: Annotated[
        str | None,
        typer.Argument(help="Id of a workflow, or of a planner's DAG.", show_default="all, a line each"),
    ] = None,
    as_json: JsonOption = False,
    home: HomeOption = HOME,
) -> None:
    """Show what the runs of a workflow have cost, as recorded in their ledgers."""
    from chassis.claude.prices import price_date
    from chassis.cli.costs import read_cost, read_costs
    from chassis.cli.target import open_records

    files = open_records(home)
    found = read_costs(files) if workflow is None else [read_cost(files, workflow)]
    broken = any(cost.broken for cost in found)
    if as_json:
        documents = [cost.document(with_runs=workflow is not None) for cost in found]
        print_json({"prices": price_date(), "workflows": documents})
        raise typer.Exit(FAILED if broken else SUCCESS)
    if not found:
        tell("No call to Claude is recorded yet.")
        return
    console = out()
    console.print(_workflows_table(found) if workflow is None else _runs_table(found[0]))
    console.print(f"Dollars are list prices as of each call; now: {price_date()}.")
    for cost in found:
        for run in cost.runs:
            if run.error is not None:
                tell(
                    f"Not in the sums: run {run.run_id} of {cost.workflow_id}. {run.error.message} {run.error.hint}"
                )
    raise typer.Exit(FAILED if broken else SUCCESS)


_SPENT = ("Calls", "Tokens", "Dollars", "Not certain")
_NUMBERS = ("Runs", "Calls", "Tokens", "Dollars")


def _workflows_table(costs: Iterable[WorkflowCost]) -> Listing:
    from chassis.cli.listing import Listing

    table = Listing("Workflow", "Runs", *_SPENT, numbers=_NUMBERS)
    for cost in costs:
        for simulated in (False, True):
            runs = sum(run.simulated is simulated for run in cost.runs)
            if runs:
                name = _named(cost.workflow_id, simulated=simulated)
                table.add(name, f"{runs:,}", *_spent(cost.spent(simulated=simulated)))
    return table


def _runs_table(cost: WorkflowCost) -> Listing:
    from chassis.cli.listing import Listing

    table = Listing("Run", "Started (UTC)", *_SPENT, numbers=_NUMBERS)
    for run in cost.runs:
        table.add(_named(run.run_id, simulated=run.simulated), _started(run), *_spent(run.spent))
    table.section()
    for simulated in (False, True):
        sums = cost.sums(simulated=simulated)
        for name, total in sums.items():
            table.add(_named(name, simulated=simulated), "", *_spent(total), style="bold")
    return table


def _named(name: str, *, simulated: bool) -> str:
    from chassis.cli.render import SIMULATED

    return safe_line(name) + (f" ({SIMULATED})" if simulated else "")


def _started(run: RunCost) -> str:
    return "" if run.started is None else f"{datetime.fromtimestamp(run.started, UTC):%Y-%m-%d %H:%M}"


def _spent(totals: Totals | None) -> tuple[str, ...]:
    """Calls, tokens, dollars, and what isn't certain of them; None: its ledger can't be read."""
    from chassis.cli import amounts

    if totals is None:
        return "", "", "", "its ledger can't be read"
    not_certain = "; ".join(filter(None, (amounts.uncertain(totals), amounts.in_flight(totals))))
    return (
        f"{totals.calls:,}",
        f"{amounts.counted_tokens(totals):,}",
        amounts.price(totals, column=True),
        not_certain,
    )
