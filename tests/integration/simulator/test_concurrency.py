# ruff: noqa: TID253 - tests may import what DAG parsing may not
from __future__ import annotations

import asyncio
import time

import anthropic

from chassis.simulator import ACCESS_KEY, SECRET_KEY, SimulatorControl
from tests.integration.simulator.calls import answer_of, task_call

CALLS = 50


def test_fifty_calls_are_answered_side_by_side(control: SimulatorControl) -> None:
    control.set_latency(2.0)

    async def ask_all() -> list[anthropic.types.Message]:
        async with anthropic.AsyncAnthropicBedrock(
            base_url=control.url,
            aws_access_key=ACCESS_KEY,
            aws_secret_key=SECRET_KEY,
            aws_region="eu-central-1",
            max_retries=0,
        ) as sdk:
            return await asyncio.gather(*(_ask(sdk, number) for number in range(CALLS)))

    started = time.monotonic()
    messages = asyncio.run(ask_all())
    seconds = time.monotonic() - started

    for number, message in enumerate(messages):
        assert answer_of(message)["summary"] == f"[simulated] {number} + 1 = {number + 1}"
    entries = control.requests()
    assert max(entry["in_flight"] for entry in entries) == CALLS
    assert {entry["peak"] for entry in entries} == {CALLS}
    assert control.peak_in_flight(task="add_numbers") == CALLS
    assert seconds < 8, f"{CALLS} calls of 2 s took {seconds:.1f} s"


async def _ask(sdk: anthropic.AsyncAnthropicBedrock, number: int) -> anthropic.types.Message:
    call = task_call(results=(("identify_numbers", None, f"Numbers: {number}, 1"),))
    if number % 2:
        return await sdk.messages.create(**call)
    async with sdk.messages.stream(**call) as events:
        return await events.get_final_message()
