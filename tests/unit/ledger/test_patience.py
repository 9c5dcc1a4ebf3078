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


def waits(error: ClaudeError, retries: int = 2) -> list[float]:
    """The waits of a call that is refused again and again, as soon as it comes back."""

    async def refused() -> list[float]:
        patience, found = Patience(Pace(8), retries), []
        while (pause := patience.pause(error)) is not None and len(found) < 1_000:
            found.append(pause)
            await asyncio.sleep(pause + 5)
        return found

    return virtual_time.run(refused)


def first_wait(error: ClaudeError) -> float | None:
    async def once() -> float | None:
        return Patience(Pace(8), 2).pause(error)

    return virtual_time.run(once)


def test_congestion_has_minutes_of_patience_and_calls_come_back_later_and_later() -> None:
    found = waits(CongestedError("No room."))
    assert 4 * MINUTE < sum(found) + 5 * len(found) < 6 * MINUTE
    most = [1, 2, 4, 8, 16, *[20] * len(found)]
    assert all(top / 2 <= wait <= top for wait, top in zip(found, most, strict=False))


def test_calls_that_met_congestion_together_come_back_apart() -> None:
    first = {first_wait(CongestedError("No room.")) for _ in range(20)}
    assert len(first) == 20


def test_a_quota_has_two_minutes_in_which_the_pace_says_when() -> None:
    found = waits(ThrottledError("Slow down."))
    assert set(found) == {0.0}
    assert len(found) == 2 * MINUTE / 5


@pytest.mark.parametrize("kind", SLOWING)
def test_a_call_that_stood_in_line_for_long_is_refused_three_times_at_least(kind: type[ClaudeError]) -> None:
    async def refused() -> list[float | None]:
        patience, pauses = Patience(Pace(8), 2), []
        for _ in range(3):
            pauses.append(patience.pause(kind("No.")))
            await asyncio.sleep(20 * MINUTE)
        return pauses

    assert [pause is None for pause in virtual_time.run(refused)] == [False, False, True]


@pytest.mark.parametrize("kind", SLOWING)
def test_while_others_are_served_a_call_waits_for_its_turn_but_not_for_ever(kind: type[ClaudeError]) -> None:
    async def refused() -> tuple[int, float]:
        pace = Pace(8)
        patience, count = Patience(pace, 2), 0
        while patience.pause(kind("Too many tokens.")) is not None:
            count += 1
            await pace.acquire()
            await asyncio.sleep(MINUTE)
            pace.release(answered=True)
        return count, asyncio.get_running_loop().time()

    count, seconds = virtual_time.run(refused)
    assert 40 < count < 80
    assert seconds > 30 * MINUTE


@pytest.mark.parametrize(
    ("kind", "waits_on"), [(ThrottledError, True), (CongestedError, False)], ids=["quota", "congestion"]
)
def test_a_call_in_flight_shows_that_a_quota_serves_and_nothing_of_congestion(
    kind: type[ClaudeError], waits_on: bool
) -> None:
    """A quota refuses at once; a congested server may hold a call for a minute before it does."""

    async def refused() -> float | None:
        pace = Pace(8)
        patience = Patience(pace, 2)
        await pace.acquire()
        for _ in range(20):
            await asyncio.sleep(MINUTE)
            pause = patience.pause(kind("No."))
        return pause

    assert (virtual_time.run(refused) is not None) is waits_on


@pytest.mark.parametrize("kind", SLOWING)
def test_where_the_server_names_a_wait_the_pace_keeps_it(kind: type[ClaudeError]) -> None:
    assert first_wait(kind("No.", retry_after=5)) == 0.0
    assert first_wait(kind("No.", retry_after=60)) is None


@pytest.mark.parametrize("kind", [ServiceFaultError, UnreachableError, NoAnswerError])
def test_a_passing_fault_is_repeated_quickly_as_often_as_the_connection_says(kind: type[ClaudeError]) -> None:
    found = waits(kind("It failed."))
    assert [0.3 < wait <= 1.0 for wait in found] == [True, True]
    assert waits(kind("It failed."), retries=0) == []


PAID = {"calls": 1, "input_tokens": 10}


