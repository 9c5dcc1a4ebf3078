"""The command line: ``chassis``."""

from __future__ import annotations

from typing import Annotated

import typer

from chassis.cli.arguments import CommandLine
from chassis.cli.commands import approve, costs, limits, plans, retry, run, runs, stack, workflows

_HELP = (
    "From a requirement in plain words to a reviewed plan, an Airflow workflow, and Claude on Amazon "
    "Bedrock doing its tasks. Exit codes: 0 the run succeeded, 1 it failed, 2 wrong usage or an invalid "
    "plan, 3 Airflow or Bedrock out of reach."
)

app = typer.Typer(
    name="chassis",
    cls=CommandLine,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)

_MAIN, _WORKFLOWS, _PLANS, _RUNS = "Requirement to result", "Workflows", "Plans", "Runs"
_MONEY = "Money"
_STACK = "Local Airflow"

app.command("run", rich_help_panel=_MAIN)(run.run)
app.command("plan", rich_help_panel=_MAIN)(run.plan)
app.command("approve", rich_help_panel=_MAIN)(approve.approve)
app.command("list", rich_help_panel=_WORKFLOWS)(workflows.list_workflows)
app.command("pause", rich_help_panel=_WORKFLOWS)(workflows.pause)
app.command("unpause", rich_help_panel=_WORKFLOWS)(workflows.unpause)
app.command("retire", rich_help_panel=_WORKFLOWS)(workflows.retire)
app.command("delete", rich_help_panel=_WORKFLOWS)(workflows.delete)
app.command("show", rich_help_panel=_PLANS)(plans.show)
app.command("diff", rich_help_panel=_PLANS)(plans.diff)
app.command("validate", rich_help_panel=_PLANS)(plans.validate)
app.command("publish", rich_help_panel=_PLANS)(plans.publish)
app.command("runs", rich_help_panel=_RUNS)(runs.runs)
app.command("status", rich_help_panel=_RUNS)(runs.status)
app.command("retry", rich_help_panel=_RUNS)(retry.retry)
app.command("stop", rich_help_panel=_RUNS)(runs.stop)
app.command("logs", rich_help_panel=_RUNS)(runs.logs)
app.command("transcript", rich_help_panel=_RUNS)(runs.transcript)
app.command("limits", rich_help_panel=_MONEY)(limits.limits)
app.command("costs", rich_help_panel=_MONEY)(costs.costs)
app.command("up", rich_help_panel=_STACK)(stack.up)
app.command("down", rich_help_panel=_STACK)(stack.down)
app.command("doctor", rich_help_panel=_STACK)(stack.doctor)
app.command("simulator", rich_help_panel=_STACK)(stack.simulator)


def _show_version(wanted: bool) -> None:
    if wanted:
        import chassis

        typer.echo(f"chassis {chassis.__version__}")
        raise typer.Exit


@app.callback(help=_HELP)
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Options before the command."""


def main() -> None:
    """The entry point ``chassis``."""
    app()


if __name__ == "__main__":
    main()
