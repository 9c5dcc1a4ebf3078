"""Every fault that the simulator can play, and what a caller that leaves, waits or hurries gets."""

from __future__ import annotations

import asyncio
import json
import logging
import pickle
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import pytest

from chassis.claude.conversation import ClaudeAnswer, converse
from chassis.claude.reply import call_once
from chassis.errors import (
    ClaudeError,
    StreamBrokenError,
)
from tests.integration.claude.wire import PROMPT, a_request

if TYPE_CHECKING:
    from chassis.local.simulator import Simulator, SimulatorControl
    from tests.integration.claude.conftest import Connect

WithClient = Callable[[Callable[[Any], Awaitable[Any]]], Any]


def ask(connect: Connect, with_client: WithClient, simulator: Simulator, **claude: Any) -> Any:
    connect.to(simulator.url, claude=claude)
    return with_client(
        lambda client: converse(
            partial(call_once, client, subject="a test"), a_request(), check=lambda data: [], repairs=0
        )
    )


FAULTS = [
    ("throttle", "ThrottledError"),
    ("too_many_tokens", "ThrottledError"),
    ("tokens_per_day", "DailyQuotaError"),
    ("model_not_ready", "CongestedError"),
    ("too_many_connections", "CongestedError"),
    ("internal", "ServiceFaultError"),
    ("unavailable", "CongestedError"),
    ("overloaded", "CongestedError"),
    ("model_error", "ServiceFaultError"),
    ("access_denied", "AccessDeniedError"),
    ("expired_token", "CredentialsRefusedError"),
    ("unknown_model", "ModelNotFoundError"),
    ("on_demand", "ModelNotFoundError"),
    ("use_case", "AccessDeniedError"),
    ("marketplace", "AccessDeniedError"),
    ("agreement_pending", "AccessPendingError"),
    ("legacy", "AccessDeniedError"),
    ("not_for_account", "AccessDeniedError"),
    ("not_allowed", "AccessDeniedError"),
    ("data_retention", "AccessDeniedError"),
    ("bearer_key", "CredentialsRefusedError"),
    ("clock", "CredentialsRefusedError"),
    ("stall", "StreamBrokenError"),
    ("reset", "StreamBrokenError"),
    ("truncate", "StreamBrokenError"),
    ("exception_frame", "ThrottledError"),
    ("malformed_json", "AnswerInvalidError"),
    ("wrong_schema", "AnswerInvalidError"),
    ("max_tokens", "AnswerTruncatedError"),
    ("refusal", "ModelRefusalError"),
]


@pytest.mark.parametrize(("fault", "expected"), FAULTS)
def test_each_fault_of_the_simulator_is_one_clear_error_with_nothing_repeated(
    connect: Connect,
    with_client: WithClient,
    simulator: Simulator,
    control: SimulatorControl,
    caplog: pytest.LogCaptureFixture,
    fault: str,
    expected: str,
) -> None:
    control.add_fault(fault)
    caplog.set_level(logging.DEBUG)
    with pytest.raises(ClaudeError) as caught:
        ask(connect, with_client, simulator, timeout_seconds=0.5, max_retries=2)
    error = caught.value
    assert type(error).__name__ == expected
    # The client repeats nothing unseen: who makes a call counts and repeats it. What constrained decoding doesn't end
    # is asked for in one more form.
    entries = control.requests()
    assert len(entries) == (2 if fault == "max_tokens" else 1)
    assert error.request_id == entries[-1]["request_id"]
    assert error.__cause__ is None
    assert error.__context__ is None
    for form in (pickle.dumps(error), json.dumps(error.describe()).encode(), caplog.text.encode()):
        assert b"AWS4-HMAC" not in form
        assert PROMPT.encode() not in form, "nothing logs or keeps a prompt"


ANYWHERE = [
    *("throttle", "overloaded", "internal", "access_denied", "unknown_model", "on_demand", "use_case"),
    *("marketplace", "agreement_pending", "legacy", "not_for_account", "not_allowed", "data_retention"),
]


