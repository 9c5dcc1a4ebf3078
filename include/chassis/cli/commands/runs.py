"""``chassis status``, ``retry`` and ``logs``: runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from chassis.cli.commands.shared_options import (
    HOME,
    HomeOption,
    ItemOption,
    JsonOption,
    RunOption,
    TaskArgument,
    WorkflowArgument,
)
from chassis.cli.commands.watching import run_page, show_end, watch
from chassis.cli.console import FAILED, SUCCESS, out, print_json, reports_errors, safe_text, tell

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from chassis.airflow_client import Airflow, Json
    from chassis.cli.report import Report, Row
    from chassis.cli.retry_targets import Amending
    from chassis.cli.task_shapes import Shape


@reports_errors
def status(
    workflow: WorkflowArgument, run: RunOption = None, as_json: JsonOption = False, home: HomeOption = HOME
) -> None:
    """Show how a run stands, and its results once it has ended."""
    from chassis.cli.amendments import amendment_lines, read_amendments, with_amendments
    from chassis.cli.render import status_view, totals
    from chassis.cli.report import FINISHED, with_results
    from chassis.cli.spending import SpendingReader
    from chassis.cli.target import connect

    with connect(home).airflow as airflow:
        report, _ = _find(airflow, home, workflow, run)
        reader = SpendingReader(airflow, workflow, str(report.dag_run_id))
        amendments = read_amendments(airflow, workflow, str(report.dag_run_id))
        report = with_amendments(with_results(airflow, report, reader), amendments)
        page = run_page(airflow, workflow, str(report.dag_run_id))
    if as_json:
        print_json(report.document())
        raise typer.Exit(FAILED if report.state == "failed" else SUCCESS)
    console = out()
    console.print(Text(f"{workflow} · run {report.dag_run_id}", style="bold"))
    for line in amendment_lines(amendments):
        console.print(Text(line, style="yellow"))
    if report.state in FINISHED:
        raise typer.Exit(show_end(report, console, report.rows, table=True))
    console.print(status_view(report))
    console.print(totals(report))
    tell(f"Live: {page}")


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
        bool, typer.Option("--latest", help="Go on by the newest revision of the plan, with its limits.")
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
        bool, typer.Option("--save", help="Make that the workflow's next revision, too.")
    ] = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Don't watch the run to its end.")] = False,
    home: HomeOption = HOME,
) -> None:
    """Run one task again, and what it kept from running; without --item, each item of it that failed.

    With --instruction or --input, the task goes by these; who changed them and why stays with the run.
    """
    from chassis.cli.amendments import change_of
    from chassis.cli.newest_revision import check_targets, wait_for_newest
    from chassis.cli.retry_targets import find_targets, retry_amended
    from chassis.cli.retry_targets import retry as clear
    from chassis.cli.run_lookup import find_run, find_shape, input_types, report_of
    from chassis.cli.target import connect

    console = out()
    change = change_of(instruction, inputs or (), reason, save=save, latest=latest)
    with connect(home).airflow as airflow:
        dag, dag_run = find_run(airflow, workflow, run)
        run_id = str(dag_run["dag_run_id"])
        shape = find_shape(airflow, home, dag, dag_run)
        report = report_of(airflow, shape, workflow, run_id)
        targets = find_targets(report, task, item)
        if latest:
            newest = wait_for_newest(airflow, home, workflow, dag_run["conf"] or {}, tell)
            check_targets(targets, newest)
            shape = newest.shape
        if change is None:
            cleared = clear(airflow, report, targets, downstream=downstream, latest=latest)
        else:
            wish = change.wish(input_types(airflow, home, dag, dag_run))
            done = retry_amended(airflow, report, targets, wish, downstream=downstream)
            _show_amending(console, workflow, done)
            cleared = done.cleared
        _show_cleared(console, report, cleared)
        if no_wait:
            return
        kept = [row for row in report.rows if (row.id, row.map_index) not in cleared]
        end = watch(airflow, workflow, run_id, shape, console, planning=report.planning, known=kept)
    again = [row for row in end.rows if (row.id, row.map_index) in cleared]
    raise typer.Exit(show_end(end, console, again, table=console.is_terminal))


@reports_errors
def logs(
    workflow: WorkflowArgument,
    task: TaskArgument,
    item: ItemOption = None,
    run: RunOption = None,
    home: HomeOption = HOME,
) -> None:
    """Print the log of a task's last try; without --item, of each item of it that failed."""
    from chassis.cli.render import full_name
    from chassis.cli.retry_targets import find_targets
    from chassis.cli.target import connect
    from chassis.errors.client import UsageError

    console = out()
    with connect(home).airflow as airflow:
        report, _ = _find(airflow, home, workflow, run)
        targets = find_targets(report, task, item)
        for row in targets:
            if row.try_number == 0:
                raise UsageError(f"{full_name(row)} has not run yet, so it has no log.")
            if len(targets) > 1:
                console.print(Text(f"== {full_name(row)}", style="bold"))
            for event in airflow.log(
                workflow, str(report.dag_run_id), row.id, row.try_number, map_index=row.map_index
            ):
                console.print(_log_line(event))


def _find(airflow: Airflow, home: Path, workflow: str, run_id: str | None) -> tuple[Report, Shape]:
    from chassis.cli.run_lookup import find_run, find_shape, report_of

    dag, run = find_run(airflow, workflow, run_id)
    shape = find_shape(airflow, home, dag, run)
    return report_of(airflow, shape, workflow, run["dag_run_id"]), shape


def _show_amending(console: Console, workflow: str, done: Amending) -> None:
    saved = f" Saved as revision {done.revision} of {workflow}." if done.revision is not None else ""
    items = f", for {len(done.items)} items" if len(done.items) > 1 else ""
    console.print(Text(f"Amendment {done.number} of this run{items}.{saved}"))
    if done.save_error:
        tell(f"It is not saved as the workflow's next revision: {done.save_error}")


def _show_cleared(console: Console, report: Report, cleared: list[tuple[str, int]]) -> None:
    from chassis.cli.render import full_name

    rows: dict[tuple[str, int], Row] = {(row.id, row.map_index): row for row in report.rows}
    names = [full_name(rows[key]) if key in rows else key[0] for key in cleared]
    console.print(Text(safe_text(f"Again in run {report.dag_run_id}: {', '.join(names)}")))


def _log_line(event: Json) -> Text:
    time, level = str(event.get("timestamp") or "")[:19].replace("T", " "), str(event.get("level") or "")
    style = {"error": "red", "critical": "red", "warning": "yellow"}.get(level, "")
    line = Text(f"{time} {level.upper():<8}".strip() + " ", style="dim").append(
        _indented(event.get("event", "")), style
    )
    for detail in event.get("error_detail") or ():
        line.append(_indented(f"\n{detail['exc_type']}: {detail['exc_value']}"), "red")
    return line


def _indented(text: object) -> str:
    """The text with its further lines set off: none can pass for an event of its own."""
    return safe_text(text).replace("\n", "\n    ")
