"""``chassis list``, ``pause``, ``unpause``, ``retire`` and ``delete``: workflows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from chassis.cli.commands.shared_options import HOME, HomeOption, JsonOption, WorkflowArgument, YesOption
from chassis.cli.console import confirmed, out, print_json, safe_line, tell
from chassis.cli.exit_codes import reports_errors
from chassis.figures import counted

if TYPE_CHECKING:
    from pathlib import Path

    from chassis.airflow_client import Json
    from chassis.cli.listing import Listing
    from chassis.cli.planned_workflows import PlannedWorkflow


@reports_errors
def list_workflows(as_json: JsonOption = False, home: HomeOption = HOME) -> None:
    """List the workflows: schedule, whether each is paused, its next run and the state of its last run."""
    from chassis.cli.planned_workflows import read_workflows, with_airflow
    from chassis.cli.target import connect, open_store
    from chassis.errors.client import AirflowUnreachableError, PluginMissingError, StackError

    workflows = read_workflows(open_store(home))
    if workflows:
        try:
            with connect(home).airflow as airflow:
                workflows = with_airflow(workflows, airflow)
        except (
            StackError,
            AirflowUnreachableError,
            PluginMissingError,
        ) as error:  # the plans are there all the same
            tell(f"Without paused, next run and last run: {error.message} {error.hint}")
    if as_json:
        print_json({"workflows": [workflow.document() for workflow in workflows]})
    elif not workflows:
        tell('There are no workflows yet. Plan one: chassis run "REQUIREMENT"')
    else:
        out().print(_table(workflows))


def _table(workflows: list[PlannedWorkflow]) -> Listing:
    from chassis.cli.listing import Listing
    from chassis.cli.render import status_text

    table = Listing(
        *("Workflow", "Revision", "Tasks", "Schedule", "Paused", "Next run", "Last run", "Title"),
        numbers=("Tasks",),
    )
    for each in workflows:
        timed = each.schedule and not each.schedule.startswith("asset ") and each.timezone != "UTC"
        next_run = "" if each.next_run is None else f"{each.next_run:%Y-%m-%d %H:%M} {each.timezone}"
        table.add(
            each.workflow_id,
            f"{each.revision}{' (retired)' if each.retired else ''}",
            "" if each.tasks is None else str(each.tasks),
            safe_line(f"{each.schedule} {each.timezone if timed else ''}"),
            {None: "", True: "yes", False: "no"}[each.paused],
            safe_line(next_run),
            Text() if each.last_run is None else status_text(each.last_run),
            safe_line(each.title if each.fault is None else f"broken: {each.fault.message}"),
        )
    return table


@reports_errors
def pause(workflow: WorkflowArgument, home: HomeOption = HOME) -> None:
    """Pause a workflow: until it is unpaused, no run starts, and started runs don't continue."""
    _set_paused(workflow, home, paused=True)
    tell(f"Take it back: chassis unpause {workflow}")


@reports_errors
def unpause(workflow: WorkflowArgument, home: HomeOption = HOME) -> None:
    """Unpause a workflow: it runs by its schedule again, and started runs continue."""
    _set_paused(workflow, home, paused=False)


def _set_paused(workflow: str, home: Path, *, paused: bool) -> None:
    from chassis.cli.run_lookup import find_workflow
    from chassis.cli.target import connect

    with connect(home).airflow as airflow:
        already = find_workflow(airflow, workflow)["is_paused"] is paused
        if not already:
            airflow.set_paused(workflow, paused)
    out().print(f"{workflow} {'was already' if already else 'is'} {'paused' if paused else 'unpaused'}.")


@reports_errors
def retire(
    workflow: WorkflowArgument,
    undo: Annotated[bool, typer.Option("--undo", help="Bring a retired workflow back.")] = False,
    home: HomeOption = HOME,
) -> None:
    """Retire a workflow: it has no schedule any more, and keeps its plans, runs and records."""
    from chassis.cli.target import open_store

    store = open_store(home)
    if undo:
        published = store.publish(store.read(store.get(workflow)))
        said = "is back" if published.changed else "was not retired"
    else:
        published = store.retire(workflow)
        said = "is retired" if published.changed else "was already retired"
    out().print(f"{workflow} {said}: revision {published.revision}.")
    if not undo:
        tell(f"Take it back: chassis retire {workflow} --undo")


@reports_errors
def delete(
    workflow: WorkflowArgument,
    run: Annotated[
        str | None,
        typer.Option("--run", metavar="ID", help="Delete this run only.", show_default="all of its runs"),
    ] = None,
    yes: YesOption = False,
    home: HomeOption = HOME,
) -> None:
    """Delete a run, or retire a workflow and delete all its runs, from Airflow. Plans and records are kept."""
    from chassis.cli.run_lookup import find_run, find_workflow
    from chassis.cli.target import connect, open_store
    from chassis.errors import PlanError, PlanNotFoundError

    with connect(home).airflow as airflow:
        if run is not None:
            _refuse_unfinished(workflow, [find_run(airflow, workflow, run)])
            confirmed(f"Delete run {run} of {workflow} from Airflow?", yes=yes)
            airflow.delete_run(workflow, run)
            out().print(f"Deleted run {safe_line(run)} of {workflow} from Airflow. Its records are kept.")
            return
        find_workflow(airflow, workflow)
        runs = airflow.all_runs(workflow)
        _refuse_unfinished(workflow, runs)
        count = counted(len(runs), "run")
        confirmed(f"Retire {workflow} and delete its {count} from Airflow?", yes=yes)
        try:  # before the DAG is deleted: else Airflow would have it again at once
            open_store(home).retire(workflow)
            undo = f"The workflow is retired, and its plans are kept. Take it back: chassis retire {workflow} --undo"
        except (PlanError, PlanNotFoundError):
            undo = ""  # a planner's DAG, or a hand-written one
        airflow.delete_dag(workflow)
    out().print(f"Deleted {count} of {workflow} from Airflow. Its records are kept.")
    if undo:
        tell(undo)


def _refuse_unfinished(workflow: str, runs: list[Json]) -> None:
    from chassis.cli.run_lookup import UNFINISHED
    from chassis.errors.client import UsageError

    unfinished = [str(each["dag_run_id"]) for each in runs if each["state"] in UNFINISHED]
    if unfinished:
        raise UsageError(
            f"{workflow} has unfinished runs, so nothing was deleted: {', '.join(unfinished)}.",
            hint=f"Wait for their end, or stop them: chassis stop {workflow} --run {unfinished[0]}",
        )
