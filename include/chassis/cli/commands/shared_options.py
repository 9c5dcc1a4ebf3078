"""Options that several commands share."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import typer

from chassis.cli.argument_checks import folder

NONE = "none"
"""What takes away what a workflow was given before."""


def dollars_or_none(text: str) -> float | str:
    """A budget as the person wrote it: dollars, or ``none`` for no budget."""
    if text.strip().lower() == NONE:
        return NONE
    try:
        dollars = float(text)
    except ValueError:
        dollars = math.nan
    if not 0 < dollars < math.inf:
        raise typer.BadParameter(f"{text!r} is not a valid amount; give US dollars, such as 5, or {NONE}.")
    return dollars


HomeOption = Annotated[
    Path,
    typer.Option(
        "--home",
        envvar="CHASSIS_HOME",
        resolve_path=True,
        callback=folder,
        help="Folder of the local Airflow.",
        show_default=True,
    ),
]
HOME = Path(".chassis")

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask for confirmation.")]
RunOption = Annotated[
    str | None, typer.Option("--run", help="Id of the run.", show_default="the newest", metavar="ID")
]
ItemOption = Annotated[
    str | None, typer.Option("--item", help="Item of a task that is done for each item.", metavar="ITEM")
]
BedrockOption = Annotated[
    bool,
    typer.Option("--bedrock", help="Insist on real Bedrock; without AWS credentials the simulator answers."),
]
InputOption = Annotated[
    list[str],
    typer.Option(
        "--input",
        metavar="NAME=TEXT",
        help="Value of an input, as text; NAME:=JSON for a list, a number, true or false. Repeat it for each input.",
    ),
]
WorkflowIdOption = Annotated[
    str, typer.Option("--workflow-id", help="Id of the workflow.", show_default="the planner names it")
]
ContinueOption = Annotated[
    str,
    typer.Option(
        "--continue",
        metavar="RUN",
        help="Run ID or latest. Revises the workflow's existing plan, and reuses results of that run that are "
        "still valid.",
        show_default="plan from nothing",
    ),
]
ScheduleOption = Annotated[
    str,
    typer.Option(
        "--schedule",
        metavar="CRON",
        help="When the workflow runs by itself: a cron such as '0 6 * * 1', a preset such as @daily, or none.",
        show_default="the workflow's own",
    ),
]
TimezoneOption = Annotated[
    str,
    typer.Option(
        "--timezone",
        metavar="NAME",
        help="Timezone of the schedule, such as Europe/Berlin.",
        show_default="the workflow's own, else UTC",
    ),
]
UnpauseOption = Annotated[bool, typer.Option("--unpause", help="Unpause the workflow if it is paused.")]
BudgetOption = Annotated[
    Any,  # float, "none" or None, see dollars_or_none
    typer.Option(
        "--budget",
        metavar="USD",
        parser=dollars_or_none,
        help="US dollars that one run may spend, or none.",
        show_default="the workflow's own",
    ),
]
MaxParallelOption = Annotated[
    int | None,
    typer.Option(
        "--max-parallel",
        min=1,
        max=1000,
        help="Maximum parallel calls to Claude in one run.",
        show_default="the workflow's own, else 16",
    ),
]
WorkflowArgument = Annotated[str, typer.Argument(help="Id of the workflow.", show_default=False)]
TaskArgument = Annotated[str, typer.Argument(help="Id of the task.", show_default=False)]
RequirementArgument = Annotated[
    str, typer.Argument(help="What is to be done, in plain words.", show_default=False)
]
RequirementFileOption = Annotated[
    str | None,
    typer.Option(
        "--requirement-file",
        metavar="FILE",
        help="Read the requirement from this file; - for standard input.",
        show_default=False,
    ),
]
