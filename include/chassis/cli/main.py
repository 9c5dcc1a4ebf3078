"""The command line: ``chassis``."""

from __future__ import annotations

import typer

from chassis.cli.arguments import CommandLine
from chassis.cli.commands import approve, money, plans, run, runs, stack, transcript

app = typer.Typer(
    name="chassis",
    cls=CommandLine,
    help="From a requirement in plain words to a reviewed plan, an Airflow workflow, and Claude on Amazon "
    "Bedrock doing its tasks. Exit codes: 0 the run succeeded, 1 it failed, 2 wrong usage or an invalid "
    "plan, 3 Airflow or Bedrock out of reach.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)

_MAIN, _PLANS, _RUNS, _MONEY = "Requirement to result", "Plans", "Runs", "Money"
_STACK = "Local Airflow"

app.command("run", rich_help_panel=_MAIN)(run.run)
app.command("plan", rich_help_panel=_MAIN)(run.plan)
app.command("approve", rich_help_panel=_MAIN)(approve.approve)
app.command("list", rich_help_panel=_PLANS)(plans.list_workflows)
app.command("show", rich_help_panel=_PLANS)(plans.show)
app.command("diff", rich_help_panel=_PLANS)(plans.diff)
app.command("validate", rich_help_panel=_PLANS)(plans.validate)
app.command("status", rich_help_panel=_RUNS)(runs.status)
app.command("retry", rich_help_panel=_RUNS)(runs.retry)
app.command("logs", rich_help_panel=_RUNS)(runs.logs)
app.command("transcript", rich_help_panel=_RUNS)(transcript.transcript)
app.command("limits", rich_help_panel=_MONEY)(money.limits)
app.command("costs", rich_help_panel=_MONEY)(money.costs)
app.command("up", rich_help_panel=_STACK)(stack.up)
app.command("down", rich_help_panel=_STACK)(stack.down)
app.command("doctor", rich_help_panel=_STACK)(stack.doctor)
app.command("simulator", rich_help_panel=_STACK)(stack.simulator)


def main() -> None:
    """The entry point ``chassis``."""
    app()


if __name__ == "__main__":
    main()
