"""The pace against quotas that it isn't told, in virtual time."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chassis.claude import pace as pace_module
from chassis.claude.pace import LONGEST_WAIT, Pace, pace_for
from tests.unit.claude.virtual_time import Quota, make_call, makespan, run

Figure = Callable[[str], None]


def now() -> float:
    return asyncio.get_running_loop().time()


async def until_all_wait() -> None:
    """Let every task that can go on do so, without letting time pass."""
    for _ in range(10):
        await asyncio.sleep(0)


# Quotas, calls, and what may be refused for each that is answered. The first four are the ones that were asked for:
# ten a second and twenty at once, with answers so short that the rate binds and so long that the width does.
SETTINGS: list[tuple[str, int, dict[str, Any], float]] = [
    ("10/s, 20 at once, answers of 0.02 s", 200, {"rate": 10, "width": 20, "latency": (0.02, 0.02)}, 0.05),
    ("10/s, 20 at once, answers of 0.3 s", 200, {"rate": 10, "width": 20, "latency": (0.3, 0.3)}, 0.05),
    ("10/s, 20 at once, answers of 3 s", 200, {"rate": 10, "width": 20, "latency": (3, 3)}, 0.08),
    ("10/s, 20 at once, answers of 1 to 6 s", 200, {"rate": 10, "width": 20, "latency": (1, 6)}, 0.08),
    ("10/s, answers of 0.3 s, 10 times as many", 2000, {"rate": 10, "latency": (0.3, 0.3)}, 0.04),
    ("20 at once, answers of 5 to 15 s", 200, {"width": 20, "latency": (5, 15)}, 0.1),
    ("5 at once, answers of 2 s", 200, {"width": 5, "latency": (2, 2)}, 0.2),
    ("5 at once, answers of 5 to 15 s", 200, {"width": 5, "latency": (5, 15)}, 0.2),
    ("2/s, answers of 0.3 to 0.6 s", 200, {"rate": 2, "latency": (0.3, 0.6)}, 0.25),
    ("50/s, answers of 0.3 to 0.6 s", 1000, {"rate": 50, "latency": (0.3, 0.6)}, 0.02),
    (
        "10/s, told to wait 1 s when refused",
        200,
        {"rate": 10, "latency": (0.3, 0.3), "retry_after": 1.0},
        0.05,
    ),
    ("60 a minute, answers of 2 to 4 s", 200, {"rate": 60, "window": 60.0, "latency": (2, 4)}, 0.5),
    ("10/s, 0.1 to 0.4 s away", 400, {"rate": 10, "latency": (0.3, 0.3), "delay": (0.1, 0.4)}, 0.05),
]


@pytest.mark.parametrize(("name", "calls", "quota", "refusals"), SETTINGS, ids=[row[0] for row in SETTINGS])
def test_calls_take_hardly_longer_than_the_quota_itself_and_few_are_refused(
    figure: Figure, name: str, calls: int, quota: dict[str, Any], refusals: float
) -> None:
    server = Quota(**quota)

    async def work() -> float:
        return await makespan(Pace(32), server, calls)

    took = run(work)
    least = server.least_makespan(calls)
    figure(
        f"pace, {name}: {calls} calls in {took / least:.2f} times the quota's own {least:.0f} s, "
        f"{server.refused / calls:.3f} refusals per call"
    )
    assert server.accepted == calls
    assert took <= 1.3 * least
    assert server.refused <= refusals * calls


def test_without_a_quota_nothing_is_refused_and_the_most_at_once_is_used() -> None:
    server = Quota(latency=(5, 5))

    async def work() -> float:
        return await makespan(Pace(32), server, 320)

    assert run(work) < 1.2 * server.least_makespan(1) * 320 / 32
    assert server.refused == 0
    assert server.peak == 32


def test_a_small_run_is_not_held_up() -> None:
    async def work() -> float:
        pace = Pace(32)
        await asyncio.gather(*(_hold(pace) for _ in range(8)))
        return now()

    assert run(work) == 0.0


async def _hold(pace: Pace, seconds: float = 0.0) -> None:
    await pace.acquire()
    await asyncio.sleep(seconds)
    pace.release(answered=True)


def test_time_in_which_nobody_waits_raises_nothing() -> None:
    async def work() -> tuple[int, float]:
        pace = Pace(32)
        await _hold(pace)
        await asyncio.sleep(600)
        calls = [asyncio.create_task(_hold(pace, 5)) for _ in range(32)]
        await until_all_wait()
        found = pace.in_flight, pace.rate
        await asyncio.gather(*calls)
        return found

    assert run(work) == (8, 8.0), (
        "as at the beginning: a quota that is lower is met with a few calls, not with all"
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"rate": 10, "latency": (0.5, 0.5)}, {"rate": 50}),
        ({"width": 10, "latency": (2.0, 2.0)}, {"width": 40}),
    ],
    ids=["rate", "width"],
)
def test_a_raised_quota_is_used_within_seconds(
    figure: Figure, before: dict[str, Any], after: dict[str, Any]
) -> None:
    server = Quota(**before)
    (name, raised) = next(iter(after.items()))
    wanted = 0.9 * (raised if name == "rate" else raised / 2.0)

    async def work() -> float:
        pace = Pace(64)
        calls = [asyncio.create_task(make_call(pace, server)) for _ in range(5000)]
        await asyncio.sleep(20)
        setattr(server, name, raised)
        raised_at, begun = now(), server.accepted
        while server.accepted - begun < wanted:
            begun = server.accepted
            await asyncio.sleep(1)
            assert now() - raised_at < 60
        reached = now() - raised_at
        await _cancel(calls)
        return reached

    seconds = run(work)
    figure(f"pace: a quota raised from {before[name]} to {raised} ({name}) is used after {seconds:.0f} s")
    assert seconds <= 12


def test_a_lowered_quota_is_found_at_the_cost_of_few_refusals() -> None:
    server = Quota(rate=50, latency=(0.5, 0.5))

    async def work() -> tuple[int, float]:
        pace = Pace(64)
        calls = [asyncio.create_task(make_call(pace, server)) for _ in range(5000)]
        await asyncio.sleep(20)
        refused, server.rate = server.refused, 5
        await asyncio.sleep(5)
        refused = server.refused - refused
        accepted = server.accepted
        await asyncio.sleep(20)
        await _cancel(calls)
        return refused, (server.accepted - accepted) / 20

    refused, rate = run(work)
    assert refused <= 30
    assert rate >= 4


def test_an_outage_is_asked_about_less_and_less() -> None:
    server = Quota(rate=10, latency=(0.3, 0.3))

    async def work() -> int:
        pace = Pace(32)
        calls = [asyncio.create_task(make_call(pace, server)) for _ in range(500)]
        await asyncio.sleep(10)
        refused, server.rate = server.refused, 0
        await asyncio.sleep(60)
        refused = server.refused - refused
        await _cancel(calls)
        return refused

    assert 5 <= run(work) <= 30


def test_processes_that_share_a_quota_find_their_shares() -> None:
    server = Quota(rate=20, latency=(0.5, 1.0))
    answered = [0, 0]

    async def count(pace: Pace, index: int) -> None:
        await make_call(pace, server)
        answered[index] += 1

    async def work() -> list[int]:
        paces = [Pace(32), Pace(32)]
        calls = [asyncio.create_task(count(paces[0], 0)) for _ in range(3000)]
        await asyncio.sleep(10)
        calls += [asyncio.create_task(count(paces[1], 1)) for _ in range(3000)]
        await asyncio.sleep(20)
        earlier = list(answered)
        await asyncio.sleep(60)
        shares = [later - before for later, before in zip(answered, earlier, strict=True)]
        await _cancel(calls)
        return shares

    shares = run(work)
    assert sum(shares) >= 0.85 * 20 * 60
    assert min(shares) >= 0.2 * sum(shares)


def test_refusals_of_one_burst_lower_a_limit_once() -> None:
    async def rate_after(refused: int) -> float:
        pace = Pace(64)
        ready, go = asyncio.Event(), asyncio.Event()

        async def call(number: int) -> None:
            await pace.acquire()
            if pace.in_flight == 8:
                ready.set()
            await go.wait()
            pace.release(throttled=number < refused, answered=number >= refused)

        calls = [asyncio.create_task(call(number)) for number in range(8)]
        await ready.wait()
        go.set()
        await asyncio.gather(*calls)
        return pace.rate

    one, six = run(lambda: rate_after(1)), run(lambda: rate_after(6))
    assert one == six < 8


@pytest.mark.parametrize(
    ("asked", "waits"), [(3.0, 3.0), (3600.0, LONGEST_WAIT)], ids=["short", "longer than the cap"]
)
def test_a_wait_that_the_server_asks_for_pauses_everybody(asked: float, waits: float) -> None:
    async def work() -> tuple[float, float]:
        pace = Pace(2)
        await pace.acquire()
        other = asyncio.create_task(_hold(pace, 1.0))
        waiting = [asyncio.create_task(_hold(pace)) for _ in range(3)]
        await asyncio.sleep(0.5)
        pace.release(throttled=True, retry_after=asked)
        refused_at = now()
        await other
        ended = now() - refused_at
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        first = now() - refused_at
        await asyncio.gather(*waiting)
        return ended, first

    ended, first = run(work)
    assert ended == pytest.approx(0.5), "what is in flight goes on"
    assert first == pytest.approx(waits, abs=0.01)


def test_a_call_that_was_never_made_takes_nothing_of_the_rate() -> None:
    async def work() -> float:
        pace = Pace(1)
        for _ in range(100):
            await pace.acquire()
            pace.release()
        return now()

    assert run(work) < 0.5, "at eight a second they would take twelve seconds"


def test_who_waits_is_served_in_order() -> None:
    async def work() -> list[int]:
        pace, served = Pace(2), []

        async def call(number: int) -> None:
            await pace.acquire()
            served.append(number)
            await asyncio.sleep(1 + number % 3)
            pace.release(answered=True)

        await asyncio.gather(*(call(number) for number in range(30)))
        return served

    assert run(work) == list(range(30))


@settings(max_examples=60, deadline=None)
@given(
    most=st.integers(1, 4),
    moments=st.lists(st.one_of(st.none(), st.floats(0, 6)), min_size=1, max_size=25),
    refused=st.sets(st.integers(0, 24)),
)
def test_no_cancellation_loses_a_slot_or_a_turn(
    most: int, moments: list[float | None], refused: set[int]
) -> None:
    """Tasks are cancelled at any moment, or not at all (None): all others are served, in order."""
    served: list[int] = []

    async def call(pace: Pace, number: int) -> None:
        await pace.acquire()
        try:
            assert pace.in_flight <= most
            served.append(number)
            await asyncio.sleep(0.7)
        except BaseException:
            pace.release()
            raise
        if number in refused:
            pace.release(throttled=True)
        else:
            pace.release(answered=True)

    async def work() -> None:
        pace = Pace(most)
        calls = [asyncio.create_task(call(pace, number)) for number in range(len(moments))]
        for task, moment in zip(calls, moments, strict=True):
            if moment is not None:
                asyncio.get_running_loop().call_later(moment, task.cancel)
        await asyncio.wait(calls, timeout=3600)
        assert all(task.done() for task in calls)
        assert (pace.in_flight, pace.waiting) == (0, 0)
        for task, moment in zip(calls, moments, strict=True):
            assert moment is not None or not task.cancelled()
        await pace.acquire()
        pace.release()

    run(work)
    assert served == sorted(served)
    assert {number for number, moment in enumerate(moments) if moment is None} <= set(served)


def test_who_is_cancelled_in_the_moment_of_getting_a_slot_gives_it_back() -> None:
    async def work() -> None:
        pace = Pace(1)
        await pace.acquire()
        first, second = (asyncio.create_task(_hold(pace)) for _ in range(2))
        await until_all_wait()
        assert pace.waiting == 2
        pace.release(answered=True)
        assert pace.in_flight == 1, "it is the first one's already, who does not know yet"
        first.cancel()
        await second
        assert (pace.in_flight, pace.waiting) == (0, 0)

    async def with_a_task_that_goes_on() -> None:
        pace = Pace(1)

        async def stubborn() -> None:
            with pytest.raises(asyncio.CancelledError):
                await pace.acquire()
            await asyncio.sleep(60)

        await pace.acquire()
        waiter = asyncio.create_task(stubborn())
        await until_all_wait()
        pace.release(answered=True)
        waiter.cancel()
        await until_all_wait()
        assert pace.in_flight == 0
        await waiter

    run(work)
    run(with_a_task_that_goes_on)


def test_a_task_that_ends_without_a_word_gives_its_slot_back() -> None:
    async def work() -> None:
        pace = Pace(1)
        await asyncio.create_task(pace.acquire())
        async with asyncio.timeout(1):
            await pace.acquire()
        pace.release()

    run(work)


def test_a_slot_belongs_to_its_task() -> None:
    async def work() -> None:
        pace = Pace(4)
        with pytest.raises(RuntimeError, match="no slot"):
            pace.release()
        await pace.acquire()
        with pytest.raises(RuntimeError, match="already"):
            await pace.acquire()
        with pytest.raises(RuntimeError, match="no slot"):
            await asyncio.create_task(_release(pace))
        pace.release()
        assert pace.in_flight == 0

    run(work)


async def _release(pace: Pace) -> None:
    pace.release()


def test_a_pace_is_one_for_all_who_ask_in_a_loop_and_the_newest_most_counts() -> None:
    async def work() -> Pace:
        pace = pace_for(("c", "m"), 2)
        assert pace_for(("c", "m"), 2) is pace
        assert pace_for(("c", "other"), 2) is not pace
        calls = [asyncio.create_task(_hold(pace, 60)) for _ in range(4)]
        await until_all_wait()
        assert (pace.in_flight, pace.waiting) == (2, 2)
        assert pace_for(("c", "m"), 3) is pace
        assert (pace.in_flight, pace.waiting, pace.width) == (3, 1, 3)
        pace_for(("c", "m"), 1)
        await asyncio.sleep(61)
        assert (pace.in_flight, pace.waiting) == (1, 0), "the last one alone"
        await asyncio.gather(*calls)
        return pace

    assert run(work) is not run(work)


def test_what_was_found_stays_when_more_is_allowed() -> None:
    async def work() -> list[tuple[int, int]]:
        pace, found = Pace(32), []
        server = Quota(width=5, latency=(2, 2))
        calls = [asyncio.create_task(make_call(pace, server)) for _ in range(100)]
        while not all(call.done() for call in calls):
            await asyncio.sleep(0.1)
            before = pace.width
            pace.allow(64 if pace.width < 32 else 32)
            found.append((before, pace.width))
            pace.allow(32)
        return found

    found = run(work)
    assert all(after <= 1.3 * before + 1 for before, after in found), (
        "no more than a tenth of a second's growth"
    )
    assert min(after for _, after in found) < 10


def test_paces_of_models_that_nobody_calls_are_forgotten() -> None:
    async def work() -> None:
        used = pace_for(("c", "used"), 2)
        await used.acquire()
        for number in range(3 * pace_module._MOST_PACES):
            pace_for(("c", str(number)), 2)
        assert pace_for(("c", "used"), 2) is used
        assert len(pace_module._paces[asyncio.get_running_loop()]) <= pace_module._MOST_PACES

    run(work)
    gc.collect()
    assert not [loop for loop in pace_module._paces if loop.is_closed()], (
        "a pace must not keep its loop alive"
    )


def test_slowing_down_is_told_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger=pace_module.__name__)

    async def work() -> float:
        return await makespan(Pace(32, "Connection 'c', model 'm'"), Quota(rate=5, latency=(0.2, 0.2)), 350)

    minutes = run(work) / 60
    assert 1 <= len(caplog.messages) <= minutes + 1
    assert caplog.messages[0].startswith("Connection 'c', model 'm': slowed down to")


async def _cancel(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
