"""``chassis approve``: decide on a plan that waits."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  Typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from chassis.cli.arguments import read_text
from chassis.cli.commands.decide import decide, on_terminal, show_plan, where_to_decide
from chassis.cli.commands.shared_options import HOME, HomeOption, JsonOption
from chassis.cli.console import out, print_json, safe_line, tell
from chassis.cli.exit_codes import FAILED, reports_errors
from chassis.errors import PlanRejectedError
from chassis.errors.client import AnswerRefusedError, UsageError

if TYPE_CHECKING:
    from chassis.airflow_client import Json
    from chassis.cli.planner_client import PlannerRun
    from chassis.contract.xcoms import PendingPlan


@reports_errors
def approve(
    name: Annotated[
        str, typer.Argument(help="Workflow, planner DAG or planner's run.", show_default=False)
    ] = "",
    run: Annotated[
        str | None, typer.Option("--run", metavar="ID", help="Id of the planner's run, if several wait.")
    ] = None,
    yes: Annotated[bool, typer.Option("--approve", help="Approve the plan.")] = False,
    revise: Annotated[
        str, typer.Option("--revise", metavar="COMMENT", help="Have Claude change the plan.")
    ] = "",
    reject: Annotated[
        str,
        typer.Option("--reject", metavar="COMMENT", help="Reject the plan, which ends the planner's run."),
    ] = "",
    edit: Annotated[
        Path | None, typer.Option("--edit", metavar="FILE", help="Approve this plan (YAML) in its place.")
    ] = None,
    all_plans: Annotated[bool, typer.Option("--list", help="List the pending plans.")] = False,
    as_json: JsonOption = False,
    home: HomeOption = HOME,
) -> None:
    """Show a pending plan and decide on it; without options, on the terminal."""
    from chassis.cli.planner_client import find_pending, pending_plans
    from chassis.cli.target import connect
    from chassis.contract.names import APPROVE_PLAN, REJECT_PLAN, REVISE_PLAN

    given = {APPROVE_PLAN: yes or (edit and not revise), REVISE_PLAN: revise, REJECT_PLAN: reject}
    chosen = [option for option, wanted in given.items() if wanted]
    if len(chosen) > 1 or (reject and edit):
        raise UsageError("One decision at a time: --approve, --revise, --reject or --edit.")
    edited = "" if edit is None else read_text(edit)
    with connect(home).airflow as airflow:
        if all_plans or not name:
            if chosen:
                raise UsageError("Say which plan.", hint="See pending plans: chassis approve --list")
            _list(pending_plans(airflow), as_json=as_json)
            return
        planner, plan = find_pending(airflow, name, run)
        if chosen:
            _carry_out(planner, plan, chosen[0], revise or reject, edited, as_json=as_json)
        elif as_json:
            print_json(_document(planner, plan))
        elif on_terminal():
            _say(planner, approved=decide(planner, plan, out()))
        else:
            show_plan(out(), plan)
            where_to_decide(planner, plan)


def _carry_out(
    planner: PlannerRun, plan: PendingPlan, option: str, comment: str, edited: str, *, as_json: bool
) -> None:
    from chassis.approval_policy import plan_code
    from chassis.contract.names import REJECT_PLAN

    planner.answer(plan, option, comment=comment, edited=edited)
    try:
        now = planner.wait_for_next(plan)
    except PlanRejectedError:
        if option != REJECT_PLAN:
            raise
        tell(f"Rejected: {plan_code(plan.digest)} of {safe_line(plan.workflow_id)}.")
        return
    if now is None:
        _say(planner, approved=True)
    elif now.refused:
        raise AnswerRefusedError(
            f"The answer was not carried out: {now.refused}", hint=f"The plan still waits: {planner.command}"
        )
    elif as_json:
        print_json(_document(planner, now))
    else:
        show_plan(out(), now)
        where_to_decide(planner, now)


def _say(planner: PlannerRun, *, approved: bool) -> None:
    if not approved:
        tell(f"Still pending: {planner.command}")
        raise typer.Exit(FAILED)
    tell(f"Approved. Follow the run: chassis status {planner.dag_id} --run {planner.run_id}")


def _list(pending: list[tuple[PlannerRun, PendingPlan]], *, as_json: bool) -> None:
    from chassis.approval_policy import plan_code
    from chassis.cli.listing import Listing
    from chassis.figures import minute

    if as_json:
        print_json([_document(planner, plan) for planner, plan in pending])
    elif not pending:
        tell("No plan is waiting for a decision.")
    else:
        table = Listing("Workflow", "Plan", "Planner", "Run", "Until (UTC)", "Title")
        for planner, plan in pending:
            code, until = plan_code(plan.digest), minute(plan.deadline)
            cells = (plan.workflow_id, code, planner.dag_id, planner.run_id, until, plan.title)
            table.add(*map(safe_line, cells))
        out().print(table)


def _document(planner: PlannerRun, plan: PendingPlan) -> Json:
    return {"planner": planner.dag_id, "run_id": planner.run_id, "page": planner.page, **plan.document()}
