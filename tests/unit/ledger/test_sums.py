"""The running sums are what a patient person with paper would find by reading all entries from the start."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.contract.spending import Bound, Totals
from chassis.contract.usage import Usage
from chassis.ledger.entries import Closed, Opened, entry_text, parse_entry
from chassis.ledger.sums import Fold
from tests.unit.ledger.makers import NOON, answered, opened

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chassis.ledger.entries import Entry

CALLS = st.sampled_from(["a", "b", "c", "d"])
DOLLARS = st.none() | st.integers(0, 50_000_000).map(lambda micros: micros / 1_000_000)
BOUNDS = st.builds(Bound, tokens=st.integers(0, 10**7), cost_usd=DOLLARS)
COUNTS = st.integers(0, 10**6)
USAGES = st.builds(
    Usage,
    input_tokens=COUNTS,
    output_tokens=COUNTS,
    cache_read_tokens=COUNTS,
    cache_write_tokens=COUNTS,
    calls=st.integers(0, 1),
)
OPENINGS = st.builds(
    opened,
    CALLS,
    task=st.sampled_from(["deploy", "test"]),
    item=st.sampled_from([None, "x"]),
    until=st.sampled_from([NOON + 10, NOON + 20]),
    bound=BOUNDS,
)
LOSSES = st.builds(Closed, call=CALLS, outcome=st.just("lost"), closed_at=st.just(NOON), uncertain=BOUNDS)
ENDINGS = st.builds(
    Closed,
    call=CALLS,
    outcome=st.sampled_from(["answered", "failed", "cancelled"]),
    closed_at=st.just(NOON),
    usage=USAGES,
    cost_usd=DOLLARS,
    uncertain=st.one_of(st.just(Bound()), BOUNDS),
    simulated=st.booleans(),
)
LEDGERS = st.lists(st.one_of(OPENINGS, LOSSES, ENDINGS), max_size=25)
TASKS: list[tuple[str, str | None]] = [("deploy", None), ("deploy", "x"), ("test", None), ("test", "x")]


def fold(entries: Iterable[Entry]) -> Fold:
    made = Fold()
    for entry in entries:
        made.add(entry)
    return made


def by_hand(entries: list[Entry], now: float, task: tuple[str, str | None] | None) -> Totals:
    """The same by another way: call by call, in decimal numbers, from the start."""
    total = Totals()
    for call in sorted({entry.call for entry in entries}):
        own = [entry for entry in entries if entry.call == call]
        opening, ends = own[0], [entry for entry in own if isinstance(entry, Closed)]
        real = [end for end in ends if end.outcome != "lost"]
        if task is not None and (not isinstance(opening, Opened) or opening.task_key != task):
            continue
        if ends:
            total += once((real or ends)[0])
        elif isinstance(opening, Opened) and opening.until <= now:
            total += once(
                Closed(call=call, outcome="lost", closed_at=now, uncertain=opening.bound),
            )
        elif isinstance(opening, Opened):
            total += Totals(open_calls=1, open=known(opening.bound))
    return total


def known(bound: Bound) -> Bound:
    return Bound(tokens=bound.tokens, cost_usd=float(Decimal(str(bound.cost_usd or 0))))


def once(end: Closed) -> Totals:
    uncertain = end.outcome == "lost" or end.uncertain != Bound()
    unknown_price = (end.cost_usd is None and end.usage != Usage()) or end.uncertain.cost_usd is None
    return Totals(
        calls=1 if uncertain else end.usage.calls,
        usage=end.usage,
        cost_usd=end.cost_usd or 0,
        unpriced_calls=int(unknown_price),
        simulated_calls=int(end.simulated),
        uncertain_calls=int(uncertain),
        uncertain=known(end.uncertain),
    )


@given(LEDGERS, st.sampled_from([NOON, NOON + 10, NOON + 30]))
def test_running_sums_are_those_of_reading_everything_again(entries: list[Entry], now: float) -> None:
    made = fold(entries)
    assert made.sums(now).totals() == by_hand(entries, now, None)
    for task in TASKS:
        assert made.sums(now, task).totals() == by_hand(entries, now, task)


@given(LEDGERS, st.integers(0, 25))
def test_sums_that_were_kept_at_any_entry_go_on_as_if_all_had_been_read(
    entries: list[Entry], at: int
) -> None:
    kept = fold(entries[:at]).state()
    made = Fold.restored(json.loads(json.dumps(kept)))
    assert made.state() == kept
    for entry in entries[at:]:
        made.add(entry)
    assert json.dumps(made.state()) == json.dumps(fold(entries).state()), "every writer writes the same bytes"
    for task in (None, *TASKS):
        assert made.sums(NOON + 10, task) == fold(entries).sums(NOON + 10, task)


def test_of_a_call_that_has_ended_a_few_bytes_are_remembered() -> None:
    def remembered(calls: int) -> int:
        ended = fold(e for n in range(calls) for e in (opened(str(n), f"task_{n % 3}"), answered(str(n))))
        return len(json.dumps(ended.state()))

    assert remembered(2000) - remembered(1000) < 1000 * 12


@given(LEDGERS)
def test_an_entry_is_the_same_after_it_has_been_a_file(entries: list[Entry]) -> None:
    assert [parse_entry(entry_text(entry)) for entry in entries] == entries


@given(LEDGERS)
def test_the_tasks_of_a_run_add_up_to_the_run(entries: list[Entry]) -> None:
    in_order = [e for e in entries if isinstance(e, Opened)] + [e for e in entries if isinstance(e, Closed)]
    names = {entry.call for entry in in_order if isinstance(entry, Opened)}
    made = fold(entry for entry in in_order if entry.call in names)
    total = sum((made.sums(NOON, task).totals() for task in TASKS), Totals())
    assert total == made.sums(NOON).totals()


def test_ten_calls_of_ten_cents_are_a_dollar() -> None:
    entries = [e for n in range(10) for e in (opened(str(n)), answered(str(n), 0.1))]
    assert fold(entries).sums(NOON).cost_nanos == 1_000_000_000
    assert fold(entries).sums(NOON).totals().cost_usd == 1.0


def test_an_open_call_counts_at_its_bound_and_is_nothing_spent() -> None:
    total = fold([opened("a")]).sums(NOON).totals()
    assert (total.open_calls, total.open) == (1, Bound(tokens=100, cost_usd=0.4))
    assert (total.calls, total.tokens, total.spent_usd) == (0, 0, 0)


def test_a_call_that_is_open_after_its_time_counts_as_lost_from_that_moment() -> None:
    made = fold([opened("a", until=NOON + 60)])
    assert made.sums(NOON + 59.9).open_calls == 1
    total = made.sums(NOON + 60).totals()
    assert (total.open_calls, total.calls, total.uncertain_calls) == (0, 1, 1)
    assert (total.tokens, total.spent_usd, total.cost_usd) == (100, 0.4, 0)


def test_a_late_end_takes_the_place_of_lost() -> None:
    lost = Closed(call="a", outcome="lost", closed_at=NOON, uncertain=Bound(tokens=100, cost_usd=0.4))
    total = fold([opened("a"), lost, answered("a", 0.1, tokens=7)]).sums(NOON).totals()
    assert (total.calls, total.tokens, total.cost_usd, total.spent_usd) == (1, 7, 0.1, 0.1)
    assert total.uncertain == Bound()


@pytest.mark.parametrize("second", [{"outcome": "lost"}, {"outcome": "cancelled", "cost_usd": 9.0}])
def test_what_really_happened_stays(second: dict[str, Any]) -> None:
    late = Closed(call="a", closed_at=NOON, **second)
    made = fold([opened("a"), answered("a", 0.1)])
    assert made.is_settled(late)
    made.add(late)
    assert made.sums(NOON).totals().spent_usd == 0.1


def test_a_call_that_never_reached_claude_costs_no_call() -> None:
    throttled = Closed(call="a", outcome="failed", closed_at=NOON, error="ThrottledError")
    total = fold([opened("a"), throttled]).sums(NOON).totals()
    assert (total.calls, total.tokens, total.spent_usd, total.uncertain_calls) == (0, 0, 0, 0)


def test_a_call_whose_end_nobody_counted_is_one_call_once() -> None:
    cut = Closed(
        call="a", outcome="cancelled", closed_at=NOON, usage=Usage(calls=1), uncertain=Bound(tokens=9)
    )
    assert fold([opened("a"), cut]).sums(NOON).totals().calls == 1


def test_tokens_of_all_kinds_count() -> None:
    usage = Usage(input_tokens=1, output_tokens=20, cache_read_tokens=300, cache_write_tokens=4000, calls=1)
    total = fold([opened("a"), answered("a", usage=usage, uncertain=Bound(tokens=50000))]).sums(NOON).totals()
    assert total.tokens == 54321
    assert total.usage == usage


def test_an_unknown_price_is_counted_apart_and_not_as_nothing() -> None:
    made = fold([opened("a"), answered("a", None), opened("b"), answered("b", 0.1)])
    assert made.sums(NOON).totals().unpriced_calls == 1
    assert made.sums(NOON).totals().cost_usd == 0.1


def test_totals_survive_the_way_through_an_xcom() -> None:
    total = fold([opened("a"), answered("a"), opened("b")]).sums(NOON).totals()
    assert Totals.model_validate_json(total.model_dump_json()) == total
