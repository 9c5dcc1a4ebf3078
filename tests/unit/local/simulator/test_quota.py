from __future__ import annotations

from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.local.simulator.quota import Gate
from chassis.local.simulator.scenario import Quota
from chassis.local.simulator.simulator_errors import ApiError
from chassis.local.simulator.wire_message import TokenCount

MODEL = "us.anthropic.claude-opus-4-6-v1"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def admits(gate: Gate, reserved: int = 1, took: TokenCount | None = None, model: str = MODEL) -> bool:
    """Whether a request that is answered in no time is let in."""
    try:
        with gate.admitted(model, reserved) as place:
            if took:
                place.settle(took)
            return True
    except ApiError:
        return False


@given(
    rate=st.integers(1, 5),
    steps=st.lists(st.floats(0, 1.5, allow_subnormal=False), max_size=40),
)
def test_no_second_has_more_requests_than_the_quota_and_each_with_room_is_let_in(
    rate: int, steps: list[float]
) -> None:
    clock = Clock()
    gate = Gate(Quota(requests_per_second=rate), clock)
    admitted: list[float] = []
    for step in steps:
        clock.now += step
        within = [moment for moment in admitted if moment > clock.now - 1.0]
        expected = len(within) < rate
        assert admits(gate) is expected
        if expected:
            admitted.append(clock.now)
    for moment in admitted:
        assert sum(moment - 1.0 < other <= moment for other in admitted) <= rate


def test_a_place_is_free_again_when_its_request_has_ended_however_it_ended() -> None:
    gate = Gate(Quota(in_flight=2), Clock())
    with ExitStack() as two:
        two.enter_context(gate.admitted(MODEL, 1))
        two.enter_context(gate.admitted(MODEL, 1))
        assert not admits(gate)
    with pytest.raises(ZeroDivisionError), gate.admitted(MODEL, 1):
        raise ZeroDivisionError
    with ExitStack() as two:
        two.enter_context(gate.admitted(MODEL, 1))
        assert admits(gate)


def test_a_refusal_is_bedrocks_and_says_how_long_to_wait_only_if_told() -> None:
    for told in (None, 1.5):
        gate = Gate(Quota(requests_per_second=1, retry_after=told), Clock())
        assert admits(gate)
        with pytest.raises(ApiError) as refused, gate.admitted(MODEL, 1):
            pass
        assert (refused.value.status, refused.value.error_type) == (429, "ThrottlingException")
        assert refused.value.retry_after == told


def test_a_changed_quota_counts_at_once_and_knows_who_is_in() -> None:
    gate = Gate(Quota(), Clock())
    with gate.admitted(MODEL, 1), gate.admitted(MODEL, 1):
        gate.quota = Quota(in_flight=2)
        assert not admits(gate)
        gate.quota = Quota(in_flight=3)
        assert admits(gate)
        gate.quota = Quota(requests_per_second=3)
        assert not admits(gate), "three came in this second"
        gate.quota = Quota()
        assert admits(gate)


NOTHING_CACHED = TokenCount(input=100, cache_read=0, cache_write=0, output=20)


def test_a_call_that_reserves_more_than_the_quota_is_refused_for_ever() -> None:
    clock = Clock()
    gate = Gate(Quota(tokens_per_minute=1_000), clock)
    for _ in range(3):
        assert not admits(gate, 1_001)
        clock.now += 3_600
    assert admits(gate, 1_000)


def test_what_open_calls_reserve_is_taken_however_long_they_last() -> None:
    clock = Clock()
    gate = Gate(Quota(tokens_per_minute=1_000), clock)
    with gate.admitted(MODEL, 600):
        assert not admits(gate, 401)
        clock.now += 600
        assert not admits(gate, 401)
        assert admits(gate, 400)


def test_at_its_end_a_call_counts_what_it_took_its_output_five_times_and_cache_reads_not_at_all() -> None:
    gate = Gate(Quota(tokens_per_minute=1_000), Clock())
    took = TokenCount(input=100, cache_read=500, cache_write=50, output=20)
    assert admits(gate, 1_000, took)
    assert not admits(gate, 1_000 - 250 + 1)
    assert admits(gate, 1_000 - 250)


def test_a_minute_later_its_tokens_are_there_again_but_those_of_the_day_are_not() -> None:
    clock = Clock()
    gate = Gate(Quota(tokens_per_minute=1_000, tokens_per_day=1_100), clock)
    assert admits(gate, 1_000, NOTHING_CACHED)
    assert not admits(gate, 900)
    clock.now += 60
    assert admits(gate, 900)
    assert not admits(gate, 901)
    clock.now += 86_400
    assert admits(gate, 1_000)


def test_a_call_that_came_to_nothing_takes_nothing() -> None:
    gate = Gate(Quota(tokens_per_minute=1_000), Clock())
    with pytest.raises(ZeroDivisionError), gate.admitted(MODEL, 1_000):
        raise ZeroDivisionError
    assert admits(gate, 1_000)


def test_each_model_and_profile_has_tokens_of_its_own() -> None:
    gate = Gate(Quota(tokens_per_minute=1_000), Clock())
    assert admits(gate, 1_000, TokenCount(1_000, 0, 0, 0))
    assert not admits(gate, 1)
    assert admits(gate, 1_000, model="global.anthropic.claude-opus-4-6-v1")


@pytest.mark.parametrize(
    ("quota", "words"),
    [
        (Quota(requests_per_second=1), "Too many requests, please wait before trying again."),
        (Quota(tokens_per_minute=100), "Too many tokens, please wait before trying again."),
        (Quota(tokens_per_day=100), "Too many tokens per day, please wait before trying again."),
    ],
)
def test_a_refusal_says_of_what_there_was_too_much(quota: Quota, words: str) -> None:
    gate = Gate(quota, Clock())
    assert admits(gate, 100, TokenCount(100, 0, 0, 0))
    with pytest.raises(ApiError) as refused, gate.admitted(MODEL, 100):
        pass
    assert (refused.value.message, refused.value.retry_after) == (words, None)
