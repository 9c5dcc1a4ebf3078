from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from chassis.claude.usage import Usage
from chassis.dag.cards import card_of, card_on_error
from chassis.errors import ItemsError
from chassis.ledger.entries import Totals

TASK = Totals(calls=2, usage=Usage(input_tokens=900, output_tokens=100, calls=2), cost_usd=0.25)
RUN = Totals(calls=9, usage=Usage(input_tokens=9000, output_tokens=1000, calls=9), cost_usd=1.5)
SPENDING: dict[str, Any] = {"task": TASK.model_dump(mode="json"), "run": RUN.model_dump(mode="json")}
SPENDING["limits"] = {"run": {"budget_usd": 8}, "task": {"budget_usd": 1}, "deployment": {"budget_usd": 5}}


def test_a_card_holds_what_a_board_shows_and_nothing_long() -> None:
    card = card_of(
        result={"summary": "Done.\nAnd more.", "output": "x" * 9000, "simulated": True, "item": "claims"},
        spending=SPENDING,
        map_index=2,
    )
    assert card == {
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
    line = card_of(result={"summary": "a\u202eb" + "c" * 500})["line"]
    assert len(line) == 200
    assert "\u202e" not in line


def test_what_has_no_price_is_not_free() -> None:
    unpriced = TASK.model_copy(update={"cost_usd": 0.0, "unpriced_calls": 2}).model_dump(mode="json")
    assert card_of(spending={"task": unpriced})["usd"] is None
    assert card_of(spending={"task": unpriced})["run_usd"] is None


def test_a_carried_over_result_says_from_where_and_that_it_cost_nothing() -> None:
    card = card_of(result={"summary": "Done.", "carried_from": "manual__1", "amendment": None})
    assert (card["carried_from"], card["usd"], card["calls"]) == ("manual__1", 0.0, 0)


def test_an_error_before_any_call_leaves_its_first_line() -> None:
    pushed: dict[str, Any] = {}
    context: Any = {"ti": SimpleNamespace(xcom_push=pushed.__setitem__)}
    with pytest.raises(ItemsError), card_on_error(context):
        raise ItemsError("The items can't be used.\n- one")
    assert pushed["card"]["line"] == "The items can't be used."
