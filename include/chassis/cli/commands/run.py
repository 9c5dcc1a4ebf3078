"""``chassis run`` and ``chassis plan``: from a requirement to a plan, and to its results."""

from __future__ import annotations

import functools
import inspect
import math
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003  Typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from chassis.cli.commands.decide import decide, on_terminal, where_to_decide
from chassis.cli.commands.shared_options import HOME, BedrockOption, HomeOption, JsonOption
from chassis.cli.commands.watching import interruptible, show_end, watch
from chassis.cli.console import err, out, print_json, safe_line, safe_text, tell
from chassis.cli.exit_codes import FAILED, reports_errors
from chassis.contract.names import ACTION_PUBLISH, ACTION_RUN, started_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rich.console import Console

    from chassis.airflow_client import Airflow
    from chassis.cli.planner_client import Planned, PlannerRun
    from chassis.cli.target import Target

_NONE = "none"
"""What takes away what a workflow was given before."""


@dataclass(frozen=True)
class _Request:
    """What a person asks the planner for.

    :ivar conf: parameters of the planner's run: those that were given, as a workflow keeps what isn't given anew
    :ivar bedrock: whether they insist on real Bedrock
    :ivar unpause: whether to unpause the workflow
    """

    conf: dict[str, Any]
    home: Path
    bedrock: bool
    unpause: bool


def _dollars_or_none(text: str) -> float | str:
    """A budget as the person wrote it: dollars, or ``none`` for no budget."""
    if text.strip().lower() == _NONE:
        return _NONE
    try:
        dollars = float(text)
    except ValueError:
        dollars = math.nan
    if not 0 < dollars < math.inf:
        raise typer.BadParameter(f"{text!r} is not a valid amount; give US dollars, such as 5, or {_NONE}.")
    return dollars


def _request(
    requirement: Annotated[
        str, typer.Argument(help="What is to be done, in plain words.", show_default=False)
    ] = "",
    requirement_file: Annotated[
        str | None,
        typer.Option(
            "--requirement-file",
            metavar="FILE",
            help="Read the requirement from this file; - for standard input.",
            show_default=False,
        ),
    ] = None,
    inputs: Annotated[
        list[str],
        typer.Option(
            "--input",
            metavar="NAME=TEXT",
            help="Value of an input, as text; NAME:=JSON for a list, a number, true or false. Repeatable.",
        ),
    ] = [],  # noqa: B006  Typer copies it
    workflow_id: Annotated[
        str, typer.Option("--workflow-id", help="Id of the workflow.", show_default="the planner names it")
    ] = "",
    continue_from: Annotated[
        str,
        typer.Option(
            "--continue",
            metavar="RUN",
            help="Run ID or latest. Revises the workflow's existing plan, and reuses results of that run that are "
            "still valid.",
            show_default="plan from nothing",
        ),
    ] = "",
    schedule: Annotated[
        str,
        typer.Option(
            "--schedule",
            metavar="CRON",
            help="Schedule of the workflow: a cron expression such as '0 6 * * 1', a preset such as @daily, or none.",
            show_default="the workflow's own",
        ),
    ] = "",
    timezone: Annotated[
        str,
        typer.Option(
            "--timezone",
            metavar="NAME",
            help="Timezone of the schedule, such as Europe/Berlin.",
            show_default="the workflow's own, else UTC",
        ),
    ] = "",
    budget_usd: Annotated[
        Any,  # float, "none" or None
        typer.Option(
            "--budget",
            metavar="USD",
            parser=_dollars_or_none,
            help="US dollars that one run may spend, or none.",
            show_default="the workflow's own",
        ),
    ] = None,
    max_parallel: Annotated[
        int | None,
        typer.Option(
            "--max-parallel",
            min=1,
            max=1000,
            help="Maximum parallel calls to Claude in one run.",
            show_default="the workflow's own, else 16",
        ),
    ] = None,
    unpause: Annotated[bool, typer.Option("--unpause", help="Unpause the workflow if it is paused.")] = False,
    bedrock: BedrockOption = False,
    home: HomeOption = HOME,
) -> _Request:
    from chassis.cli.arguments import read_requirement

    text = read_requirement(requirement, requirement_file)
    given = {
        "workflow_id": workflow_id,
        "inputs": _inputs(home, workflow_id, inputs),
        "schedule": schedule,
        "timezone": timezone,
        "budget_usd": budget_usd,
        "max_parallel": max_parallel,
        "continue_from": continue_from,
    }
    given = {name: value for name, value in given.items() if value not in (None, "", {})}
    return _Request({"requirement": text, **given}, home, bedrock, unpause)


