"""The prompt cache over HTTP: when an entry can be read, and from what length on there is one."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from chassis.local.simulator.model_files import known_models
from tests.integration.local.simulator.calls import client, send, task_call

if TYPE_CHECKING:
    import anthropic

    from chassis.local.simulator import SimulatorControl

WAVE = 4


def wave_call(task_id: str, *, characters: int = 40_000) -> dict[str, Any]:
    """A task's call whose shared part is long enough to be cached, or not."""
    call = task_call(task_id)
    shared = call["messages"][0]["content"][0]
    shared["text"] += "\n" + "What all tasks share. " * (characters // 22)
    return call


def cached(usage: anthropic.types.Usage) -> tuple[bool, bool]:
    """Whether the call wrote to the cache, and whether it read from it."""
    return bool(usage.cache_creation_input_tokens), bool(usage.cache_read_input_tokens)


def test_usage_counts_the_prompt_cache(sdk: anthropic.AnthropicBedrock, stream: bool) -> None:
    first = send(sdk, wave_call("add_numbers"), stream=stream).usage
    second = send(sdk, wave_call("report_result"), stream=stream).usage
    assert (cached(first), cached(second)) == ((True, False), (False, True))
    assert second.cache_read_input_tokens == first.cache_creation_input_tokens
    assert first.input_tokens > 20


def test_a_short_prompt_is_not_cached(sdk: anthropic.AnthropicBedrock, stream: bool) -> None:
    usages = [send(sdk, wave_call("add_numbers", characters=8_000), stream=stream).usage for _ in range(2)]
    assert [cached(usage) for usage in usages] == [(False, False)] * 2, "Opus 4.6 wants 4,096 tokens"


@pytest.mark.parametrize("family", known_models())
def test_the_least_length_is_the_models_own(
    sdk: anthropic.AnthropicBedrock, control: SimulatorControl, family: str
) -> None:
    minimum = known_models()[family].cache_minimum
    control.play(plays=family, format="taken")

    def writes(tokens: int) -> bool:
        return cached(send(sdk, wave_call(f"of_{tokens}", characters=tokens * 4), stream=False).usage)[0]

    assert (writes(minimum - 200), writes(minimum)) == (False, True)


def test_calls_side_by_side_all_write_what_they_share(
    sdk: anthropic.AnthropicBedrock, control: SimulatorControl
) -> None:
    control.set_latency(60)
    with ThreadPoolExecutor(WAVE) as pool:
        calls = [pool.submit(send, sdk, wave_call(f"task_{number}"), stream=True) for number in range(WAVE)]
        control.wait_for_requests(WAVE)
        control.set_latency(0)
        assert [cached(call.result().usage) for call in calls] == [(True, False)] * WAVE
    assert cached(send(sdk, wave_call("later"), stream=True).usage) == (False, True)


def test_an_entry_can_be_read_once_its_answer_has_begun(
    sdk: anthropic.AnthropicBedrock, control: SimulatorControl
) -> None:
    control.add_fault("stall", task="first")  # in the middle of its stream
    with client(control.url).messages.stream(**wave_call("first")) as first:
        assert next(iter(first)).type == "message_start"
        assert cached(send(sdk, wave_call("second"), stream=True).usage) == (False, True)


def test_a_refused_call_writes_nothing(sdk: anthropic.AnthropicBedrock, control: SimulatorControl) -> None:
    control.add_fault("overloaded", times=1)
    with client(control.url) as impatient, pytest.raises(Exception, match="Overloaded"):
        send(impatient, wave_call("first"), stream=True)
    assert cached(send(sdk, wave_call("second"), stream=True).usage) == (True, False)


def test_tasks_with_other_schemas_share_nothing_where_the_schema_constrains_decoding(
    sdk: anthropic.AnthropicBedrock,
) -> None:
    other = wave_call("other")
    schema = json.loads(json.dumps(other["output_config"]["format"]["schema"]))
    schema["properties"]["summary"]["description"] = "In one line."
    other["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
    usages = [send(sdk, call, stream=True).usage for call in (wave_call("one"), other, wave_call("two"))]
    assert [cached(usage) for usage in usages] == [(True, False), (True, False), (False, True)]
