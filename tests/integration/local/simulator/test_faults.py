"""Every fault in both wire forms, as the real SDK sees it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Literal

import anthropic
import httpx2
import jsonschema
import pytest

from chassis.local.simulator.scenario import fault_names
from tests.integration.local.simulator.calls import (
    PLAN_SCHEMA,
    RESULT_SCHEMA,
    Form,
    answer_of,
    client,
    plan_call,
    send,
    task_call,
)

if TYPE_CHECKING:
    from chassis.local.simulator import SimulatorControl

ERRORS = {
    "throttle": (429, "ThrottlingException", anthropic.RateLimitError),
    "internal": (500, "InternalServerException", anthropic.InternalServerError),
    "unavailable": (503, "ServiceUnavailableException", anthropic.InternalServerError),
    "overloaded": (529, "OverloadedException", anthropic.InternalServerError),
    "too_many_tokens": (429, "ThrottlingException", anthropic.RateLimitError),
    "tokens_per_day": (429, "ThrottlingException", anthropic.RateLimitError),
    "too_many_connections": (503, "ServiceUnavailableException", anthropic.InternalServerError),
    "model_not_ready": (429, "ModelNotReadyException", anthropic.RateLimitError),
    "model_error": (424, "ModelErrorException", anthropic.APIStatusError),
    "access_denied": (403, "AccessDeniedException", anthropic.PermissionDeniedError),
    "expired_token": (403, "ExpiredTokenException", anthropic.PermissionDeniedError),
    "unknown_model": (400, "ValidationException", anthropic.BadRequestError),
    "use_case": (404, "ResourceNotFoundException", anthropic.NotFoundError),
    "marketplace": (403, "AccessDeniedException", anthropic.PermissionDeniedError),
    "agreement_pending": (403, "MPAgreementBeingCreated", anthropic.PermissionDeniedError),
    "legacy": (404, "ResourceNotFoundException", anthropic.NotFoundError),
    "not_for_account": (403, "AccessDeniedException", anthropic.PermissionDeniedError),
    "not_allowed": (400, "ValidationException", anthropic.BadRequestError),
    "data_retention": (400, "ValidationException", anthropic.BadRequestError),
    "on_demand": (400, "ValidationException", anthropic.BadRequestError),
    "bearer_key": (403, "AccessDeniedException", anthropic.PermissionDeniedError),
    "clock": (403, "InvalidSignatureException", anthropic.PermissionDeniedError),
    "no_structured_output": (400, "ValidationException", anthropic.BadRequestError),
}
ANSWERS = {"malformed_json", "wrong_schema", "wrong_plan", "max_tokens", "refusal", "blocked"}
CONNECTIONS = {"stall", "reset", "truncate", "exception_frame"}


def test_every_fault_is_tested_here() -> None:
    assert {*ERRORS, *ANSWERS, *CONNECTIONS} == set(fault_names())


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_fault_is_that_error_in_awss_shape(
    sdk: anthropic.AnthropicBedrock, control: SimulatorControl, stream: bool, name: str
) -> None:
    status, error_type, error_class = ERRORS[name]
    control.add_fault(name, times=1)
    with pytest.raises(error_class) as raised:
        send(sdk, task_call(), stream=stream)
    assert raised.value.status_code == status
    assert raised.value.response.headers["x-amzn-errortype"].split(":")[0] == error_type
    assert raised.value.response.json()["message"]
    assert "retry-after" not in raised.value.response.headers
    (entry,) = control.requests()
    assert (entry["fault"], entry["status"], entry["usage"], entry["task"]) == (
        name,
        status,
        None,
        "add_numbers",
    )
    assert answer_of(send(sdk, task_call(), stream=stream))["status"] == "completed", "it was to happen once"


def test_an_error_can_have_anthropics_shape(
    sdk: anthropic.AnthropicBedrock, control: SimulatorControl, stream: bool
) -> None:
    control.add_fault("legacy", form="anthropic")
    with pytest.raises(anthropic.NotFoundError) as raised:
        send(sdk, task_call(), stream=stream)
    assert raised.value.response.json()["error"]["type"] == "not_found_error"
    assert "x-amzn-errortype" not in raised.value.response.headers


@pytest.mark.parametrize("form", ["aws", "anthropic"])
def test_an_error_can_come_as_the_first_frame_of_a_stream(
    sdk: anthropic.AnthropicBedrock, control: SimulatorControl, form: Literal["aws", "anthropic"]
) -> None:
    control.add_fault("throttle", form=form, in_stream=True)
    with pytest.raises(anthropic.APIStatusError) as raised:
        send(sdk, task_call(), stream=True)
    assert raised.value.status_code == 200
    assert isinstance(raised.value.body, dict)
    named = {"aws": "throttlingException", "anthropic": "rate_limit_error"}
    assert raised.value.body["error"]["type"] == named[form]
    (entry,) = control.requests()
    assert (entry["status"], entry["usage"]) == (200, None)


def test_a_throttle_can_say_how_long_to_wait_and_the_sdk_waits(control: SimulatorControl) -> None:
    control.add_fault("throttle", times=1, retry_after=1)  # longer than the SDK's own first wait
    send(client(control.url, retries=1), task_call(), stream=True)
    refused, answered = control.requests()
    assert (refused["status"], answered["status"]) == (429, 200)
    assert answered["started"] - refused["ended"] >= 1


def test_the_servers_words_can_be_given(sdk: anthropic.AnthropicBedrock, control: SimulatorControl) -> None:
    control.add_fault("unknown_model", message="No such model in this region.")
    with pytest.raises(anthropic.BadRequestError, match="No such model in this region"):
        send(sdk, task_call(), stream=False)


def test_without_structured_output_a_forced_tool_still_works(
    sdk: anthropic.AnthropicBedrock, control: SimulatorControl, stream: bool
) -> None:
    control.add_fault("no_structured_output")
    with pytest.raises(anthropic.BadRequestError, match="output_config"):
        send(sdk, task_call(), stream=stream)
    assert answer_of(send(sdk, task_call(form="tool"), stream=stream))["status"] == "completed"


def test_malformed_json_is_no_json(
    sdk: anthropic.AnthropicBedrock, control: SimulatorControl, stream: bool
) -> None:
    control.add_fault("malformed_json")
    text = send(sdk, task_call(), stream=stream).content[0].text
    with pytest.raises(json.JSONDecodeError):
        json.loads(text)
    in_tool = answer_of(send(sdk, task_call(form="tool"), stream=stream))
    assert in_tool == {"answer": text}


@pytest.mark.parametrize("form", ["output_config", "tool"])
def test_a_wrong_schema_is_json_of_another_shape(
    sdk: anthropic.AnthropicBedrock, control: SimulatorControl, stream: bool, form: Form
) -> None:
    control.add_fault("wrong_schema")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(answer_of(send(sdk, task_call(form=form), stream=stream)), RESULT_SCHEMA)


@pytest.mark.parametrize("form", ["output_config", "tool"])
def test_a_wrong_plan_has_a_cycle_and_an_unknown_dependency_and_the_next_one_is_right(
    sdk: anthropic.AnthropicBedrock, control: SimulatorControl, stream: bool, form: Form
) -> None:
    control.add_fault("wrong_plan", times=1)
    wrong = answer_of(send(sdk, plan_call(form=form), stream=stream))
    jsonschema.validate(wrong, PLAN_SCHEMA)
    depends = {task["id"]: task["depends_on"] for task in wrong["tasks"]}
    assert depends == {
        "identify_numbers": ["report_result"],
        "add_numbers": ["identify_numbers"],
        "report_result": ["add_numbers", "no_such_task"],
    }
    right = answer_of(send(sdk, plan_call(form=form), stream=stream))
    assert right["tasks"][0]["depends_on"] == []


@pytest.mark.parametrize("form", ["output_config", "tool"])
def test_max_tokens_cuts_the_answer_and_is_paid(
    sdk: anthropic.AnthropicBedrock, control: SimulatorControl, stream: bool, form: Form
) -> None:
    whole = send(sdk, task_call(form=form), stream=stream)
    control.add_fault("max_tokens")
    cut = send(sdk, task_call(form=form), stream=stream)
    assert cut.stop_reason == "max_tokens"
    assert 1 < cut.usage.output_tokens < whole.usage.output_tokens


def test_a_refusal_has_no_content_and_says_so(
    sdk: anthropic.AnthropicBedrock, control: SimulatorControl, stream: bool
) -> None:
    control.add_fault("refusal")
    message = send(sdk, task_call(), stream=stream)
    assert (message.stop_reason, message.content) == ("refusal", [])
    assert message.stop_details is not None
    assert message.stop_details.explanation == "[simulated] Refused on demand."


@pytest.mark.parametrize("form", ["output_config", "tool"])
def test_a_blocked_task_gives_its_reason(
    sdk: anthropic.AnthropicBedrock, control: SimulatorControl, stream: bool, form: Form
) -> None:
    control.add_fault("blocked", item="claims")
    blocked, done = (
        answer_of(send(sdk, task_call("update", "Do.", item=item, form=form), stream=stream))
        for item in ("claims", "pricing")
    )
    assert (blocked["status"], done["status"]) == ("blocked", "completed")
    assert "claims" in blocked["reason"]


def test_a_stalled_invoke_times_out(control: SimulatorControl) -> None:
    control.add_fault("stall")
    with pytest.raises(anthropic.APITimeoutError):
        send(client(control.url, timeout=0.3), task_call(), stream=False)
    _assert_left(control)


def test_a_stalled_stream_gives_half_the_answer_and_then_silence(control: SimulatorControl) -> None:
    control.add_fault("stall")
    with client(control.url, timeout=0.3).messages.stream(**task_call()) as events:
        with pytest.raises(httpx2.ReadTimeout):
            events.get_final_message()
        assert "[simu" in events.current_message_snapshot.content[0].text
    _assert_left(control)


def _assert_left(control: SimulatorControl) -> None:
    """The simulator lets go of a request whose caller has left."""
    deadline = time.monotonic() + 5
    while control.health()["in_flight"]:
        assert time.monotonic() < deadline, "the simulator still holds the request"
        time.sleep(0.02)
    assert control.requests()[0]["fault"] == "stall"


def test_a_stall_of_some_seconds_ends_in_a_reset(
    sdk: anthropic.AnthropicBedrock, control: SimulatorControl
) -> None:
    control.add_fault("stall", seconds=0.2)
    with pytest.raises(anthropic.APIConnectionError):
        send(sdk, task_call(), stream=False)
    with pytest.raises(httpx2.NetworkError):
        send(sdk, task_call(), stream=True)
    assert all(entry["ended"] - entry["started"] >= 0.2 for entry in control.requests())


def test_a_reset_invoke_has_no_answer(sdk: anthropic.AnthropicBedrock, control: SimulatorControl) -> None:
    control.add_fault("reset", times=1)
    with pytest.raises(anthropic.APIConnectionError) as raised:
        send(sdk, task_call(), stream=False)
    assert not isinstance(raised.value, anthropic.APITimeoutError)
    assert control.requests()[0]["status"] is None


def test_a_reset_stream_breaks_in_the_middle(
    sdk: anthropic.AnthropicBedrock, control: SimulatorControl
) -> None:
    control.add_fault("reset", times=1)
    with pytest.raises(httpx2.NetworkError):
        send(sdk, task_call(), stream=True)
    assert send(sdk, task_call(), stream=True).stop_reason == "end_turn"


def test_a_truncated_stream_ends_in_good_order_without_a_stop_reason(
    sdk: anthropic.AnthropicBedrock, control: SimulatorControl
) -> None:
    control.add_fault("truncate")
    message = send(sdk, task_call(), stream=True)
    assert message.stop_reason is None
    assert answer_of(message)["status"] == "completed", (
        "all of the text is there, and nothing says that it is"
    )


def test_an_exception_frame_is_an_error_with_status_200(
    sdk: anthropic.AnthropicBedrock, control: SimulatorControl
) -> None:
    control.add_fault("exception_frame", message="Slow down.")
    with pytest.raises(anthropic.APIStatusError, match=r"Slow down\.") as raised:
        send(sdk, task_call(), stream=True)
    assert (raised.value.status_code, raised.value.type) == (200, "throttlingException")
    (entry,) = control.requests()
    assert (entry["status"], entry["fault"], entry["usage"]["output_tokens"]) == (200, "exception_frame", 1)
