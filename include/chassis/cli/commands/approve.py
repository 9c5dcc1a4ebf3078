"""``chassis approve``: decide on a plan that waits."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  Typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from chassis.cli.commands.decide import decide, on_terminal, show_plan, where_to_decide
from chassis.cli.commands.shared_options import HOME, HomeOption, JsonOption
from chassis.cli.console import FAILED, out, print_json, reports_errors, safe_line, tell

if TYPE_CHECKING:
    from chassis.airflow_client import Airflow
    from chassis.cli.waiting_plans import WaitingPlan


@reports_errors
def approve(
    name: Annotated[
        str, typer.Argument(help="Workflow, planner DAG or planner's run.", show_default=False)
    ] = "",
    run: Annotated[
        str | None, typer.Option("--run", metavar="ID", help="Id of the planner's run, where several wait.")
    ] = None,
    yes: Annotated[bool, typer.Option("--approve", help="Approve the plan.")] = False,
    revise: Annotated[
        str, typer.Option("--revise", metavar="COMMENT", help="Have Claude change the plan.")
    ] = "",
    reject: Annotated[str, typer.Option("--reject", metavar="COMMENT", help="End the planner.")] = "",
    edit: Annotated[
        Path | None, typer.Option("--edit", metavar="FILE", help="Approve this plan (YAML) in its place.")
    ] = None,
    all_plans: Annotated[bool, typer.Option("--list", help="List the pending plans.")] = False,
    as_json: JsonOption = False,
    home: HomeOption = HOME,
) -> None:
    """Show a plan that waits for a decision, and decide; without options, on the terminal."""
    from chassis.cli.arguments import read_text
    from chassis.cli.target import connect
    from chassis.cli.waiting_plans import find_plan, plans
    from chassis.contract.names import APPROVE_PLAN, REJECT_PLAN, REVISE_PLAN
    from chassis.errors.client import UsageError

    chosen = [
        option
        for option, given in (
            (APPROVE_PLAN, yes or (edit and not revise)),
            (REVISE_PLAN, revise),
            (REJECT_PLAN, reject),
        )
        if given
    ]
    if len(chosen) > 1 or (reject and edit):
        raise UsageError("One decision at a time: --approve, --revise, --reject or --edit.")
    edited = "" if edit is None else read_text(edit)
    with connect(home).airflow as airflow:
        if all_plans or not name:
            if chosen:
                raise UsageError("Say which plan.", hint="See pending plans: chassis approve --list")
            _list(airflow, plans(airflow), as_json=as_json)
            return
        plan = find_plan(airflow, name, run)
        if chosen:
            _carry_out(airflow, plan, chosen[0], revise or reject, edited, as_json=as_json)
        elif as_json:
            print_json(_document(airflow, plan))
        elif on_terminal():
            _say(plan, approved=decide(airflow, plan, out()))
        else:
            show_plan(out(), plan)
            where_to_decide(airflow, plan)


def _carry_out(
    airflow: Airflow, plan: WaitingPlan, option: str, comment: str, edited: str, *, as_json: bool
) -> None:
    from chassis.cli.waiting_plans import answer, result_of
    from chassis.contract.names import REJECT_PLAN
    from chassis.errors import PlanRejectedError
    from chassis.errors.client import AnswerRefusedError

    answer(airflow, plan, option, comment=comment, edited=edited)
    try:
        now = result_of(airflow, plan)
    except PlanRejectedError:
        if option != REJECT_PLAN:
            raise
        tell(f"Rejected: {plan.code} of {safe_line(plan.workflow_id)}.")
        return
    if now is None:
        _say(plan, approved=True)
    elif now.proposal["refused"]:
        raise AnswerRefusedError(
            f"The answer was not carried out: {now.proposal['refused']}",
            hint=f"The plan waits on: chassis approve {plan.dag_id} --run {plan.run_id}",
        )
    elif as_json:
        print_json(_document(airflow, now))
    else:
        show_plan(out(), now)
        where_to_decide(airflow, now)


def _say(plan: WaitingPlan, *, approved: bool) -> None:
    if not approved:
        tell(f"Still pending: chassis approve {plan.dag_id} --run {plan.run_id}")
        raise typer.Exit(FAILED)
    tell(f"Approved. See how the run goes on: chassis status {plan.dag_id} --run {plan.run_id}")


def _list(airflow: Airflow, waiting: list[WaitingPlan], *, as_json: bool) -> None:
    from chassis.cli.listing import Listing

    if as_json:
        print_json([_document(airflow, plan) for plan in waiting])
        return
    if not waiting:
        tell("No plan is waiting for a decision.")
        return
    table = Listing("Workflow", "Plan", "Planner", "Run", "Until (UTC)", "Title")
    for plan in waiting:
        until = str(plan.proposal["deadline"] or "")[:16].replace("T", " ")
        cells = (plan.workflow_id, plan.code, plan.dag_id, plan.run_id, until, plan.proposal["title"])
        table.add(*map(safe_line, cells))
    out().print(table)


def _document(airflow: Airflow, plan: WaitingPlan) -> dict[str, object]:
    return {"planner": plan.dag_id, "run_id": plan.run_id, "page": plan.page(airflow), **plan.proposal}