def _takes_request(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of :func:`_request`, whose answer is its parameter ``request``."""
    own, shared = (inspect.signature(each, eval_str=True).parameters for each in (command, _request))

    @functools.wraps(command)
    def wrapper(**given: Any) -> None:
        command(_request(**{name: given.pop(name) for name in shared}), **given)

    options = [*shared.values(), *(option for name, option in own.items() if name != "request")]
    wrapper.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {option.name: option.annotation for option in options}
    return wrapper


@reports_errors
@_takes_request
def run(
    request: _Request,
    approve: Annotated[
        bool | None,
        typer.Option(
            "--approve/--no-approve",
            help="Show the workflow's plans and ask before they are published.",
            show_default="the workflow's own",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Plan a requirement, run the plan and show the results; starts the local Airflow if none runs."""
    from chassis.cli.target import connect_or_start

    if approve is not None:
        request.conf["approve"] = "always" if approve else _NONE
    console = err() if as_json else out()
    target = connect_or_start(request.home, bedrock=request.bedrock, tell=tell)
    with target.airflow as airflow:
        airflow.require_plugin()  # before anything is paid for what could not be shown
        planner, planned = _plan(target, request, console, ACTION_RUN)
        report = watch(airflow, planned.published.workflow_id, started_run(planner.run_id), console)
    if as_json:
        print_json(report.document())
    raise typer.Exit(show_end(report, console, () if as_json else report.rows, table=console.is_terminal))


@reports_errors
@_takes_request
def plan(request: _Request) -> None:
    """Plan a requirement and publish the plan, without running it."""
    from chassis.cli.target import connect_or_start

    target = connect_or_start(request.home, bedrock=request.bedrock, tell=tell)
    with target.airflow as airflow:
        _, planned = _plan(target, request, out(), ACTION_PUBLISH)
        workflow_id = planned.published.workflow_id
        tell(f"The whole plan: chassis show {workflow_id}")
        tell(f"Its page: {airflow.links.airflow_dag(workflow_id)}")


def _inputs(home: Path, workflow_id: str, given: Iterable[str]) -> dict[str, Any]:
    """The inputs' values, by the types of the workflow's plan where there is one."""
    from chassis.cli.input_arguments import declared_types, input_values, looks_like_json, parse_inputs

    parsed = parse_inputs(given)
    values = input_values(parsed, declared_types(home, workflow_id) if parsed else {})
    for name in looks_like_json(parsed):
        if isinstance(values[name], str):
            tell(f"Input {name} is text. For a list, write --input '{name}:=[...]'.")
    return values


def _plan(target: Target, request: _Request, console: Console, action: str) -> tuple[PlannerRun, Planned]:
    """Have the requirement planned and published, and show the plan."""
    from chassis.cli.planner_client import PlannerRun
    from chassis.cli.render import SIMULATED, plan_table
    from chassis.workflow import load_plan

    line = Text("Agent planning-agent", style="bold").append(" · Claude on Amazon Bedrock", style="not bold")
    console.print(line.append(f" · {SIMULATED}", style="bold yellow") if target.simulated else line)
    planner = PlannerRun.start(target.airflow, {**request.conf, "action": action}, unpause=request.unpause)
    with interruptible(target.airflow, planner.dag_id, planner.run_id):
        with _progress(console, "Planning"):
            planner.wait_for_plan(_tell_retry)
        _have_approved(planner, console, asks=request.conf.get("approve") == "always" or on_terminal())
        _tell_paused(target.airflow, planner.checked().workflow_id, request, action)
        planned = planner.wait_until_published()
        console.print(_headline(planned))
        for change in planned.published.changes:
            console.print(f"  {safe_text(change)}")
        for warning in planned.published.warnings:
            console.print(f"  Warning: {safe_text(warning)}", style="yellow")
        console.print(plan_table(load_plan(planned.plan)))
        with _progress(console, "Waiting for Airflow to load the workflow"):
            planner.wait_for_workflow(runs=action == ACTION_RUN)
    return planner, planned


def _have_approved(planner: PlannerRun, console: Console, *, asks: bool) -> None:
    """Wait until the plan is approved, where it has to be; ask here, or say where to approve it."""
    pending = planner.wait_for_decision()
    if pending is None:
        return
    if not asks:
        where_to_decide(planner, pending)
    elif not decide(planner, pending, console):
        tell("Nothing is published yet.")
        where_to_decide(planner, pending)
        raise typer.Exit(FAILED)


def _tell_paused(airflow: Airflow, workflow_id: str, request: _Request, action: str) -> None:
    """Say that the workflow is paused, or unpause it: it can be that only the planner has told which one it is."""
    dag = airflow.find_dag(workflow_id)
    if dag is None or not dag["is_paused"]:
        return
    if request.unpause:
        airflow.set_paused(workflow_id, False)
        return
    what = "its run will not start" if action == ACTION_RUN else "it will not run by its schedule"
    tell(f"Workflow {workflow_id} is paused: {what}. Unpause it: chassis unpause {workflow_id}")


def _headline(planned: Planned) -> Text:
    from chassis.cli.render import SIMULATED

    published, planning = planned.published, planned.planning
    state = f"{'' if published.changed else 'unchanged, '}revision {published.revision}"
    line = Text(f"\nPlan {published.workflow_id}", style="bold").append(f" · {state}", style="not bold")
    line.append(f" · by {safe_line(planning.model)}, attempt {planning.attempts}", style="not bold dim")
    return line.append(f" · {SIMULATED}", style="yellow") if planning.simulated else line


def _progress(console: Console, what: str) -> Any:
    """A spinner on a terminal; a line in a pipe."""
    if not console.is_terminal:
        console.print(f"{what} ...")
    return console.status(Text(f"{what} ..."))


def _tell_retry(state: str) -> None:
    if state == "up_for_retry":
        tell("A call to Claude failed; Airflow will try it again.")
