from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis import figures
from chassis.cli import amounts
from chassis.contract.spending import Bound, Totals
from chassis.contract.usage import Usage


def totals(**facts: Any) -> Totals:
    return Totals(calls=3, usage=Usage(input_tokens=1000, output_tokens=200, calls=3), **facts)


@pytest.mark.parametrize(
    ("usd", "shown"),
    [
        (0, "$0.00"),
        (5, "$5.00"),
        (1.2, "$1.20"),
        (1.20374, "$1.2037"),
        (1234.5, "$1,234.50"),
        (0.0123, "$0.0123"),
        (0.001234, "$0.001234"),
    ],
)
def test_dollars_have_two_decimals_or_as_many_as_say_something(usd: float, shown: str) -> None:
    assert figures.dollars(usd) == shown


@given(st.floats(min_value=0, max_value=1e9))
def test_an_amount_is_shown_to_the_hundredth_of_a_cent(usd: float) -> None:
    shown = figures.dollars(usd)
    assert re.fullmatch(r"\$\d{1,3}(,\d{3})*\.\d{2,6}", shown)
    assert abs(float(shown[1:].replace(",", "")) - usd) <= 0.00005 + usd * 1e-12


@pytest.mark.parametrize(
    ("facts", "limit", "shown"),
    [
        ({"cost_usd": 1.2}, None, "$1.20"),
        ({"cost_usd": 1.2}, 5.0, "$1.20 of $5.00"),
        ({"cost_usd": 1.2, "unpriced_calls": 1}, 5.0, "$1.20 of $5.00, and 1 call of unknown price"),
        ({"unpriced_calls": 2}, 5.0, "price unknown"),
        ({}, 0.000_5, "$0.00 of $0.0005"),
    ],
)
def test_a_price_stands_beside_its_limit_and_owns_up_to_what_it_lacks(
    facts: dict[str, Any], limit: float | None, shown: str
) -> None:
    assert amounts.price(totals(**facts), limit) == shown


def test_what_nobody_saw_end_is_an_upper_bound_in_dollars_or_else_in_tokens() -> None:
    unseen = totals(uncertain_calls=2, uncertain=Bound(tokens=9000, cost_usd=0.3))
    unpriced = totals(uncertain_calls=1, uncertain=Bound(tokens=9000, cost_usd=0.0), unpriced_calls=1)
    assert amounts.uncertain(unseen) == "up to $0.30 more for 2 calls whose end nobody saw"
    assert amounts.uncertain(unpriced) == "up to 9,000 tokens more for 1 call whose end nobody saw"
    assert amounts.uncertain(unseen, brief=True) == "up to $0.30 more"
    assert amounts.uncertain(totals()) == ""
    assert amounts.counted_tokens(unseen) == 1200, "tokens that were counted, and no bound"


def test_calls_in_flight_are_told_apart() -> None:
    flying = totals(open_calls=1, open=Bound(tokens=9000, cost_usd=0.3))
    assert amounts.in_flight(flying) == "up to $0.30 more for 1 call in flight"
    assert amounts.in_flight(totals()) == ""


def test_the_document_holds_no_dollar_that_is_not_certain() -> None:
    found = amounts.document(
        totals(cost_usd=1.2, uncertain_calls=2, uncertain=Bound(tokens=9000, cost_usd=0.3))
    )
    assert (found["cost_usd"], found["known_usd"]) == (1.2, 1.2)
    assert (found["uncertain_usd"], found["uncertain_tokens"], found["uncertain_calls"]) == (0.3, 9000, 2)
    partly = amounts.document(totals(cost_usd=1.2, unpriced_calls=1))
    assert (partly["cost_usd"], partly["known_usd"], partly["unpriced_calls"]) == (None, 1.2, 1)
    assert amounts.document(None)["cost_usd"] is None
