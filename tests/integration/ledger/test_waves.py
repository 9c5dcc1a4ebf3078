"""A wave of calls against the simulator: what it writes to the prompt cache, what it reads, and whom it holds up."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from chassis.agents import AgentDefinition
from chassis.claude import waves
from chassis.claude.answer_forms import MEMORY
from chassis.claude.prices import cost_usd
from chassis.contract.spending import RunLimits
from chassis.contract.usage import Usage
from chassis.errors import ServiceFaultError
from chassis.settings import Settings
from chassis.work.brief import Sharing, TaskBrief
from chassis.work.engine import do_task
from chassis.workflow import TaskSpec
from tests.integration.claude.wire import MODEL
from tests.integration.ledger.test_paid_calls import Tasks, identity

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from chassis.local.simulator import Simulator, SimulatorControl
    from tests.integration.claude.conftest import Connect

WIDE = 7
LONG = "A customer may cancel within 30 days. " * 700  # some 6,700 tokens; Opus 4.6 keeps 4,096 or more


@pytest.fixture
def tasks(tmp_path: Path, connect: Connect, simulator: Simulator, control: SimulatorControl) -> Tasks:
    connect.to(simulator.url, claude={"max_retries": 0})
    return Tasks(tmp_path / "records", RunLimits())


async def review(tasks: Tasks, client: Any, item: str, requirement: str) -> Usage:
    brief = TaskBrief(
        task=TaskSpec(id="review", name="Review", instruction="Review {item}."),
        agent=AgentDefinition(name="reviewer", description="Reviews.", prompt="You review."),
        model=MODEL,
        context_chars=Settings().context_chars,
        requirement=requirement,
        item=item,
        sharing=Sharing(wave=True),
    )
    calls = await tasks.calls(client, identity(item))
    done = await do_task(
        calls.ask, brief.request(), task_id="review", item=item, output_schema=None, repairs=0
    )
    return done.usage


def wave(tasks: Tasks, requirement: str = LONG) -> list[Usage | BaseException]:
    async def all_at_once(client: Any) -> list[Usage | BaseException]:
        ones = [review(tasks, client, f"service_{number}", requirement) for number in range(WIDE)]
        return await asyncio.gather(*ones, return_exceptions=True)

    return tasks.run(all_at_once)


def summed(usages: list[Usage | BaseException]) -> Usage:
    return sum((usage for usage in usages if isinstance(usage, Usage)), Usage())


def test_seven_calls_write_once_and_read_six_times(
    tasks: Tasks, control: SimulatorControl, figure: Callable[[str], None]
) -> None:
    control.set_latency(0.3)
    usages = wave(tasks)
    used = summed(usages)
    written = used.cache_write_tokens
    assert sum(usage.cache_write_tokens > 0 for usage in usages if isinstance(usage, Usage)) == 1
    assert used.cache_read_tokens == (WIDE - 1) * written
    figure(
        f"a wave of {WIDE}, {MODEL}: {written:,} tokens written, {used.cache_read_tokens:,} read, "
        f"{used.input_tokens:,} neither; ${cost_usd(MODEL, used):.4f}"
    )


def test_a_wave_without_a_breakpoint_goes_out_at_once(tasks: Tasks, control: SimulatorControl) -> None:
    control.set_latency(3)
    wave(tasks, "Review them.")
    started = [entry["started"] for entry in control.requests()]
    assert max(started) - min(started) < 2.4, "all have come before the first answer"


def test_who_waits_holds_no_slot_and_no_entry(
    tasks: Tasks, control: SimulatorControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    came: list[float] = []
    wait = waves._Waves.wait

    async def counted(self: waves._Waves, prefixes: Sequence[str], until: float) -> None:
        came.append(until)
        await wait(self, prefixes, until)

    async def look(client: Any) -> tuple[int, int, int]:
        ones = [asyncio.create_task(review(tasks, client, f"service_{n}", LONG)) for n in range(WIDE)]
        await asyncio.to_thread(control.wait_for_requests, 1)
        while len(came) < WIDE:
            await asyncio.sleep(0.01)
        calls = await tasks.calls(client, identity("look"))
        found = (calls.pace.in_flight, calls.pace.waiting, (await calls.gate.totals()).open_calls)
        await asyncio.gather(*ones)
        return found

    monkeypatch.setattr(waves._Waves, "wait", counted)
    control.set_latency(3)
    assert tasks.run(look) == (1, 0, 1)


def test_a_wave_whose_first_call_is_slow_is_held_no_longer_than_the_bound(
    tasks: Tasks, control: SimulatorControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waves, "PATIENCE", 0.3)
    control.set_latency(5)
    begun = time.monotonic()
    assert len([usage for usage in wave(tasks) if isinstance(usage, Usage)]) == WIDE
    assert time.monotonic() - begun < 8.75, "two in a row would take ten seconds"


def test_a_first_call_that_fails_hands_over_to_one_of_the_others(
    tasks: Tasks, control: SimulatorControl
) -> None:
    control.set_latency(0.2)
    control.add_fault("internal", times=1)
    usages = wave(tasks)
    assert [type(usage) for usage in usages if not isinstance(usage, Usage)] == [ServiceFaultError]
    used = summed(usages)
    assert used.cache_read_tokens == (WIDE - 2) * used.cache_write_tokens > 0


def test_a_form_that_the_model_refuses_is_not_refused_to_one_after_the_other(
    tasks: Tasks, control: SimulatorControl
) -> None:
    control.set_latency(1)
    control.add_fault("no_structured_output")
    try:
        used = summed(wave(tasks))
    finally:
        MEMORY._taken.clear()
    assert used.calls == WIDE
    assert used.cache_read_tokens == (WIDE - 1) * used.cache_write_tokens > 0
    refused = [entry["started"] for entry in control.requests(status=400)]
    assert len(refused) == WIDE
    assert max(refused) - min(refused) < 4, "one after the other takes six seconds"


def test_a_first_call_that_is_cancelled_hands_over_to_one_of_the_others(
    tasks: Tasks, control: SimulatorControl
) -> None:
    async def cancelled(client: Any) -> list[Usage | BaseException]:
        ones = [asyncio.create_task(review(tasks, client, f"service_{n}", LONG)) for n in range(WIDE)]
        await asyncio.to_thread(control.wait_for_requests, 1)
        (first,) = control.requests()
        ones[int(first["item"].rpartition("_")[2])].cancel()
        return await asyncio.gather(*ones, return_exceptions=True)

    control.set_latency(0.5)
    usages = tasks.run(cancelled)
    assert sum(isinstance(usage, asyncio.CancelledError) for usage in usages) == 1
    used = summed(usages)
    assert used.cache_read_tokens == (WIDE - 2) * used.cache_write_tokens > 0
