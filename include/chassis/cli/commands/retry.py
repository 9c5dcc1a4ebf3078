"""``chassis retry``: run a task again, as it is or amended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from chassis.cli.commands.shared_options import (
    HOME,
    HomeOption,
    ItemOption,
    RunOption,
    TaskArgument,
    WorkflowArgument,
)
from chassis.cli.commands.watching import show_end, watch
from chassis.cli.console import out, safe_text, tell
from chassis.cli.exit_codes import reports_errors

if TYPE_CHECKING:
    from chassis.cli.task_retry import AmendedRetry


@reports_errors
def retry(
    workflow: WorkflowArgument,
    task: TaskArgument,
    item: ItemOption = None,
    run: RunOption = None,
    downstream: Annotated[
        bool, typer.Option("--downstream", help="Also rerun downstream tasks that succeeded.")
    ] = False,
    latest: Annotated[
        bool, typer.Option("--latest", help="Continue with the newest revision of the plan, with its limits.")
    ] = False,
    instruction: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Another instruction, for this task of this run only.")
    ] = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            metavar="NAME=TEXT",
            help="Another value of an input, for this task of this run only; NAME:=JSON for what isn't text.",
        ),
    ] = None,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="Reason for the change.")] = None,
    save: Annotated[
        bool, typer.Option("--save", help="Also make the change in the workflow's next revision.")
    ] = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Don't wait for the run to end.")] = False,
    home: HomeOption = HOME,
) -> None:
    """Rerun one task, and what its failure blocked; without --item, each item of it that failed.

    With --instruction or --input, the task uses these; who changed them and why stays with the run.
    """
    from chassis.cli.input_arguments import types_of_dag
    from chassis.cli.latest_revision import check_targets, wait_for_latest
    from chassis.cli.run_lookup import find_run, read_report
    from chassis.cli.target import connect
    from chassis.cli.task_retry import amendment_of, find_targets, retry_amended
    from chassis.cli.task_retry import retry as clear

    console = out()
    amendment = amendment_of(instruction, inputs or (), reason, save=save, latest=latest)
    with connect(home).airflow as airflow:
        report = read_report(airflow, workflow, run)
        targets = find_targets(report, task, item)
        if latest:
            conf = find_run(airflow, workflow, report.view.run_id)["conf"] or {}
            check_targets(targets, wait_for_latest(airflow, home, workflow, conf, tell))
        if amendment is None:
            cleared = clear(airflow, report, targets, downstream=downstream, latest=latest)
        else:
            wish = amendment.wish(report.view.input_types or types_of_dag(airflow, workflow))
            done = retry_amended(airflow, report, targets, wish, downstream=downstream)
            _tell_amended(workflow, done)
            cleared = done.cleared
        labels = {row.instance: row.label for row in report.rows}
        names = ", ".join(labels.get(each, each[0]) for each in cleared)
        console.print(safe_text(f"Again in run {report.view.run_id}: {names}"))
        if no_wait:
            return
        kept = [row for row in report.rows if row.instance not in cleared]
        end = watch(airflow, workflow, report.view.run_id, console, known=kept)
    again = [row for row in end.rows if row.instance in cleared]
    raise typer.Exit(show_end(end, console, again, table=console.is_terminal))


def _tell_amended(workflow: str, done: AmendedRetry) -> None:
    saved = f" Saved as revision {done.revision} of {workflow}." if done.revision is not None else ""
    items = f", for {len(done.items)} items" if len(done.items) > 1 else ""
    out().print(f"Amendment {done.number} of this run{items}.{saved}")
    if done.save_error:
        tell(f"It is not saved as the workflow's next revision: {done.save_error}")
