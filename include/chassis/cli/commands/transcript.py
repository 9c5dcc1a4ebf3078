"""``chassis transcript``: what was said to and by Claude."""

from __future__ import annotations

from typing import Annotated

import typer

from chassis.cli.commands.shared_options import (
    HOME,
    HomeOption,
    ItemOption,
    JsonOption,
    RunOption,
    TaskArgument,
    WorkflowArgument,
)
from chassis.cli.console import out, print_json, reports_errors


@reports_errors
def transcript(
    workflow: WorkflowArgument,
    task: TaskArgument,
    item: ItemOption = None,
    run: RunOption = None,
    try_number: Annotated[
        int | None, typer.Option("--try", min=1, help="Number of the try.", show_default="the newest")
    ] = None,
    as_json: JsonOption = False,
    home: HomeOption = HOME,
) -> None:
    """Print what was said to and by Claude in one try of a task, turn by turn."""
    from chassis.cli.render import full_name
    from chassis.cli.retry_targets import find_targets
    from chassis.cli.run_lookup import find_run, find_shape, report_of
    from chassis.cli.target import connect
    from chassis.cli.transcript import transcript_lines
    from chassis.errors.client import UsageError

    with connect(home).airflow as airflow:
        dag, dag_run = find_run(airflow, workflow, run)
        run_id = str(dag_run["dag_run_id"])
        report = report_of(airflow, find_shape(airflow, home, dag, dag_run), workflow, run_id)
        targets = find_targets(report, task, item)
        if len(targets) > 1:
            names = ", ".join(full_name(row) for row in targets)
            raise UsageError(
                f"A transcript is one item's, and these failed: {names}.", hint="Name it with --item."
            )
        [row] = targets
        found = airflow.transcript(workflow, run_id, (row.id, row.map_index), try_number)
    if as_json:
        print_json(found)
    elif found["transcript"] is not None:
        for line in transcript_lines(found):
            out().print(line, soft_wrap=True)
    else:
        there = ", ".join(str(number) for number in sorted(found["tries"]))
        raise UsageError(
            f"There is no transcript of {full_name(row)}{f', try {try_number}' if try_number else ''}.",
            hint=f"There are transcripts of these tries: {there}."
            if there
            else "It has not asked Claude yet, or its transcripts are older than [chassis] transcript_days.",
        )
