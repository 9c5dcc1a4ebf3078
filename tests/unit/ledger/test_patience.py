from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest

from chassis.claude.pace import Pace
from chassis.errors import (
    ClaudeError,
    CongestedError,
    DailyQuotaError,
    NoAnswerError,
    RequestRefusedError,
    ServiceFaultError,
    StreamBrokenError,
    ThrottledError,
    UnreachableError,
)
from chassis.ledger.patience import (
    SLOWING,
    Patience,
    check_day,
    explain_reservation,
    remember_spent_day,
)
from tests.unit.claude import virtual_time

MINUTE = 60.0


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def waits(error: ClaudeError, retries: int = 2) -> list[float]:
    """The waits of a call that is refused again and again, as soon as it comes back."""
    clock = Time()
    patience, found = Patience(retries, clock), []
    while (pause := patience.pause(error)) is not None and len(found) < 10_000:
        found.append(pause)
        clock.now += pause + 0.1
    return found


def test_congestion_has_minutes_of_patience_and_calls_come_back_later_and_later() -> None:
    found = waits(CongestedError("No room."))
    assert 4 * MINUTE < sum(found) < 6 * MINUTE
    most = [1, 2, 4, 8, 16, *[20] * len(found)]
    assert all(top / 2 <= wait <= top for wait, top in zip(found, most, strict=False))


def test_calls_that_met_congestion_together_come_back_apart() -> None:
    first = {waits(CongestedError("No room."))[0] for _ in range(20)}
    assert len(first) == 20


def test_a_quota_has_two_minutes_in_which_the_pace_says_when() -> None:
    found = waits(ThrottledError("Slow down."))
    assert set(found) == {0.0}
    assert len(found) == pytest.approx(2 * MINUTE / 0.1, rel=0.01)


@pytest.mark.parametrize("kind", SLOWING)
def test_a_call_that_stood_in_line_for_long_is_refused_three_times_at_least(kind: type[ClaudeError]) -> None:
    clock = Time()
    patience = Patience(2, clock)
    pauses = []
    for _ in range(3):
        pauses.append(patience.pause(kind("No.")))
        clock.now += 20 * MINUTE
    assert [pause is None for pause in pauses] == [False, False, True]


@pytest.mark.parametrize("kind", SLOWING)
def test_where_the_server_names_a_wait_the_pace_keeps_it(kind: type[ClaudeError]) -> None:
    assert Patience(2).pause(kind("No.", retry_after=5)) == 0.0
    assert Patience(2).pause(kind("No.", retry_after=60)) is None


@pytest.mark.parametrize("kind", [ServiceFaultError, UnreachableError, NoAnswerError])
def test_a_passing_fault_is_repeated_quickly_as_often_as_the_connection_says(kind: type[ClaudeError]) -> None:
    found = waits(kind("It failed."))
    assert [0.3 < wait <= 1.0 for wait in found] == [True, True]
    assert waits(kind("It failed."), retries=0) == []


PAID = {"calls": 1, "input_tokens": 10}


@pytest.mark.parametrize("kind", [*SLOWING, ServiceFaultError, StreamBrokenError])
def test_what_may_have_been_paid_for_is_not_repeated_here(kind: type[ClaudeError]) -> None:
    assert Patience(2).pause(kind("It broke off.", usage=PAID)) is None


@pytest.mark.parametrize("kind", [DailyQuotaError, RequestRefusedError])
def test_what_no_wait_mends_is_not_repeated(kind: type[ClaudeError]) -> None:
    assert waits(kind("No.")) == []
    assert not kind.retryable


def test_a_spent_day_is_known_to_the_calls_of_its_pace_for_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hold() -> None:
        clock = Time()
        monkeypatch.setattr("chassis.ledger.patience.time.monotonic", clock)
        pace, other = Pace(8), Pace(8)
        check_day(pace)
        told = DailyQuotaError("Too many tokens per day.", status=429, request_id="r-1")
        remember_spent_day(pace, told)
        check_day(other)
        with pytest.raises(DailyQuotaError) as caught:
            check_day(pace)
        assert caught.value is not told
        assert caught.value.describe() == told.describe()
        clock.now += MINUTE
        check_day(pace)

    asyncio.run(hold())


def test_a_throttled_call_tells_what_is_reserved_for_it() -> None:
    error = ThrottledError("Bedrock asked to slow down: Too many tokens, please wait before trying again.")
    explain_reservation(error, 5_300, 16_000)
    for word in ("5,300", "16,000", "max_tokens", "context_chars", "slots", "quota"):
        assert word in error.hint
    assert "5,300" in str(error)
    assert ClaudeError.restore(error.describe()).hint == error.hint


def test_where_requests_are_counted_tokens_are_not_spoken_of() -> None:
    error = ThrottledError("Bedrock asked to slow down: Too many requests, please wait.")
    before = error.hint
    explain_reservation(error, 5_300, 16_000)
    assert error.hint == before


async def congested(calls: int, seconds: float) -> tuple[int, float]:
    """Calls at a server that has no room for so long; the refused requests, and when the last call was answered."""
    clock = asyncio.get_running_loop().time
    pace = Pace(32)
    refused = 0

    async def call() -> None:
        nonlocal refused
        patience = Patience(2, clock)
        while True:
            await pace.acquire()
            await asyncio.sleep(random.uniform(0.05, 0.15))
            if clock() > seconds:
                pace.release(answered=True)
                return
            refused += 1
            pace.release(throttled=True)
            pause = patience.pause(CongestedError("No room."))
            assert pause is not None, "patience ended before the congestion"
            await asyncio.sleep(pause)

    await asyncio.gather(*(call() for _ in range(calls)))
    return refused, clock()


@pytest.mark.parametrize("calls", [1, 40, 200])
def test_three_minutes_of_congestion_are_outlasted_without_hammering(
    calls: int, figure: Callable[[str], None]
) -> None:
    refused, ended = virtual_time.run(lambda: congested(calls, 3 * MINUTE))
    figure(
        f"{calls} calls, three minutes of congestion: {refused} requests refused, all answered at {ended:.0f} s"
    )
    assert refused < 120
    assert ended < 3 * MINUTE + 40
