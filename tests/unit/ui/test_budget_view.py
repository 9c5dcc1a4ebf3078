"""An estimate held against what a run may spend: a reviewer is told when that can't be enough."""

from __future__ import annotations

from typing import Any

from chassis.estimate import Estimate
from chassis.settings import Settings
from chassis.ui.budget_view import BudgetView, hold_against
from chassis.workflow import check_plan

ESTIMATE = Estimate(
    calls=6,
    calls_at_most=18,
    tokens_expected=20_000,
    tokens_at_most=800_000,
    usd_expected=0.24,
    usd_at_most=11.8,
    critical_path=("a",),
    depth=1,
    width=1,
    width_bound_by="plan",
    open_ended=False,
    basis="",
    tasks=(),
)


def held(limits: dict[str, Any], estimate: Estimate | None = ESTIMATE, **settings: Any) -> BudgetView:
    task = {"id": "a", "name": "A", "instruction": "Do it."}
    plan = {
        "schema_version": 1,
        "id": "w",
        "title": "W",
        "requirement": "r",
        "tasks": [task],
        "limits": limits,
    }
    return hold_against(estimate, check_plan(plan), Settings(**settings))


def test_a_budget_below_what_is_expected_is_said_to_be_too_low() -> None:
    assert held({"budget_usd": 0.2}).short == (
        "A run costs about $0.24, but its budget is $0.20. It will stop before all tasks are done.",
    )


def test_limits_of_tokens_and_calls_are_held_against_the_estimate_too() -> None:
    told = held({"max_tokens": 1_000, "max_calls": 5})
    assert told.short == (
        "A run uses about 20,000 tokens, but its limit is 1,000.",
        "A run makes at least 6 calls, but its limit is 5. It will stop before all tasks are done.",
    )


def test_the_stricter_of_plan_and_deployment_counts() -> None:
    told = held({"budget_usd": 5}, run_budget_usd=0.1)
    assert told.usd == 0.1
    assert "its budget is $0.10" in told.short[0]


def test_a_budget_between_the_expected_and_the_most_is_only_told() -> None:
    told = held({"budget_usd": 5})
    assert (told.short, told.tight) == ((), "The budget covers the expected cost, but not the maximum.")
    assert held({"budget_usd": 12}) == BudgetView(12)


def test_what_can_not_be_estimated_is_not_judged() -> None:
    assert held({"budget_usd": 0.2}, None) == BudgetView(0.2)
    unknown = ESTIMATE.model_copy(update={"usd_expected": None, "usd_at_most": None})
    assert held({"budget_usd": 0.2}, unknown) == BudgetView(0.2)
