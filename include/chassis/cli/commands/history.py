"""``chassis runs`` and ``stop``: the runs of a workflow."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from chassis.cli.commands.shared_options import HOME, HomeOption, JsonOption, WorkflowArgument
from chassis.cli.console import out, print_json, reports_errors, safe_line, tell
from chassis.figures import duration, minute

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
            state = find_run(airflow, workflow, run)[1]["state"]
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
