"""What the pages of plans say besides the plan: that it is simulated, what to look at, what is out of date."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chassis.catalogue import Catalogue, Service
from chassis.contract.addresses import Links
from chassis.contract.xcoms import TaskError
from chassis.ui.budget_view import BudgetView
from chassis.ui.page_templates import templates
from chassis.ui.plan_page import Compared, Draft, Message
from chassis.ui.plan_view import view_plan
from chassis.workflow import WorkflowSpec, check_plan
from tests.unit.ui.test_planner_run import run

CATALOGUE = Catalogue(services=(Service(name="recommendation", description="Recommends."),))


def plan(*, simulated: bool = False) -> WorkflowSpec:
    origin = {
        "planner_model": "m",
        "agents": {},
        "planned_at": "2026-01-01T00:00:00+00:00",
        "planner_run": "r1",
        "simulated": simulated,
    }
    task = {"id": "write", "name": "Write", "instruction": "Write {item}."}
    task["for_each"] = {"items": ["Findings", "Recommendations"]}  # type: ignore[assignment]
    parts = {"schema_version": 1, "id": "w", "title": "W", "requirement": "r", "provenance": origin}
    return check_plan({**parts, "tasks": [task]})


def page(
    state: str = "awaiting_input",
    *,
    draft: Draft | None = None,
    simulated: bool = False,
    **values: Any,
) -> str:
    proposal = {"plan": "p", "digest": "d" * 64, "number": 2, "base_revision": None, "deadline": None}
    found = run("success", state, proposal=proposal | {"comment": "", "refused": ""}, **values)
    return (
        templates()
        .get_template("planner_plan.html")
        .render(
            links=Links(),
            dag_id="p",
            run_id="r",
            run=found,
            stage=found.stage,
            plan=view_plan(plan(simulated=simulated), catalogue=CATALOGUE),
            compared=Compared(),
            revised=None,
            estimate=None,
            budget=BudgetView(),
            history=[],
            why_not="",
            draft=draft or Draft(),
        )
    )


def test_a_simulated_plan_is_said_to_be_one_in_a_note_as_on_the_board() -> None:
    assert '<p class="note warn small"><strong>Simulated:</strong>' in page(simulated=True)
    assert "Simulated" not in page()


def test_a_near_miss_with_the_catalogue_is_shown_and_keeps_nobody_from_approving() -> None:
    shown = page()
    assert "'Recommendations' is not a service of the catalogue, 'recommendation' is" in shown.replace(
        "&#39;", "'"
    )
    assert 'value="Approve"' in shown


def test_a_page_that_holds_what_somebody_typed_says_so_to_its_refresh() -> None:
    assert 'data-typed="no"' in page()
    assert 'data-typed="yes"' in page(draft=Draft(message=Message("bad", "A comment is required")))


@pytest.mark.parametrize(
    ("kind", "title"),
    [("PlanRejectedError", "The plan was rejected"), ("ApprovalTimeoutError", "The approval timed out")],
)
def test_a_planner_that_ended_without_a_plan_says_by_what(kind: str, title: str) -> None:
    failed = replace(
        run("success", "failed", proposal={"plan": "p"}), failure=TaskError(kind=kind, message="Why.")
    )
    shown = (
        templates()
        .get_template("planner_plan.html")
        .render(
            links=Links(),
            dag_id="p",
            run_id="r",
            run=failed,
            stage="failed",
            plan=None,
            draft=Draft(),
            why_not="",
        )
    )
    assert title in shown
    assert "Why." in shown
