from __future__ import annotations

import asyncio

import anthropic

from chassis.local.simulator import ACCESS_KEY, SECRET_KEY, SimulatorControl
from tests.integration.local.simulator.calls import answer_of, task_call

CALLS = 50


def test_fifty_calls_are_answered_side_by_side(control: SimulatorControl) -> None:
    control.set_latency(60)  # until all have come, however slow this machine is

    async def ask_all() -> list[anthropic.types.Message]:
        async with anthropic.AsyncAnthropicBedrock(
            base_url=control.url,
            aws_access_key=ACCESS_KEY,
            aws_secret_key=SECRET_KEY,
            aws_region="eu-central-1",
            max_retries=0,
        ) as sdk:
            asked = [asyncio.create_task(_ask(sdk, number)) for number in range(CALLS)]
            await asyncio.to_thread(control.wait_for_requests, CALLS, timeout=30)
            await asyncio.to_thread(control.set_latency, 0)
            return await asyncio.gather(*asked)

    for number, message in enumerate(asyncio.run(ask_all())):
        assert answer_of(message)["summary"] == f"[simulated] {number} + 1 = {number + 1}"
    entries = control.requests()
    assert sorted(entry["in_flight"] for entry in entries) == [*range(1, CALLS + 1)]
    assert {entry["peak"] for entry in entries} == {CALLS}
    assert control.peak_in_flight(task="add_numbers") == CALLS


async def _ask(sdk: anthropic.AsyncAnthropicBedrock, number: int) -> anthropic.types.Message:
    call = task_call(results=(("identify_numbers", None, f"Numbers: {number}, 1"),))
    if number % 2:
        return await sdk.messages.create(**call)
    async with sdk.messages.stream(**call) as events:
        return await events.get_final_message()
