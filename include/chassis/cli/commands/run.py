"""``chassis run`` and ``chassis plan``: from a requirement to a plan, and to its results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from chassis.cli.commands.decide import decide, on_terminal, where_to_decide
from chassis.cli.commands.shared_options import (
    HOME,
    NONE,
    BedrockOption,
    BudgetOption,
    ContinueOption,
    HomeOption,
    InputOption,
    JsonOption,
    MaxParallelOption,
    RequirementArgument,
    RequirementFileOption,
    ScheduleOption,
    TimezoneOption,
    UnpauseOption,
    WorkflowIdOption,
)
from chassis.cli.commands.watching import interruptible, show_end, watch
from chassis.cli.console import FAILED, err, out, print_json, reports_errors, safe_line, safe_text, tell

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from rich.console import Console

    from chassis.airflow_client import Airflow
    from chassis.cli.planner_client import Planned, PlannerRun
    from chassis.cli.target import Target
    from chassis.cli.task_shapes import Shape


@dataclass(frozen=True)
class _Request:
    """What the person gave."""

    requirement: str
    inputs: dict[str, Any]
    workflow_id: str
    schedule: str
    timezone: str
    budget: float | str | None
    max_parallel: int | None
    continue_from: str
    approve: bool | None
    unpause: bool

    def conf(self, action: str) -> dict[str, Any]:
        """The parameters of the planner's run: those that were given, as a workflow keeps what isn't given anew."""
        approve = None if self.approve is None else "always" if self.approve else NONE
        given = {
            "workflow_id": self.workflow_id,
            "inputs": self.inputs,
            "schedule": self.schedule,
            "timezone": self.timezone,
            "budget_usd": self.budget,
            "max_parallel": self.max_parallel,
            "continue_from": self.continue_from,
            "approve": approve,
        }
        return {
            "requirement": self.requirement,
            "action": action,
            **{name: value for name, value in given.items() if value not in (None, "", {})},
        }


@reports_errors
def run(
    requirement: RequirementArgument = "",
    requirement_file: RequirementFileOption = None,
    inputs: InputOption = [],  # noqa: B006  Typer copies it
    workflow_id: WorkflowIdOption = "",
    continue_from: ContinueOption = "",
    schedule: ScheduleOption = "",
    timezone: TimezoneOption = "",
    budget: BudgetOption = None,
    max_parallel: MaxParallelOption = None,
    approve: Annotated[
        bool | None,
        typer.Option(
            "--approve/--no-approve",
            help="Show the workflow's plans and ask before they are published.",
            show_default="the workflow's own",
        ),
    ] = None,
    unpause: UnpauseOption = False,
    bedrock: BedrockOption = False,
    as_json: JsonOption = False,
    home: HomeOption = HOME,
) -> None:
    """Plan a requirement, run the plan and show the results; starts the local Airflow if none runs."""
    from chassis.cli.requirement import read_requirement
    from chassis.cli.target import connect_or_start

    request = _Request(
        read_requirement(requirement, requirement_file),
        _inputs(home, workflow_id, inputs),
        workflow_id,
        schedule,
        timezone,
        budget,
        max_parallel,
        continue_from,
        approve,
        unpause,
    )
    console = err() if as_json else out()
    target = connect_or_start(home, bedrock=bedrock, tell=tell)
    with target.airflow as airflow:
        planner, planned, shape = _plan(target, request, console, publish_only=False)
        run_id, planning = planner.started_run, planned.planning
        report = watch(airflow, planned.workflow_id, run_id, shape, console, planning=planning)
    if as_json:
        print_json(report.document())
    raise typer.Exit(show_end(report, console, () if as_json else report.rows, table=console.is_terminal))


@reports_errors
def plan(
    requirement: RequirementArgument = "",
    requirement_file: RequirementFileOption = None,
    inputs: InputOption = [],  # noqa: B006  Typer copies it
    workflow_id: WorkflowIdOption = "",
    continue_from: ContinueOption = "",
    schedule: ScheduleOption = "",
    timezone: TimezoneOption = "",
    budget: BudgetOption = None,
    max_parallel: MaxParallelOption = None,
    unpause: UnpauseOption = False,
    bedrock: BedrockOption = False,
    home: HomeOption = HOME,
) -> None:
    """Plan a requirement and publish the plan, without running it."""
    from chassis.cli.requirement import read_requirement
    from chassis.cli.target import connect_or_start

    request = _Request(
        read_requirement(requirement, requirement_file),
        _inputs(home, workflow_id, inputs),
        workflow_id,
        schedule,
        timezone,
        budget,
        max_parallel,
        continue_from,
        approve=None,
        unpause=unpause,
    )
    target = connect_or_start(home, bedrock=bedrock, tell=tell)
    with target.airflow as airflow:
        _, planned, _ = _plan(target, request, out(), publish_only=True)
        tell(f"The whole plan: chassis show {planned.workflow_id}")
        tell(f"Its page: {airflow.url}/dags/{planned.workflow_id}")


def _inputs(home: Path, workflow_id: str, given: Iterable[str]) -> dict[str, Any]:
    """The inputs' values, by the types of the workflow's plan where there is one."""
    from chassis.cli.input_values import input_values, looks_like_json, parse_inputs
    from chassis.cli.plan_types import declared_types

    parsed = parse_inputs(given)
    values = input_values(parsed, declared_types(home, workflow_id) if parsed else {})
    for name in looks_like_json(parsed):
        if isinstance(values[name], str):
            tell(f"Input {name} is text. For a list, write --input '{name}:=[...]'.")
    return values


def _plan(
    target: Target, request: _Request, console: Console, *, publish_only: bool
) -> tuple[PlannerRun, Planned, Shape]:
    """Have the requirement planned and published, and show the plan."""
    from chassis.cli.planner_client import PUBLISH, RUN, PlannerRun
    from chassis.cli.render import plan_table
    from chassis.cli.task_shapes import shape_of_plan
    from chassis.contract.names import PLANNER_DAG
    from chassis.workflow import load_plan

    action = PUBLISH if publish_only else RUN
    _introduce(console, target)
    planner = PlannerRun.start(target.airflow, request.conf(action), unpause=request.unpause)
    with interruptible(target.airflow, PLANNER_DAG, planner.run_id):
        with _progress(console, "Planning"):
            planner.wait_for_plan(_tell_retry)
        _have_approved(target.airflow, planner, console, asks=bool(request.approve) or on_terminal())
        _tell_paused(target.airflow, planner.planned_id(), request, action)
        planned = planner.wait_until_published()
        shape = shape_of_plan(load_plan(planned.plan), planned.revision, request.inputs)
        console.print(_headline(planned))
        for line in planned.changes:
            console.print(Text(f"  {safe_text(line)}"))
        for line in planned.warnings:
            console.print(Text(f"  Warning: {safe_text(line)}", style="yellow"))
        console.print(plan_table(shape))
        with _progress(console, "Waiting for Airflow to have the workflow"):
            planner.wait_for_workflow(runs=not publish_only)
    return planner, planned, shape


def _have_approved(airflow: Airflow, planner: PlannerRun, console: Console, *, asks: bool) -> None:
    """Wait until the plan is approved, where it has to be; ask here, or say where to approve it."""
    waiting = planner.plan_to_decide()
    if waiting is None:
        return
    if not asks:
        where_to_decide(airflow, waiting)
    elif not decide(airflow, waiting, console):
        tell("Nothing is published yet.")
        where_to_decide(airflow, waiting)
        raise typer.Exit(FAILED)


def _tell_paused(airflow: Airflow, workflow_id: str, request: _Request, action: str) -> None:
    """Say that the workflow is paused, or unpause it: it can be that only the planner has told which one it is."""
    from chassis.cli.planner_client import RUN, is_paused

    if not is_paused(airflow, workflow_id):
        return
    if request.unpause:
        airflow.set_paused(workflow_id, False)
        return
    what = "its run will not start" if action == RUN else "it will not run by its schedule"
    tell(f"Workflow {workflow_id} is paused: {what}. Unpause it: {airflow.url}/dags/{workflow_id}")


def _introduce(console: Console, target: Target) -> None:
    """Say which agent is invoked, and who answers."""
    from chassis.cli.render import SIMULATED

    line = Text("Agent planning-agent", style="bold").append(" · Claude on Amazon Bedrock", style="not bold")
    if target.simulated:
        line.append(f" · {SIMULATED}", style="bold yellow")
    console.print(line)


def _headline(planned: Planned) -> Text:
    from chassis.cli.render import SIMULATED

    planning = planned.planning
    state = f"revision {planned.revision}" if planned.changed else f"unchanged, revision {planned.revision}"
    line = Text(f"\nPlan {planned.workflow_id}", style="bold").append(f" · {state}", style="not bold")
    line.append(f" · by {safe_line(planning['model'])}, attempt {planning['attempts']}", style="not bold dim")
    if planning["simulated"]:
        line.append(f" · {SIMULATED}", style="yellow")
    return line


def _progress(console: Console, what: str) -> Any:
    """A spinner on a terminal; a line in a pipe."""
    if not console.is_terminal:
        console.print(f"{what} ...")
    return console.status(Text(f"{what} ..."))


def _tell_retry(state: str) -> None:
    if state == "up_for_retry":
        tell("A call to Claude failed; Airflow will try it again.")
