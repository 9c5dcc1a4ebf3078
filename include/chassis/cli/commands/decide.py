"""Showing a plan that waits for a decision, and asking for the decision on a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer
from rich.text import Text

from chassis.cli.console import err, safe_line, safe_text, tell
from chassis.cli.exit_codes import show_error

if TYPE_CHECKING:
    from rich.console import Console

    from chassis.cli.planner_client import PlannerRun
    from chassis.contract.xcoms import PendingPlan
    from chassis.workflow.plan_changes import PlanChanges

_QUESTION = "[a]pprove, [r]evise with a comment, re[j]ect, [e]dit, or [l]eave it waiting"


def on_terminal() -> bool:
    """Whether somebody sits there who can be asked."""
    return sys.stdin.isatty() and err().is_terminal


def show_plan(console: Console, plan: PendingPlan) -> None:
    """The plan, what it changes and what it will take."""
    from chassis.approval_policy import plan_code
    from chassis.cli.render import plan_table
    from chassis.estimate import Estimate
    from chassis.figures import minute
    from chassis.workflow import load_plan
    from chassis.workflow.plan_changes import PlanChanges, plan_changes

    line = Text(f"\nPlan {safe_line(plan.workflow_id)}", style="bold")
    line.append(f" · {plan_code(plan.digest)}", style="not bold")
    line.append(f" · proposal {plan.number}", style="not bold dim")
    if plan.deadline:
        line.append(f" · waits until {minute(plan.deadline)} UTC", style="not bold dim")
    console.print(line)
    if plan.comment:
        console.print(f"Made from your comment: {safe_line(plan.comment)}", style="dim")
    spec = load_plan(plan.plan, source="as proposed")
    console.print(plan_table(spec))
    if plan.before:
        before = load_plan(plan.before, source="as proposed before")
        console.print(f"Changes since proposal {plan.number - 1}:", style="bold")
        _print_changes(console, plan_changes(before, spec))
    changes = PlanChanges.model_validate(plan.changes)
    if plan.base_revision is None:
        console.print("The workflow is new. All that the plan says:", style="bold")
    elif changes.empty:
        console.print(f"No changes: revision {plan.base_revision} is this plan.", style="bold")
    else:
        console.print(f"Changes since revision {plan.base_revision}:", style="bold")
    _print_changes(console, changes)
    console.print(f"Estimate: {Estimate.model_validate(plan.estimate).line}")


def _print_changes(console: Console, changes: PlanChanges) -> None:
    for line in changes.lines() or ["none"]:
        style = {"+": "green", "-": "red"}.get(line.strip()[:1], "")
        console.print(f"  {safe_text(line)}", style=style)


def decide(planner: PlannerRun, plan: PendingPlan, console: Console) -> bool:
    """Show the plan and ask until it is approved, or left; a revision is shown and asked about in turn.

    Returns whether it is approved.

    :raises ChassisError: what ended the planner, such as a rejection
    """
    from chassis.contract.names import APPROVE_PLAN, REJECT_PLAN, REVISE_PLAN
    from chassis.errors.client import AnsweredError

    edited = ""
    show_plan(console, plan)
    while True:
        choice = _ask(_QUESTION)[:1].lower()
        if choice in ("", "l"):
            return False
        if choice == "e":
            edited = _edited(plan.plan, edited)
            continue
        option = {"a": APPROVE_PLAN, "r": REVISE_PLAN, "j": REJECT_PLAN}.get(choice)
        if option is None:
            tell("Please answer a, r, j, e or l.")
            continue
        comment = _ask("Comment") if option in (REVISE_PLAN, REJECT_PLAN) else ""
        if option == REVISE_PLAN and not comment:
            tell("A revision needs a comment.")
            continue
        try:
            planner.answer(plan, option, comment=comment, edited=edited)
        except AnsweredError as error:
            show_error(error)
        if option == REVISE_PLAN:
            tell("Claude revises the plan ...")
        now = planner.wait_for_next(plan)
        if now is None:
            return True
        if now.refused:
            tell(f"Not carried out: {now.refused}")
        if now.number != plan.number:
            edited = ""
            show_plan(console, now)
        plan = now


def where_to_decide(planner: PlannerRun, plan: PendingPlan) -> None:
    """Say where a plan can be approved."""
    tell(f"The plan of {safe_line(plan.workflow_id)} waits for approval: {planner.page}")
    tell(f"Or: {planner.command}")


def _ask(question: str) -> str:
    """The answer; empty when there is nobody to answer."""
    try:
        return str(typer.prompt(question, default="", show_default=False, err=True)).strip()
    except typer.Abort:
        return ""


def _edited(proposed: str, edited: str) -> str:
    """What the person makes of the plan in an editor; as before when it can't be a plan."""
    from chassis.errors import PlanError
    from chassis.workflow import load_plan
    from chassis.workflow.plan_changes import plan_changes

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
            tell(f"The editor {editor[0]} failed: {error}. Set VISUAL or EDITOR to another one.")
            return text
