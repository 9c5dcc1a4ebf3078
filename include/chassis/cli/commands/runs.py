"""``chassis runs``, ``status``, ``stop``, ``logs`` and ``transcript``: the runs of a workflow."""

from __future__ import annotations

from datetime import UTC, datetime
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
from chassis.cli.commands.watching import show_end
from chassis.cli.console import out, print_json, safe_line, safe_text, tell
from chassis.cli.exit_codes import FAILED, SUCCESS, reports_errors
from chassis.errors.client import UsageError
from chassis.figures import duration, minute

if TYPE_CHECKING:
    from chassis.airflow_client import Airflow, Json
    from chassis.cli.report import Report, Row


@reports_errors
def runs(
    workflow: WorkflowArgument,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100, help="Maximum number of runs.")] = 20,
    as_json: JsonOption = False,
    home: HomeOption = HOME,
) -> None:
    """List the runs of a workflow, the newest first: state, start, duration and who started each."""
    from chassis.cli.listing import Listing
    from chassis.cli.render import status_text
    from chassis.cli.run_lookup import find_workflow
    from chassis.cli.target import connect

    with connect(home).airflow as airflow:
        find_workflow(airflow, workflow)
        found = [_facts(run) for run in airflow.runs(workflow, limit=limit)]
    if as_json:
        print_json({"workflow_id": workflow, "runs": found})
    elif not found:
        tell(f"{workflow} has no run yet.")
    else:
        table = Listing("Run", "State", "Started (UTC)", "Duration", "Started by", numbers=("Duration",))
        for each in found:
            took = "" if each["seconds"] is None else duration(each["seconds"])
            names = safe_line(each["run_id"]), safe_line(each["started_by"])
            table.add(names[0], status_text(each["state"]), minute(each["start_date"]), took, names[1])
        out().print(table)


def _facts(run: Json) -> Json:
    start, end = (run[name] and datetime.fromisoformat(run[name]) for name in ("start_date", "end_date"))
    return {
        "run_id": run["dag_run_id"],
        "state": run["state"],
        "start_date": run["start_date"],
        "end_date": run["end_date"],
        "seconds": round(((end or datetime.now(UTC)) - start).total_seconds(), 1) if start else None,
        "started_by": run.get("triggering_user_name") or run.get("run_type") or "",
    }


@reports_errors
def status(
    workflow: WorkflowArgument, run: RunOption = None, as_json: JsonOption = False, home: HomeOption = HOME
) -> None:
    """Show the status of a run, and its results once it has ended."""
    from chassis.cli.render import amendment_lines, status_view, totals
    from chassis.cli.report import FINISHED
    from chassis.cli.run_lookup import read_report
    from chassis.cli.target import connect

    with connect(home).airflow as airflow:
        report = read_report(airflow, workflow, run, results=True)
    page = airflow.links.airflow_run(workflow, report.view.run_id)
    if as_json:
        print_json(report.document())
        raise typer.Exit(FAILED if report.view.state == "failed" else SUCCESS)
    console = out()
    console.print(f"{workflow} · run {report.view.run_id}", style="bold")
    for line in amendment_lines(report):
        console.print(line, style="yellow")
    if report.view.state in FINISHED:
        raise typer.Exit(show_end(report, console, report.rows, table=True))
    console.print(status_view(report))
    console.print(totals(report))
    tell(f"Live: {page}")


@reports_errors
def stop(
    workflow: WorkflowArgument,
    run: Annotated[
        str | None,
        typer.Option("--run", metavar="ID", help="Id of the run.", show_default="the one that is unfinished"),
    ] = None,
    home: HomeOption = HOME,
) -> None:
    """Stop a run: it fails, its running tasks end, and no further call to Claude is made. What it has done is kept."""
    from chassis.cli.run_lookup import UNFINISHED, find_run, find_workflow
    from chassis.cli.target import connect
    from chassis.errors.client import UsageError

    with connect(home).airflow as airflow:
        if run is not None:
            state = find_run(airflow, workflow, run)["state"]
            if state not in UNFINISHED:
                raise UsageError(f"Run {run} of {workflow} has already ended: {state}.")
        else:
            find_workflow(airflow, workflow)
            unfinished = [
                str(each["dag_run_id"]) for each in airflow.all_runs(workflow) if each["state"] in UNFINISHED
            ]
            if not unfinished:
                raise UsageError(f"{workflow} has no unfinished run.", hint=f"See: chassis runs {workflow}")
            if len(unfinished) > 1:
                names = "\n".join(f"- chassis stop {workflow} --run {each}" for each in unfinished)
                raise UsageError(
                    f"{workflow} has {len(unfinished)} unfinished runs.", hint=f"Say which one:\n{names}"
                )
            [run] = unfinished
        airflow.fail_run(workflow, run)
    out().print(f"Stopped run {safe_line(run)} of {workflow}.")
    tell(f"Rerun a task and what follows it: chassis retry {workflow} TASK --run {run}")


@reports_errors
def logs(
    workflow: WorkflowArgument,
    task: TaskArgument,
    item: ItemOption = None,
    run: RunOption = None,
    home: HomeOption = HOME,
) -> None:
    """Print the log of a task's last try; without --item, of each item of it that failed."""
    from chassis.cli.target import connect

    console = out()
    with connect(home).airflow as airflow:
        report, targets = _targets(airflow, workflow, run, task, item)
        for row in targets:
            task_id, map_index = row.instance
            if row.at.try_number == 0:
                raise UsageError(f"{row.label} has not run yet, so it has no log.")
            if len(targets) > 1:
                console.print(f"== {row.label}", style="bold")
            for event in airflow.log(
                workflow, report.view.run_id, task_id, row.at.try_number, map_index=map_index
            ):
                console.print(_log_line(event))


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
    from chassis.cli.target import connect
    from chassis.cli.transcript import transcript_lines

    with connect(home).airflow as airflow:
        report, targets = _targets(airflow, workflow, run, task, item)
        if len(targets) > 1:
            names = ", ".join(row.label for row in targets)
            raise UsageError(
                f"A transcript is one item's, and these failed: {names}.", hint="Name it with --item."
            )
        [row] = targets
        found = airflow.transcript(workflow, report.view.run_id, row.instance, try_number)
    if as_json:
        print_json(found)
    elif found["transcript"] is not None:
        for line in transcript_lines(found):
            out().print(line, soft_wrap=True)
    else:
        tries = ", ".join(map(str, sorted(found["tries"])))
        raise UsageError(
            f"There is no transcript of {row.label}{f', try {try_number}' if try_number else ''}.",
            hint=f"There are transcripts of these tries: {tries}."
            if tries
            else "It has not asked Claude yet, or its transcripts are older than [chassis] transcript_days.",
        )


def _targets(
    airflow: Airflow, workflow: str, run: str | None, task: str, item: str | None
) -> tuple[Report, list[Row]]:
    from chassis.cli.run_lookup import read_report
    from chassis.cli.task_retry import find_targets

    report = read_report(airflow, workflow, run)
    return report, find_targets(report, task, item)


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
