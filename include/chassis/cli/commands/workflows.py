"""``chassis list``, ``pause``, ``unpause``, ``retire`` and ``delete``: workflows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from chassis.cli.commands.shared_options import HOME, HomeOption, JsonOption, WorkflowArgument, YesOption
from chassis.cli.console import confirmed, out, print_json, reports_errors, safe_line, tell

if TYPE_CHECKING:
    from pathlib import Path

    from chassis.cli.listing import Listing
    from chassis.cli.workflow_rows import Standing


@reports_errors
def list_workflows(as_json: JsonOption = False, home: HomeOption = HOME) -> None:
    """List the workflows: schedule, whether each is paused, its next run and the state of its last run."""
    from chassis.cli.target import open_store
    from chassis.cli.workflow_rows import read_workflows

    workflows = _ask_airflow(read_workflows(open_store(home)), home)
    if as_json:
        print_json({"workflows": [workflow.document() for workflow in workflows]})
    elif not workflows:
        tell('There are no workflows yet. Plan one: chassis run "REQUIREMENT"')
    else:
        out().print(_table(workflows))


def _ask_airflow(workflows: list[Standing], home: Path) -> list[Standing]:
    """With what Airflow says; without it, where none answers: the plans are there all the same."""
    from chassis.cli.target import connect
    from chassis.cli.workflow_rows import with_airflow
    from chassis.errors.client import AirflowUnreachableError, StackError

    if not workflows:
        return workflows
    try:
        with connect(home).airflow as airflow:
            return with_airflow(workflows, airflow)
    except (StackError, AirflowUnreachableError) as error:
        tell(f"Without paused, next run and last run: {error.message} {error.hint}")
        return workflows


def _table(workflows: list[Standing]) -> Listing:
    from chassis.cli.listing import Listing
    from chassis.cli.render import status_text

    table = Listing(
        *("Workflow", "Revision", "Tasks", "Schedule", "Paused", "Next run", "Last run", "Title"),
        numbers=("Tasks",),
    )
    for each in workflows:
        schedule = " ".join(filter(None, (each.schedule, _zone(each))))
        next_run = "" if each.next_run is None else f"{each.next_run:%Y-%m-%d %H:%M} {each.timezone}"
        table.add(
            each.workflow_id,
            f"{each.revision}{' (retired)' if each.retired else ''}",
            "" if each.tasks is None else str(each.tasks),
            safe_line(schedule),
            {None: "", True: "yes", False: "no"}[each.paused],
            safe_line(next_run),
            Text() if each.last_run is None else status_text(each.last_run),
            safe_line(each.title if each.fault is None else f"broken: {each.fault.message}"),
        )
    return table


def _zone(workflow: Standing) -> str:
    timed = workflow.schedule and not workflow.schedule.startswith("asset ")
    return workflow.timezone if timed and workflow.timezone != "UTC" else ""


@reports_errors
def pause(workflow: WorkflowArgument, home: HomeOption = HOME) -> None:
    """Pause a workflow: no new run starts, and runs that have begun don't go on, until it is unpaused."""
    _set_paused(workflow, home, paused=True)
    tell(f"Take it back: chassis unpause {workflow}")


@reports_errors
def unpause(workflow: WorkflowArgument, home: HomeOption = HOME) -> None:
    """Unpause a workflow: it runs by its schedule again, and runs that have begun go on."""
    _set_paused(workflow, home, paused=False)


def _set_paused(workflow: str, home: Path, *, paused: bool) -> None:
    from chassis.cli.target import connect
    from chassis.cli.workflow_rows import find_workflow

    state = "paused" if paused else "unpaused"
    with connect(home).airflow as airflow:
        already = find_workflow(airflow, workflow)["is_paused"] is paused
        if not already:
            airflow.set_paused(workflow, paused)
    out().print(f"{workflow} {'was already' if already else 'is'} {state}.")


@reports_errors
def retire(
    workflow: WorkflowArgument,
    undo: Annotated[bool, typer.Option("--undo", help="Bring a retired workflow back.")] = False,
    home: HomeOption = HOME,
) -> None:
    """Retire a workflow: it has no schedule any more, and keeps its plans, runs and records."""
    from chassis.cli.target import open_store

    store = open_store(home)
    ref = store.get(workflow)
    if undo:
        published = store.publish(store.read(ref))
        said = f"{workflow} is back" if published.changed else f"{workflow} was not retired"
    else:
        published = store.retire(workflow)
        said = f"{workflow} is retired" if published.changed else f"{workflow} was already retired"
    out().print(f"{said}: revision {published.revision}.")
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
    from chassis.cli.run_lookup import find_run
    from chassis.cli.target import connect
    from chassis.cli.workflow_rows import find_workflow

    with connect(home).airflow as airflow:
        if run is not None:
            _, found = find_run(airflow, workflow, run)
            _refuse_unfinished(workflow, [found])
            confirmed(f"Delete run {run} of {workflow} from Airflow?", yes=yes)
            airflow.delete_run(workflow, run)
            out().print(f"Deleted run {safe_line(run)} of {workflow} from Airflow. Its records are kept.")
            return
        find_workflow(airflow, workflow)
        runs = airflow.all_runs(workflow)
        _refuse_unfinished(workflow, runs)
        count = f"{len(runs)} {'run' if len(runs) == 1 else 'runs'}"
        confirmed(f"Retire {workflow} and delete its {count} from Airflow?", yes=yes)
        retired = _retire_stored(workflow, home)
        airflow.delete_dag(workflow)
    out().print(f"Deleted {count} of {workflow} from Airflow. Its records are kept.")
    if retired:
        tell(
            f"The workflow is retired, and its plans are kept. Take it back: chassis retire {workflow} --undo"
        )


def _refuse_unfinished(workflow: str, runs: list[dict[str, object]]) -> None:
    from chassis.cli.workflow_rows import UNFINISHED
    from chassis.errors.client import UsageError

    unfinished = [str(each["dag_run_id"]) for each in runs if each["state"] in UNFINISHED]
    if unfinished:
        raise UsageError(
            f"{workflow} has unfinished runs, so nothing was deleted: {', '.join(unfinished)}.",
            hint=f"Wait for their end, or stop them: chassis stop {workflow} --run {unfinished[0]}",
        )


def _retire_stored(workflow: str, home: Path) -> bool:
    """Retire the workflow where the plan store has it: else Airflow would have its DAG again at once."""
    from chassis.cli.target import open_store
    from chassis.errors import PlanError, PlanNotFoundError

    try:
        open_store(home).retire(workflow)
    except (PlanError, PlanNotFoundError):
        return False  # a planner's DAG, or a hand-written one
    return True