@pytest.mark.parametrize("kind", [*SLOWING, ServiceFaultError, StreamBrokenError])
def test_what_may_have_been_paid_for_is_not_repeated_here(kind: type[ClaudeError]) -> None:
    assert first_wait(kind("It broke off.", usage=PAID)) is None


@pytest.mark.parametrize("kind", [DailyQuotaError, RequestRefusedError])
def test_what_no_wait_mends_is_not_repeated(kind: type[ClaudeError]) -> None:
    assert waits(kind("No.")) == []
    assert not kind.retryable


def test_a_spent_day_is_known_to_the_calls_of_its_pace_for_a_minute() -> None:
    async def hold() -> None:
        pace, other = Pace(8), Pace(8)
        check_day(pace)
        told = DailyQuotaError("Too many tokens per day.", status=429, request_id="r-1")
        remember_spent_day(pace, told)
        check_day(other)
        with pytest.raises(DailyQuotaError) as caught:
            check_day(pace)
        assert caught.value is not told
        assert caught.value.describe() == told.describe()
        await asyncio.sleep(MINUTE)
        check_day(pace)

    virtual_time.run(hold)


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
        patience = Patience(pace, 2)
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


class TokenQuota:
    """A server that admits tokens of a minute: a call reserves some while it runs, and counts for fewer afterwards."""

    def __init__(self, a_minute: int, reserved: int, took: int, latency: float) -> None:
        self.a_minute, self.reserved, self.took, self.latency = a_minute, reserved, took, latency
        self.places: list[tuple[float, float]] = []  # when each began, and when it ends
        self.refused = 0

    def admits(self, now: float) -> bool:
        spent = sum(
            self.took if ends <= now else self.reserved
            for began, ends in self.places
            if ends > now or began > now - MINUTE
        )
        return spent + self.reserved <= self.a_minute

    async def call(self, chance: random.Random) -> bool:
        await asyncio.sleep(chance.uniform(0.02, 0.08))
        now = asyncio.get_running_loop().time()
        if not self.admits(now):
            self.refused += 1
            return False
        latency = self.latency * chance.uniform(0.7, 1.3)
        self.places.append((now, now + latency))
        await asyncio.sleep(latency)
        return True

    def least_seconds(self, calls: int) -> float:
        """How long so many calls take when each begins as soon as there is room for it."""
        now = 0.0
        while len(self.places) < calls:
            if self.admits(now):
                self.places.append((now, now + self.latency))
            else:
                now += 0.05
        return now + self.latency


async def within(quota: TokenQuota, calls: int) -> float:
    """Seconds until all calls are answered; each has the patience that calls have."""
    pace, chance = Pace(32), random.Random(1)

    async def call() -> None:
        patience = Patience(pace, 2)
        while True:
            await pace.acquire()
            if await quota.call(chance):
                pace.release(answered=True)
                return
            pace.release(throttled=True)
            assert patience.pause(ThrottledError("Too many tokens.")) is not None, "given up"

    await asyncio.gather(*(call() for _ in range(calls)))
    return asyncio.get_running_loop().time()


@pytest.mark.parametrize(
    ("calls", "a_minute", "latency"),
    [(60, 200_000, 10), (60, 200_000, 40), (40, 100_000, 20), (200, 500_000, 30), (200, 2_000_000, 10)],
)
def test_no_call_is_given_up_while_a_quota_of_tokens_serves_others(
    calls: int, a_minute: int, latency: float, figure: Callable[[str], None]
) -> None:
    """Each call reserves 21,000 tokens and takes 10,000, with output counted five times."""
    least = TokenQuota(a_minute, 21_000, 10_000, latency).least_seconds(calls)
    quota = TokenQuota(a_minute, 21_000, 10_000, latency)
    took = virtual_time.run(lambda: within(quota, calls))
    figure(
        f"{calls} calls of 21,000 tokens, answers of {latency:.0f} s, {a_minute:,} tokens a minute: {took:.0f} s, "
        f"{took / least:.2f} times the quota's own limit; {quota.refused} requests were refused"
    )
    assert took < 1.3 * least
    assert quota.refused < 4 * calls
