"""``chassis limits``: what a run of a workflow may spend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from chassis.cli.commands.shared_options import HOME, HomeOption, JsonOption, WorkflowArgument
from chassis.cli.console import out, print_json, tell
from chassis.cli.exit_codes import reports_errors
from chassis.errors import PlanNotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chassis.plans.refs import PlanRef
    from chassis.plans.store import PlanStore
    from chassis.workflow import WorkflowSpec


def _new(metavar: str, meaning: str) -> Any:
    return typer.Option(
        metavar=f"{metavar}|none", help=meaning, show_default=False, rich_help_panel="New limits"
    )


@reports_errors
def limits(
    workflow: WorkflowArgument,
    budget_usd: Annotated[str | None, _new("USD", "Dollars that a run may spend.")] = None,
    max_tokens: Annotated[str | None, _new("N", "Tokens that a run may use.")] = None,
    max_calls: Annotated[str | None, _new("N", "Calls that a run may make.")] = None,
    max_minutes: Annotated[str | None, _new("N", "Minutes that a run may take.")] = None,
    max_parallel: Annotated[str | None, _new("N", "Maximum parallel calls of a run; none: 16.")] = None,
    task_budget_usd: Annotated[str | None, _new("USD", "Dollars that each task, or item, may spend.")] = None,
    task_max_tokens: Annotated[str | None, _new("N", "Tokens that each task, or item, may use.")] = None,
    task_max_calls: Annotated[str | None, _new("N", "Calls that each task, or item, may make.")] = None,
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
    if changes := {name: value for name, value in given.items() if value is not None}:
        _change(store, ref, spec, changes, as_json=as_json)
    elif as_json:
        _print_document(ref.id, ref.revision, spec, changed=False)
    else:
        _show(ref, spec)


def _print_document(workflow_id: str, revision: int, spec: WorkflowSpec, *, changed: bool) -> None:
    from chassis.cli.plan_limits import limits_of

    values = {limit.name: limit.value for limit in limits_of(spec)}
    print_json({"workflow_id": workflow_id, "revision": revision, "changed": changed, "limits": values})


def _show(ref: PlanRef, spec: WorkflowSpec) -> None:
    from chassis.cli.listing import Listing
    from chassis.cli.plan_limits import Limit, limits_of
    from chassis.cli.target import ceilings

    most = ceilings()
    tell(f"Revision {ref.revision} of {ref.id}{' (retired)' if ref.retired else ''}")
    table = Listing("What", "At most", "Option", *(["Ceiling of the deployment"] if most else []))
    for limit in limits_of(spec):
        ceiling = Limit(limit.name, most[limit.name]).text if limit.name in most else ""
        table.add(limit.meaning, limit.text, limit.option, *([ceiling] if most else []))
    out().print(table)


def _change(
    store: PlanStore, ref: PlanRef, spec: WorkflowSpec, changes: Mapping[str, str], *, as_json: bool
) -> None:
    from chassis.cli.plan_limits import Limit, limits_of, overtaken, publish_limits
    from chassis.cli.target import ceilings

    most = ceilings()
    changed, published = publish_limits(store, ref, spec, changes)
    if as_json:
        _print_document(ref.id, published.revision, changed, changed=published.changed)
        return
    console = out()
    if not published.changed:
        console.print(f"Revision {ref.revision} of {ref.id} has these limits; nothing was published.")
        return
    console.print(f"Revision {published.revision} of {ref.id}:", style="bold")
    for before, after in zip(limits_of(spec), limits_of(changed), strict=True):
        if before != after:
            console.print(f"  {after.meaning}: {before.text} -> {after.text}")
            ceiling = most.get(after.name)
            if ceiling is not None and (after.value is None or after.value > ceiling):
                text = Limit(after.name, ceiling).text
                console.print(f"  The deployment's ceiling of {text} still applies.", style="yellow")
    if others := overtaken(store, ref, published):
        numbers = ", ".join(map(str, others))
        console.print(
            f"Revision {numbers} came in between; this one is revision {ref.revision} but for its limits.",
            style="yellow",
        )
    console.print("New runs use it. A run that has started keeps its limits; to continue it with these:")
    # Not wrapped: it is to be copied.
    console.print(f"chassis retry {ref.id} TASK --run ID --latest", soft_wrap=True)
