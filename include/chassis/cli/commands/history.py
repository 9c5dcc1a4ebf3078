"""``chassis runs`` and ``stop``: the runs of a workflow."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chassis.cli.commands.shared_options import HOME, HomeOption, JsonOption, WorkflowArgument
from chassis.cli.console import out, print_json, reports_errors, safe_line, tell

if TYPE_CHECKING:
    from chassis.airflow_client import Json


@reports_errors
def runs(
    workflow: WorkflowArgument,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100, help="Show so many at most.")] = 20,
    as_json: JsonOption = False,
    home: HomeOption = HOME,
) -> None:
    """List the runs of a workflow, the newest first: state, start, duration and who started each."""
    from chassis.cli.listing import Listing
    from chassis.cli.render import status_text
    from chassis.cli.target import connect
    from chassis.cli.workflow_rows import find_workflow

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
            started = str(each["start_date"] or "")[:16].replace("T", " ")
            by = safe_line(each["started_by"])
            table.add(safe_line(each["run_id"]), status_text(each["state"]), started, _took(each), by)
        out().print(table)


def _facts(run: Json) -> dict[str, Any]:
    start, end = run["start_date"], run["end_date"]
    seconds = None
    if start is not None:
        ended = datetime.fromisoformat(end) if end else datetime.now(UTC)
        seconds = round((ended - datetime.fromisoformat(start)).total_seconds(), 1)
    return {
        "run_id": run["dag_run_id"],
        "state": run["state"],
        "start_date": start,
        "end_date": end,
        "seconds": seconds,
        "started_by": run.get("triggering_user_name") or run.get("run_type") or "",
    }


def _took(run: dict[str, Any]) -> str:
    from chassis.figures import duration

    return "" if run["seconds"] is None else duration(run["seconds"])


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
    from chassis.cli.run_lookup import find_run
    from chassis.cli.target import connect
    from chassis.cli.workflow_rows import UNFINISHED, find_workflow
    from chassis.errors.client import UsageError

    with connect(home).airflow as airflow:
        if run is None:
            find_workflow(airflow, workflow)
            open_runs = [each for each in airflow.all_runs(workflow) if each["state"] in UNFINISHED]
            if len(open_runs) > 1:
                names = "\n".join(
                    f"- chassis stop {workflow} --run {each['dag_run_id']}" for each in open_runs
                )
                raise UsageError(
                    f"{workflow} has {len(open_runs)} unfinished runs.", hint=f"Say which one:\n{names}"
                )
            if not open_runs:
                raise UsageError(f"{workflow} has no unfinished run.", hint=f"See: chassis runs {workflow}")
            found = open_runs[0]
        else:
            _, found = find_run(airflow, workflow, run)
            if found["state"] not in UNFINISHED:
                raise UsageError(f"Run {run} of {workflow} has already ended: {found['state']}.")
        run_id = str(found["dag_run_id"])
        airflow.fail_run(workflow, run_id)
    out().print(f"Stopped run {safe_line(run_id)} of {workflow}.")
    tell(f"Go on with a task and what follows it: chassis retry {workflow} TASK --run {run_id}")
