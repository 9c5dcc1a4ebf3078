"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chassis.cli.arguments import folder

HOME = Path(".chassis")
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
WorkflowArgument = Annotated[str, typer.Argument(help="Id of the workflow.", show_default=False)]
TaskArgument = Annotated[str, typer.Argument(help="Id of the task.", show_default=False)]
