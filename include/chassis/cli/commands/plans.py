"""``chassis list``, ``show``, ``diff`` and ``validate``: plans."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  Typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from chassis.cli.commands.options import HOME, HomeOption, WorkflowArgument
from chassis.cli.console import out, reports_errors, tell
from chassis.cli.text import one_line, plain

if TYPE_CHECKING:
    from chassis.plans.refs import PlanRef
    from chassis.plans.store import PlanStore
    from chassis.workflow import WorkflowSpec


@reports_errors
def list_workflows(home: HomeOption = HOME) -> None:
    """List the workflows of the plan store."""
    from rich import box
    from rich.table import Table

    from chassis.cli.target import open_store

    store = open_store(home)
    heads = store.heads()
    if not heads:
        tell('There are no workflows yet. Plan one: chassis run "REQUIREMENT"')
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("Workflow", "Revision", "Tasks", "Schedule", "Title"):
        table.add_column(heading, overflow="fold")
    for ref in heads.values():
        table.add_row(*(Text(cell) for cell in _cells(store, ref)))
    out().print(table)


@reports_errors
def show(
    workflow: WorkflowArgument,
    revision: Annotated[
        int | None, typer.Option("--revision", help="Number of the revision.", show_default="the newest")
    ] = None,
    home: HomeOption = HOME,
) -> None:
    """Print a plan as YAML."""
    from chassis.cli.target import open_store

    store = open_store(home)
    ref = store.get(workflow, revision)
    store.read(ref)  # a broken file is refused here, with the reason
    tell(f"Revision {ref.revision}{' (retired)' if ref.retired else ''}: {store.locate(ref)}")
    print(plain(store.read_text(ref)), end="")


@reports_errors
def diff(
    workflow: WorkflowArgument,
    a: Annotated[int, typer.Argument(help="Number of a revision.", show_default=False)],
    b: Annotated[int, typer.Argument(help="Number of another.", show_default=False)],
    as_text: Annotated[
        bool, typer.Option("--text", help="Compare the lines of their YAML instead of their parts.")
    ] = False,
    home: HomeOption = HOME,
) -> None:
    """Show what changed from one revision of a plan to another, apart from where they came from."""
    import difflib

    from chassis.cli.target import open_store
    from chassis.workflow.changes import plan_changes

    store = open_store(home)
    before, after = (store.read(store.get(workflow, number)) for number in (a, b))
    changes = plan_changes(before, after)
    if changes.empty:
        tell(f"Revisions {a} and {b} of {workflow} are the same plan.")
    lines = changes.lines()
    if as_text:
        old, new = _without_provenance(before), _without_provenance(after)
        lines = list(difflib.unified_diff(old, new, f"revision {a}", f"revision {b}", lineterm=""))
    styles = {"+": "green", "-": "red", "@": "cyan"}
    console = out()
    for line in lines:
        console.print(Text(plain(line), style=styles.get(line.lstrip()[:1], "")))


@reports_errors
def validate(
    file: Annotated[Path, typer.Argument(help="A plan as YAML.", show_default=False)],
) -> None:
    """Check a plan file against every rule, and against what the deployment has: agents, models, services."""
    from chassis.cli.errors import UsageError
    from chassis.cli.render import plan_table
    from chassis.cli.shape import shape_of_plan
    from chassis.cli.target import settings_here
    from chassis.deployment import Deployment
    from chassis.workflow import plan_digest

    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} can't be read: {error}") from None
    deployment = Deployment.read(settings_here())
    spec = deployment.load(text, source=str(file))
    console = out()
    for warning in deployment.warnings(spec):
        tell(f"Warning: {warning}")
    console.print(
        Text(f"{file} is a valid plan of workflow {spec.id}, digest {plan_digest(spec)[:12]}.", style="green")
    )
    console.print(plan_table(shape_of_plan(spec, None, {})))


def _cells(store: PlanStore, ref: PlanRef) -> tuple[str, ...]:
    from chassis.errors import PlanError

    revision = f"{ref.revision}{' (retired)' if ref.retired else ''}"
    try:
        spec = store.read(ref)
    except PlanError as error:
        return ref.id, revision, "", "", one_line(f"broken: {error.message}")
    schedule = spec.schedule
    when = (schedule.cron or schedule.preset or f"asset {schedule.asset}") if schedule else ""
    if schedule and not schedule.asset and schedule.timezone != "UTC":
        when += f" {schedule.timezone}"
    return ref.id, revision, str(len(spec.tasks)), one_line(when), one_line(spec.title)


def _without_provenance(spec: WorkflowSpec) -> list[str]:
    from chassis.workflow import dump_plan

    return dump_plan(spec.model_copy(update={"provenance": None})).splitlines()
