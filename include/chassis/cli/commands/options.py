"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

HomeOption = Annotated[
    Path,
    typer.Option(
        "--home",
        envvar="CHASSIS_HOME",
        resolve_path=True,
        help="Folder of the local Airflow.",
        show_default=True,
    ),
]
HOME = Path(".chassis")

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")]
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
        "--input", metavar="NAME=VALUE", help="Value of an input of the plan; may come several times."
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
        help="Change the workflow's plan instead of making a new one, and take over what this run of it has done; "
        "latest for its newest run.",
        show_default="plan from nothing",
    ),
]
ScheduleOption = Annotated[
    str,
    typer.Option("--schedule", metavar="CRON", help="When the workflow runs by itself, such as '0 6 * * 1'."),
]
TimezoneOption = Annotated[
    str, typer.Option("--timezone", metavar="NAME", help="Timezone of the schedule, such as Europe/Berlin.")
]
BudgetOption = Annotated[
    float | None,
    typer.Option(
        "--budget", metavar="USD", min=0, help="US dollars that one run may spend.", show_default="no limit"
    ),
]
MaxParallelOption = Annotated[
    int, typer.Option("--max-parallel", min=1, help="Calls to Claude that one run may have at a time.")
]
WorkflowArgument = Annotated[str, typer.Argument(help="Id of the workflow.", show_default=False)]
TaskArgument = Annotated[str, typer.Argument(help="Id of the task.", show_default=False)]
RequirementArgument = Annotated[
    str, typer.Argument(help="What is to be done, in plain words.", show_default=False)
]
