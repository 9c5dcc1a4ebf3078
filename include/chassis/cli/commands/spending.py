"""``chassis limits`` and ``costs``: what runs may spend, and what they have spent."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from chassis.cli.commands.shared_options import HOME, HomeOption, JsonOption, WorkflowArgument
from chassis.cli.console import FAILED, SUCCESS, out, print_json, reports_errors, safe_line, tell
from chassis.errors import PlanNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from chassis.cli.costs import RunCost, WorkflowCost
    from chassis.cli.listing import Listing
    from chassis.contract.spending import Totals
    from chassis.plans.refs import PlanRef
    from chassis.plans.store import PlanStore
    from chassis.workflow import WorkflowSpec


def _option(name: str, metavar: str, what: str) -> typer.models.OptionInfo:
    found: typer.models.OptionInfo = typer.Option(
        name, metavar=f"{metavar}|none", help=what, show_default=False, rich_help_panel="New limits"
    )
    return found


@reports_errors
def limits(
    workflow: WorkflowArgument,
    budget_usd: Annotated[str | None, _option("--budget-usd", "USD", "Dollars that a run may spend.")] = None,
    max_tokens: Annotated[str | None, _option("--max-tokens", "N", "Tokens that a run may use.")] = None,
    max_calls: Annotated[str | None, _option("--max-calls", "N", "Calls that a run may make.")] = None,
    max_minutes: Annotated[str | None, _option("--max-minutes", "N", "Minutes that a run may take.")] = None,
    max_parallel: Annotated[
        str | None, _option("--max-parallel", "N", "Maximum parallel calls of a run; none: 16.")
    ] = None,
    task_budget_usd: Annotated[
        str | None, _option("--task-budget-usd", "USD", "Dollars that each task, or item, may spend.")
    ] = None,
    task_max_tokens: Annotated[
        str | None, _option("--task-max-tokens", "N", "Tokens that each task, or item, may use.")
    ] = None,
    task_max_calls: Annotated[
        str | None, _option("--task-max-calls", "N", "Calls that each task, or item, may make.")
    ] = None,
    as_json: JsonOption = False,
    home: HomeOption = HOME,
) -> None:
    """Show what a run of a workflow may spend, or publish its next revision with other limits; none takes one away."""
    from chassis.cli.target import open_store

    given = {
        "budget_usd": budget_usd,
        "max_tokens": max_tokens,
        "max_calls": max_calls,
        "max_minutes": max_minutes,
        "max_parallel": max_parallel,
        "task_budget_usd": task_budget_usd,
        "task_max_tokens": task_max_tokens,
        "task_max_calls": task_max_calls,
    }
    store = open_store(home)
    try:
        ref = store.get(workflow)
    except PlanNotFoundError as error:
        hint = f"{error.hint} A DAG that you wrote yourself has its limits in its file."
        raise PlanNotFoundError(error.message, hint=hint) from None
    spec = store.read(ref)
    changes = {name: value for name, value in given.items() if value is not None}
    if changes:
        _change(store, ref, spec, changes, as_json=as_json)
    elif as_json:
        print_json(_document(ref.id, ref.revision, spec, changed=False))
    else:
        _show_limits(ref, spec)


def _document(workflow_id: str, revision: int, spec: WorkflowSpec, *, changed: bool) -> dict[str, Any]:
    from chassis.cli.plan_limits import limits_of

    values = {limit.name: limit.value for limit in limits_of(spec)}
    return {"workflow_id": workflow_id, "revision": revision, "changed": changed, "limits": values}


def _show_limits(ref: PlanRef, spec: WorkflowSpec) -> None:
    from chassis.cli.listing import Listing
    from chassis.cli.plan_limits import limit_text, limits_of
    from chassis.cli.target import ceilings

    most = ceilings()
    tell(f"Revision {ref.revision} of {ref.id}{' (retired)' if ref.retired else ''}")
    table = Listing("What", "At most", "Option", *(["Ceiling of the deployment"] if most else []))
    for limit in limits_of(spec):
        ceiling = limit_text(limit.name, most.get(limit.name)) if limit.name in most else ""
        table.add(limit.meaning, limit.text, limit.option, *([ceiling] if most else []))
    out().print(table)


def _change(
    store: PlanStore, ref: PlanRef, spec: WorkflowSpec, changes: Mapping[str, str], *, as_json: bool
) -> None:
    from chassis.cli.plan_limits import limit_text, limits_of, overtaken, publish_limits
    from chassis.cli.target import ceilings

    most = ceilings()
    changed, published = publish_limits(store, ref, spec, changes)
    if as_json:
        print_json(_document(ref.id, published.revision, changed, changed=published.changed))
        return
    console = out()
    if not published.changed:
        console.print(Text(f"Revision {ref.revision} of {ref.id} has these limits; nothing was published."))
        return
    console.print(Text(f"Revision {published.revision} of {ref.id}:", style="bold"))
    for before, after in zip(limits_of(spec), limits_of(changed), strict=True):
        if before != after:
            console.print(Text(f"  {after.meaning}: {before.text} -> {after.text}"))
            ceiling = most.get(after.name)
            if ceiling is not None and (after.value is None or after.value > ceiling):
                holds = f"  The deployment's ceiling of {limit_text(after.name, ceiling)} holds all the same."
                console.print(Text(holds, style="yellow"))
    if others := overtaken(store, ref, published):
        numbers = ", ".join(map(str, others))
        note = f"Revision {numbers} came in between; this one is revision {ref.revision} but for its limits."
        console.print(Text(note, style="yellow"))
    console.print("New runs go by it. A run that has begun keeps its limits; to let it go on with these:")
    # Not wrapped: it is to be copied.
    console.print(Text(f"chassis retry {ref.id} TASK --run ID --latest"), soft_wrap=True)


@reports_errors
def costs(
    workflow: Annotated[
        str | None,
        typer.Argument(help="Id of a workflow, or of a planner's DAG.", show_default="all, a line each"),
    ] = None,
    as_json: JsonOption = False,
    home: HomeOption = HOME,
) -> None:
    """Show what the calls of a workflow's runs have cost, by the ledgers that hold its limits."""
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
