"""Showing a plan that waits for a decision, and asking for the decision on a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer
from rich.text import Text

from chassis.cli.console import err, safe_line, safe_text, show_error, tell

if TYPE_CHECKING:
    from rich.console import Console

    from chassis.airflow_client import Airflow
    from chassis.cli.waiting_plans import WaitingPlan
    from chassis.workflow.plan_changes import PlanChanges

_QUESTION = "[a]pprove, [r]evise with a comment, re[j]ect, [e]dit, or [l]eave it waiting"


def on_terminal() -> bool:
    """Whether somebody sits there who can be asked."""
    return sys.stdin.isatty() and err().is_terminal


def show_plan(console: Console, plan: WaitingPlan) -> None:
    """The plan, what it changes and what it will take."""
    from chassis.cli.render import plan_table
    from chassis.cli.task_shapes import shape_of_plan
    from chassis.estimate import Estimate
    from chassis.workflow import load_plan
    from chassis.workflow.plan_changes import PlanChanges, plan_changes

    proposal = plan.proposal
    line = Text(f"\nPlan {safe_line(plan.workflow_id)}", style="bold").append(
        f" · {plan.code}", style="not bold"
    )
    line.append(f" · proposal {proposal['number']}", style="not bold dim")
    if proposal["deadline"]:
        line.append(f" · waits until {proposal['deadline'][:16].replace('T', ' ')} UTC", style="not bold dim")
    console.print(line)
    if proposal["comment"]:
        console.print(Text(f"Made from your comment: {safe_line(proposal['comment'])}", style="dim"))
    spec = load_plan(proposal["plan"], source="as proposed")
    console.print(plan_table(shape_of_plan(spec, None, {})))
    if proposal["before"]:
        before = load_plan(proposal["before"], source="as proposed before")
        console.print(Text(f"Changes since proposal {proposal['number'] - 1}:", style="bold"))
        _print_lines(console, plan_changes(before, spec))
    _print_changes(console, PlanChanges.model_validate(proposal["changes"]), proposal["base_revision"])
    console.print(Text(f"Estimate: {Estimate.model_validate(proposal['estimate']).line}"))


def _print_changes(console: Console, changes: PlanChanges, base: int | None) -> None:
    if base is None:
        console.print(Text("The workflow is new. All that the plan says:", style="bold"))
    elif changes.empty:
        console.print(Text(f"No changes: revision {base} is this plan.", style="bold"))
    else:
        console.print(Text(f"Changes since revision {base}:", style="bold"))
    _print_lines(console, changes)


def _print_lines(console: Console, changes: PlanChanges) -> None:
    for line in changes.lines() or ["none"]:
        style = {"+": "green", "-": "red"}.get(line.strip()[:1], "")
        console.print(Text(f"  {safe_text(line)}", style=style))


def decide(airflow: Airflow, plan: WaitingPlan, console: Console) -> bool:
    """Show the plan and ask until it is approved, or left; a revision is shown and asked about in turn.

    Returns whether it is approved.

    :raises ChassisError: what ended the planner, such as a rejection
    """
    from chassis.cli.waiting_plans import answer, result_of
    from chassis.contract.names import APPROVE_PLAN, REJECT_PLAN, REVISE_PLAN
    from chassis.errors.client import AnsweredError

    edited = ""
    show_plan(console, plan)
    while True:
        choice = _ask(_QUESTION)
        if choice in ("", "l"):
            return False
        if choice == "e":
            edited = _edited(plan, edited)
            continue
        option = {"a": APPROVE_PLAN, "r": REVISE_PLAN, "j": REJECT_PLAN}.get(choice)
        if option is None:
            tell("Please answer a, r, j, e or l.")
            continue
        comment = _ask("Comment", whole=True) if option in (REVISE_PLAN, REJECT_PLAN) else ""
        if option == REVISE_PLAN and not comment:
            tell("A revision needs a comment.")
            continue
        try:
            answer(airflow, plan, option, comment=comment, edited=edited)
        except AnsweredError as error:
            show_error(error)
        if option == REVISE_PLAN:
            tell("Claude revises the plan ...")
        now = result_of(airflow, plan)
        if now is None:
            return True
        if now.proposal["refused"]:
            tell(f"Not carried out: {now.proposal['refused']}")
        if now.proposal["number"] != plan.proposal["number"]:
            edited = ""
            show_plan(console, now)
        plan = now


def where_to_decide(airflow: Airflow, plan: WaitingPlan) -> None:
    """Say where a plan can be approved."""
    tell(f"The plan of {safe_line(plan.workflow_id)} waits for approval: {plan.page(airflow)}")
    tell(f"Or: chassis approve {plan.dag_id} --run {plan.run_id}")


def _ask(question: str, *, whole: bool = False) -> str:
    """The answer, of which the first letter counts; empty when there is nobody to answer."""
    try:
        text = str(typer.prompt(question, default="", show_default=False, err=True)).strip()
    except typer.Abort:
        return ""
    return text if whole else text[:1].lower()


def _edited(plan: WaitingPlan, edited: str) -> str:
    """What the person makes of the plan in an editor; as before when it can't be a plan."""
    from chassis.errors import PlanError
    from chassis.workflow import load_plan
    from chassis.workflow.plan_changes import plan_changes

    proposed = str(plan.proposal["plan"])
    text = _in_editor(edited or proposed)
    if text.strip() in (proposed.strip(), edited.strip()):
        tell("The plan stays as it is.")
        return edited
    try:
        changes = plan_changes(load_plan(proposed), load_plan(text, source="as edited"))
    except PlanError as error:
        show_error(error)
        return edited
    for line in changes.lines():
        tell(f"  {line}")
    return text


def _in_editor(text: str) -> str:
    """What the person makes of a text in ``$VISUAL`` or ``$EDITOR``; the text itself when that can't be started."""
    import os
    import shlex
    import subprocess
    import tempfile
    from pathlib import Path

    editor = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "plan.yaml"
        file.write_text(text, encoding="utf-8")
        try:
            subprocess.run([*editor, str(file)], check=True)  # noqa: S603  the person's own editor
            return file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError, subprocess.CalledProcessError) as error:
            tell(f"The editor {editor[0]} failed: {error}. VISUAL or EDITOR names another.")
            return text
