"""The simulator's quota, given usages, and how the log tells of a client that leaves."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import anthropic
import pytest

from chassis.local.simulator import ACCESS_KEY, SECRET_KEY, Quota, Simulator, SimulatorControl, SimulatorError
from tests.integration.local.simulator.calls import answer_of, client, plan_call, send, task_call
from tests.integration.local.simulator.test_program import program

if TYPE_CHECKING:
    from pathlib import Path


def test_more_at_once_than_the_quota_is_refused_and_logged_as_such(
    sdk: anthropic.AnthropicBedrock, control: SimulatorControl
) -> None:
    control.set_quota(in_flight=2)
    control.set_latency(60)
    with ThreadPoolExecutor(2) as pool:
        answers = [pool.submit(send, sdk, task_call(), stream=True) for _ in range(2)]
        control.wait_for_requests(2)
        with pytest.raises(anthropic.RateLimitError) as refused:
            send(sdk, task_call(), stream=True)
        control.set_latency(0)
        assert [answer.result().model for answer in answers] == ["simulated"] * 2
    assert refused.value.response.headers["x-amzn-errortype"].startswith("ThrottlingException:")
    assert "retry-after" not in refused.value.response.headers
    send(sdk, task_call(), stream=True)
    assert [entry["status"] for entry in control.requests()] == [200, 200, 429, 200]
    assert control.peak_in_flight(status=200) == 2


def test_more_in_a_second_than_the_quota_is_refused_and_uses_up_no_fault(
    sdk: anthropic.AnthropicBedrock, control: SimulatorControl
) -> None:
    control.add_fault("blocked", times=3)
    control.set_quota(requests_per_second=2, retry_after=0.5)
    with ThreadPoolExecutor(20) as pool:
        calls = [pool.submit(send, sdk, task_call(), stream=True) for _ in range(20)]
        failures = [call.exception() for call in calls]
    refused = [error for error in failures if isinstance(error, anthropic.RateLimitError)]
    entries = control.requests(status=429)
    assert len(refused) == len(entries) >= 1
    assert refused[0].response.headers["retry-after"] == "0.5"
    assert {entry["fault"] for entry in entries} == {None}
    blocked = control.requests(fault="blocked")
    assert len(blocked) == min(3, 20 - len(refused)), "the first that are admitted, however many are refused"


def test_a_call_reserves_its_prompt_and_max_tokens_and_gives_back_what_it_did_not_take(
    sdk: anthropic.AnthropicBedrock, control: SimulatorControl
) -> None:
    control.set_quota(tokens_per_minute=3_000)
    control.set_latency(60)
    with ThreadPoolExecutor(2) as pool:
        answers = [pool.submit(send, sdk, task_call(item=item), stream=True) for item in ("a", "b")]
        control.wait_for_requests(2)
        with pytest.raises(anthropic.RateLimitError, match="Too many tokens, please wait") as refused:
            send(sdk, task_call(), stream=True)
        control.set_latency(0)
        took = [answer.result().usage.output_tokens for answer in answers]
    assert "retry-after" not in refused.value.response.headers
    assert max(took) < 100, "each had reserved 1,000 tokens of output"
    send(sdk, task_call(), stream=True)
    with pytest.raises(anthropic.RateLimitError, match="Too many tokens, please wait"):
        send(sdk, task_call() | {"max_tokens": 3_000}, stream=True)


@pytest.mark.parametrize(
    ("quota", "words"),
    [({"tokens_per_minute": 1}, "Rate limited"), ({"tokens_per_day": 1}, "Too many tokens per day")],
)
def test_a_newer_model_tells_of_a_quota_in_the_first_frame_of_a_stream(
    sdk: anthropic.AnthropicBedrock, control: SimulatorControl, quota: dict[str, int], words: str
) -> None:
    control.set_quota(**quota)
    call = task_call(form="tool") | {"model": "global.anthropic.claude-opus-4-7"}
    with pytest.raises(anthropic.APIStatusError, match=words) as refused:
        send(sdk, call, stream=True)
    assert isinstance(refused.value.body, dict)
    assert (refused.value.status_code, refused.value.body["error"]["type"]) == (200, "rate_limit_error")
    with pytest.raises(anthropic.RateLimitError) as whole:
        send(sdk, call, stream=False)
    assert whole.value.response.headers["x-amzn-errortype"].startswith("ThrottlingException:")


def test_a_reset_goes_back_to_the_quota_of_the_start(control: SimulatorControl, tmp_path: Path) -> None:
    none = dict.fromkeys(Quota.model_fields)
    control.set_quota(requests_per_second=1, in_flight=2)
    assert control.health()["quota"] == none | {"requests_per_second": 1, "in_flight": 2}
    control.reset()
    assert control.health()["quota"] == none
    with pytest.raises(SimulatorError, match="in_flight: Input should be greater than or equal to 1"):
        control.set_quota(in_flight=0)
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text("quota: {in_flight: 7}")
    for given, expected in ((None, 5), (scenario, 7)):
        with Simulator(quota=Quota(in_flight=5), scenario=given) as running:
            running.control.set_quota()
            running.control.reset()
            assert running.control.health()["quota"] == none | {"in_flight": expected}


def test_the_program_takes_a_quota() -> None:
    with program("--requests-per-second", "3", "--in-flight", "2") as (_, url):
        quota = SimulatorControl(url).health()["quota"]
    assert (quota["requests_per_second"], quota["in_flight"]) == (3, 2)


def test_the_tokens_of_an_answer_can_be_given(
    sdk: anthropic.AnthropicBedrock, control: SimulatorControl, stream: bool
) -> None:
    control.add_answer({"summary": "Found."}, form="result", usage=(1_000, 200), task="discover")
    control.add_usage(50, 7, kind="plan", times=1)
    control.add_usage(9, 3, task="add_numbers")
    given = send(sdk, task_call("discover", "Find."), stream=stream)
    assert (given.usage.input_tokens, given.usage.output_tokens) == (1_000, 200)
    assert answer_of(given)["summary"] == "Found."
    own = [send(sdk, task_call(), stream=stream) for _ in range(2)]
    assert [(call.usage.input_tokens, call.usage.output_tokens) for call in own] == [(9, 3)] * 2
    assert {call.usage.cache_read_input_tokens for call in own} == {0}, "a known price has no cache in it"
    assert "5 + 3 = 8" in answer_of(own[0])["summary"], "the simulator's own answer"
    plans = [send(sdk, plan_call(), stream=stream).usage for _ in range(2)]
    assert (plans[0].input_tokens, plans[0].output_tokens) == (50, 7)
    assert plans[1].input_tokens > 50, "counted again"


def ended(control: SimulatorControl) -> dict[str, Any]:
    """The only entry, as soon as it has ended."""
    deadline = time.monotonic() + 10
    while (entry := control.requests()[0])["ended"] is None:
        assert time.monotonic() < deadline, "the request goes on and on"
        time.sleep(0.01)
    return entry


@pytest.mark.parametrize("moment", ["before the answer", "in the middle of the answer"])
def test_a_client_that_leaves_is_told_with_the_time(control: SimulatorControl, moment: str) -> None:
    if moment == "before the answer":
        control.set_latency(60)
    else:
        control.add_fault("stall")

    async def leave() -> None:
        async with anthropic.AsyncAnthropicBedrock(
            base_url=control.url,
            aws_access_key=ACCESS_KEY,
            aws_secret_key=SECRET_KEY,
            aws_region="eu-central-1",
            max_retries=0,
        ) as sdk:
            call = asyncio.create_task(_read(sdk))
            entry = (await asyncio.to_thread(control.wait_for_requests, 1))[0]
            assert (entry["disconnected"], entry["ended"]) == (False, None)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call

    asyncio.run(leave())
    entry = ended(control)
    assert entry["disconnected"] is True
    assert entry["started"] < entry["ended"]
    assert entry["status"] == (None if moment == "before the answer" else 200)


async def _read(sdk: anthropic.AsyncAnthropicBedrock) -> None:
    async with sdk.messages.stream(**task_call()) as events:
        await events.get_final_message()


@pytest.mark.parametrize("cause", ["a whole answer", "an error", "a reset", "a stall", "a truncation"])
def test_a_client_that_stays_is_not_told_as_gone(
    sdk: anthropic.AnthropicBedrock, control: SimulatorControl, stream: bool, cause: str
) -> None:
    faults = {"an error": "internal", "a reset": "reset", "a stall": "stall", "a truncation": "truncate"}
    if cause in faults:
        control.add_fault(faults[cause], seconds=0.1)
    with ThreadPoolExecutor(1) as pool:
        call: Future[Any] = pool.submit(send, sdk, task_call(), stream=stream)
        failed = call.exception() is not None
    assert ended(control)["disconnected"] is False
    if cause in ("an error", "a reset", "a stall"):
        assert failed, "or the fault never happened"


def test_a_server_that_stops_is_not_taken_for_its_client(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    stopping = Simulator(latency=60, log_file=log).start()
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(send, client(stopping.url), task_call(), stream=True)
        stopping.control.wait_for_requests(1)
        stopping.stop()
        assert isinstance(call.exception(), anthropic.APIConnectionError)
    assert '"disconnected": false' in log.read_text()
