"""``chassis show``, ``diff``, ``validate`` and ``publish``: plans."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from chassis.cli.commands.shared_options import HOME, HomeOption, JsonOption, WorkflowArgument
from chassis.cli.console import out, print_json, safe_text, tell
from chassis.cli.exit_codes import reports_errors

if TYPE_CHECKING:
    from chassis.workflow import WorkflowSpec


PlanFileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="A plan as YAML; - for standard input.", show_default=False)
]


@reports_errors
def show(
    workflow: WorkflowArgument,
    revision: Annotated[
        int | None, typer.Option("--revision", help="Number of the revision.", show_default="the newest")
    ] = None,
    as_json: JsonOption = False,
    home: HomeOption = HOME,
) -> None:
    """Print a plan as YAML."""
    from chassis.cli.target import open_store

    store = open_store(home)
    ref = store.get(workflow, revision)
    spec = store.read(ref)  # a broken file is refused here, with the reason
    if as_json:
        plan = spec.model_dump(mode="json", exclude_defaults=True)
        facts = {"workflow_id": ref.id, "revision": ref.revision, "retired": ref.retired}
        print_json({**facts, "file": store.locate(ref), "plan": plan})
        return
    tell(f"Revision {ref.revision}{' (retired)' if ref.retired else ''}: {store.locate(ref)}")
    print(safe_text(store.read_text(ref)), end="")


@reports_errors
def diff(
    workflow: WorkflowArgument,
    a: Annotated[int, typer.Argument(help="Number of a revision.", show_default=False)],
    b: Annotated[int, typer.Argument(help="Number of the other revision.", show_default=False)],
    as_text: Annotated[bool, typer.Option("--text", help="Compare the YAML line by line.")] = False,
    as_json: JsonOption = False,
    home: HomeOption = HOME,
) -> None:
    """Show what changed between two revisions of a plan."""
    import difflib

    from chassis.cli.target import open_store
    from chassis.workflow.plan_changes import plan_changes

    store = open_store(home)
    before, after = (store.read(store.get(workflow, number)) for number in (a, b))
    changes = plan_changes(before, after)
    if as_json:
        print_json({"workflow_id": workflow, "from": a, "to": b, "changes": changes.model_dump(mode="json")})
        return
    if changes.empty:
        tell(f"Revisions {a} and {b} of {workflow} are the same plan.")
    lines = changes.lines()
    if as_text:
        old, new = _without_provenance(before), _without_provenance(after)
        lines = list(difflib.unified_diff(old, new, f"revision {a}", f"revision {b}", lineterm=""))
    styles = {"+": "green", "-": "red", "@": "cyan"}
    console = out()
    for line in lines:
        console.print(Text(safe_text(line), style=styles.get(line.lstrip()[:1], "")))


@reports_errors
def validate(file: PlanFileArgument, as_json: JsonOption = False) -> None:
    """Check a plan file against all rules, and against the deployment's agents, models and services."""
    from chassis.cli.render import plan_table
    from chassis.workflow import plan_digest

    spec, warnings = _checked(file)
    if as_json:
        facts = {"valid": True, "workflow_id": spec.id, "digest": plan_digest(spec)}
        print_json({**facts, "warnings": warnings})
        return
    console = out()
    console.print(
        Text(f"{file} is a valid plan of workflow {spec.id}, digest {plan_digest(spec)[:12]}.", style="green")
    )
    console.print(plan_table(spec))


@reports_errors
def publish(file: PlanFileArgument, as_json: JsonOption = False, home: HomeOption = HOME) -> None:
    """Check a plan file, and publish it as the next revision of its workflow."""
    from chassis.cli.target import open_store
    from chassis.workflow.plan_changes import plan_changes

    spec, warnings = _checked(file)
    store = open_store(home)
    before = store.heads().get(spec.id)
    published = store.publish(spec)
    if as_json:
        facts = {"workflow_id": spec.id, "revision": published.revision, "changed": published.changed}
        print_json({**facts, "digest": published.digest, "warnings": warnings})
        return
    console = out()
    if not published.changed:
        console.print(
            Text(f"Revision {published.revision} of {spec.id} is this plan; nothing was published.")
        )
        return
    console.print(Text(f"Published revision {published.revision} of {spec.id}.", style="green"))
    if before is not None and before.retired:
        console.print(Text("The workflow was retired, and is active again."))
    elif before is not None:
        for line in plan_changes(store.read(before), spec).lines():
            console.print(Text(f"  {safe_text(line)}"))
    tell(f"New runs use it. See: chassis show {spec.id}")


def _checked(file: Path) -> tuple[WorkflowSpec, list[str]]:
    """The plan of a file that may run here, and what a person should look at before, which is told."""
    from chassis.cli.arguments import read_text
    from chassis.cli.target import settings_here
    from chassis.deployment import Deployment

    deployment = Deployment.read(settings_here())
    spec = deployment.load(read_text("-" if str(file) == "-" else file), source=str(file))
    warnings = [str(warning) for warning in deployment.warnings(spec)]
    for warning in warnings:
        tell(f"Warning: {warning}")
    return spec, warnings


def _without_provenance(spec: WorkflowSpec) -> list[str]:
    from chassis.workflow import dump_plan

    return dump_plan(spec.model_copy(update={"provenance": None})).splitlines()
