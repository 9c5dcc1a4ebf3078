from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from chassis.contract.spending import RunLimits, Spending, Totals
from chassis.contract.usage import Usage
from chassis.contract.xcoms import ApprovedPlan, Card, PendingPlan, PublishedPlan, TaskError, TaskResult
from chassis.dag.reporting import card_on_error
from chassis.errors import ItemsError, PlanError, PlanFault
from chassis.workflow import SpendLimits
from tests.with_each import with_each

TASK = Totals(calls=2, usage=Usage(input_tokens=900, output_tokens=100, calls=2), cost_usd=0.25)
RUN = Totals(calls=9, usage=Usage(input_tokens=9000, output_tokens=1000, calls=9), cost_usd=1.5)
LIMITS = RunLimits(
    run=SpendLimits(budget_usd=8), task=SpendLimits(budget_usd=1), deployment=SpendLimits(budget_usd=5)
)
SPENDING = Spending(task=TASK, run=RUN, limits=LIMITS)


def test_a_card_holds_what_a_board_shows_and_nothing_long() -> None:
    card = Card.made(
        result={"summary": "Done.\nAnd more.", "output": "x" * 9000, "simulated": True, "item": "claims"},
        spending=SPENDING,
        map_index=2,
    )
    assert card.document() == {
        "line": "Done.",
        "usd": 0.25,
        "tokens": 1000,
        "calls": 2,
        "run_usd": 1.5,
        "run_tokens": 10000,
        "budget_usd": 5,
        "simulated": True,
        "carried_from": "",
        "amendment": None,
        "item": "claims",
        "map_index": 2,
    }


def test_a_line_is_cut_and_shows_what_would_turn_it_around() -> None:
    line = Card.made(result={"summary": "a\u202eb" + "c" * 500}).line
    assert len(line) == 200
    assert "\u202e" not in line


def test_what_has_no_price_is_not_free() -> None:
    unpriced = TASK.model_copy(update={"cost_usd": 0.0, "unpriced_calls": 2})
    card = Card.made(spending=SPENDING.model_copy(update={"task": unpriced}))
    assert (card.usd, card.run_usd) == (None, 1.5)


def test_a_carried_over_result_says_from_where_and_that_it_cost_nothing() -> None:
    card = Card.made(result={"summary": "Done.", "carried_from": "manual__1", "amendment": None})
    assert (card.carried_from, card.usd, card.calls) == ("manual__1", 0.0, 0)


def test_an_error_before_any_call_leaves_its_first_line() -> None:
    pushed: dict[str, Any] = {}
    context: Any = {"ti": SimpleNamespace(xcom_push=pushed.__setitem__)}
    with pytest.raises(ItemsError), card_on_error(context):
        raise ItemsError("The items can't be used.\n- one")
    assert pushed["card"]["line"] == "The items can't be used."


@with_each("kind", [TaskResult, Card, TaskError, PendingPlan, ApprovedPlan, PublishedPlan, Spending])
@with_each("value", [None, 7, "text", [], {"workflow_id": 3}, {"line": 3, "class": 3}])
def test_what_somebody_put_in_the_place_of_an_xcom_is_none_of_its_kind(kind: Any, value: Any) -> None:
    assert kind.of(value) is None


def test_the_message_of_a_plans_error_names_its_faults() -> None:
    error = PlanError([PlanFault("c", "tasks[0].id", "is wrong")], subject="The plan")
    found = TaskError.of(error.describe())
    assert found is not None
    assert (found.kind, "is wrong" in found.message) == ("PlanError", True)


def test_a_decision_is_read_as_it_was_written() -> None:
    for decision in (
        {"without": "no rule"},
        {"by": "A", "by_id": "a", "at": "t", "comment": "", "edited": True},
    ):
        written = {"workflow_id": "w", "plan": "p", "digest": "d", "decision": decision}
        found = ApprovedPlan.of(written)
        assert found is not None
        assert found.document() == written