@pytest.mark.parametrize("in_stream", [False, True], ids=["status", "stream"])
@pytest.mark.parametrize("form", ["aws", "anthropic"])
@pytest.mark.parametrize("fault", ANYWHERE)
def test_a_refusal_means_the_same_in_either_shape_before_and_inside_a_stream(
    connect: Connect,
    with_client: WithClient,
    simulator: Simulator,
    control: SimulatorControl,
    fault: str,
    form: Literal["aws", "anthropic"],
    in_stream: bool,
) -> None:
    control.add_fault(fault, form=form, in_stream=in_stream)
    with pytest.raises(ClaudeError) as caught:
        ask(connect, with_client, simulator)
    assert type(caught.value).__name__ == dict(FAULTS)[fault]
    assert not caught.value.usage, "a refusal costs nothing"
    assert len(control.requests()) == 1


def test_a_refusal_of_claudes_keeps_what_it_said(
    connect: Connect, with_client: WithClient, simulator: Simulator, control: SimulatorControl
) -> None:
    control.add_fault("refusal")
    with pytest.raises(ClaudeError, match="Refused on demand"):
        ask(connect, with_client, simulator)


def test_all_faults_of_the_simulator_are_tried() -> None:
    from chassis.local.simulator.scenario import fault_names

    elsewhere = {"no_structured_output", "wrong_plan", "blocked"}
    assert {fault for fault, _ in FAULTS} | elsewhere == set(fault_names())


def test_a_model_that_refuses_constrained_decoding_is_asked_through_a_tool_from_then_on(
    connect: Connect, with_client: WithClient, simulator: Simulator, control: SimulatorControl
) -> None:
    control.add_fault("no_structured_output", times=1)
    request = a_request(model="us.anthropic.claude-opus-4-5-20251101-v1:0")
    connect.to(simulator.url)

    async def twice(client: Any) -> list[ClaudeAnswer]:
        return [
            await converse(
                partial(call_once, client, subject="a test"), request, check=lambda data: [], repairs=0
            )
            for _ in range(2)
        ]

    answers = with_client(twice)
    assert [answer.usage.calls for answer in answers] == [1, 1]
    assert all(answer.simulated for answer in answers)
    assert [entry["status"] for entry in control.requests()] == [400, 200, 200]
    assert [("tools" in entry["body"]) for entry in control.requests()] == [False, True, True]


def test_a_stalled_stream_is_given_up_after_the_connections_timeout(
    connect: Connect, with_client: WithClient, simulator: Simulator, control: SimulatorControl
) -> None:
    control.add_fault("stall")
    started = time.monotonic()
    with pytest.raises(StreamBrokenError, match="stopped in the middle"):
        ask(connect, with_client, simulator, timeout_seconds=0.5)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("moment", ["before the answer", "in the middle of the answer"])
def test_cancelling_closes_the_connection_within_a_second(
    connect: Connect, with_client: WithClient, simulator: Simulator, control: SimulatorControl, moment: str
) -> None:
    if moment == "before the answer":
        control.set_latency(60)
    else:
        control.add_fault("stall")
    connect.to(simulator.url)

    async def cancelled(client: Any) -> float:
        call = asyncio.create_task(
            converse(
                partial(call_once, client, subject="a test"), a_request(), check=lambda data: [], repairs=0
            )
        )
        await asyncio.to_thread(control.wait_for_requests, 1)
        started = time.monotonic()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        while control.requests()[0]["ended"] is None and time.monotonic() - started < 5:
            await asyncio.sleep(0.01)
        return time.monotonic() - started

    assert with_client(cancelled) < 1.0


def test_many_calls_share_a_loop_without_holding_it_up(
    connect: Connect, with_client: WithClient, simulator: Simulator, control: SimulatorControl
) -> None:
    control.set_latency(1.0)
    connect.to(simulator.url)

    async def many(client: Any) -> float:
        started = time.monotonic()
        await asyncio.gather(
            *(
                converse(
                    partial(call_once, client, subject="a test"),
                    a_request(),
                    check=lambda data: [],
                    repairs=0,
                )
                for _ in range(30)
            )
        )
        return time.monotonic() - started

    assert with_client(many) < 10, "one after the other takes 30 s"
    assert control.peak_in_flight() == 30
