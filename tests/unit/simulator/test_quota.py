from __future__ import annotations

from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.simulator.errors import ApiError
from chassis.simulator.quota import Gate
from chassis.simulator.rules import Quota


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def admits(gate: Gate) -> bool:
    """Whether a request that is answered in no time is let in."""
    try:
        with gate.admitted():
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
        two.enter_context(gate.admitted())
        two.enter_context(gate.admitted())
        assert not admits(gate)
    with pytest.raises(ZeroDivisionError), gate.admitted():
        raise ZeroDivisionError
    with ExitStack() as two:
        two.enter_context(gate.admitted())
        assert admits(gate)


def test_a_refusal_is_bedrocks_and_says_how_long_to_wait_only_if_told() -> None:
    for told in (None, 1.5):
        gate = Gate(Quota(requests_per_second=1, retry_after=told), Clock())
        assert admits(gate)
        with pytest.raises(ApiError) as refused, gate.admitted():
            pass
        assert (refused.value.status, refused.value.error_type) == (429, "ThrottlingException")
        assert refused.value.retry_after == told


def test_a_changed_quota_counts_at_once_and_knows_who_is_in() -> None:
    gate = Gate(Quota(), Clock())
    with gate.admitted(), gate.admitted():
        gate.quota = Quota(in_flight=2)
        assert not admits(gate)
        gate.quota = Quota(in_flight=3)
        assert admits(gate)
        gate.quota = Quota(requests_per_second=3)
        assert not admits(gate), "three came in this second"
        gate.quota = Quota()
        assert admits(gate)
