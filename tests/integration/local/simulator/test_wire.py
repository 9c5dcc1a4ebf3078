"""The wire format, judged by the real SDK and by boto3."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import boto3
import jsonschema
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from chassis import __version__
from chassis.local.simulator import ACCESS_KEY, BEARER_TOKEN, SECRET_KEY, SimulatorControl
from tests.integration.local.simulator.calls import (
    MODEL,
    PLAN_SCHEMA,
    PRODUCT,
    RESULT_SCHEMA,
    SERVICES,
    Form,
    answer_of,
    client,
    plan_call,
    send,
    task_call,
)


@pytest.mark.parametrize("form", ["output_config", "tool"])
def test_a_plan_and_a_result_fit_their_schemas_in_each_form(
    sdk: anthropic.AnthropicBedrock, stream: bool, form: Form
) -> None:
    plan = send(sdk, plan_call(form=form), stream=stream)
    result = send(sdk, task_call(form=form), stream=stream)
    jsonschema.validate(answer_of(plan), PLAN_SCHEMA)
    jsonschema.validate(answer_of(result), RESULT_SCHEMA)
    assert [task["id"] for task in answer_of(plan)["tasks"]] == [
        "identify_numbers",
        "add_numbers",
        "report_result",
    ]
    assert answer_of(result)["summary"] == "[simulated] 5 + 3 = 8"
    assert plan.stop_reason == result.stop_reason == ("tool_use" if form == "tool" else "end_turn")
    assert plan.model == result.model == "simulated"


def test_a_streamed_answer_is_the_invoked_one(sdk: anthropic.AnthropicBedrock) -> None:
    whole, streamed = (send(sdk, plan_call(PRODUCT), stream=stream) for stream in (False, True))
    assert answer_of(whole) == answer_of(streamed)
    left_out = {"id", "content"}
    assert whole.model_dump(exclude=left_out) == streamed.model_dump(exclude=left_out)


def test_a_stream_has_claudes_events_in_claudes_order(sdk: anthropic.AnthropicBedrock) -> None:
    events = list(sdk.messages.create(**task_call(), stream=True))
    kinds = [event.type for event in events]
    middle = [kind for kind in kinds if kind == "content_block_delta"]
    assert len(middle) > 3
    assert kinds == [
        *["message_start", "content_block_start"],
        *middle,
        *["content_block_stop", "message_delta", "message_stop"],
    ]


def test_every_answer_has_its_request_id_and_says_that_it_is_simulated(
    sdk: anthropic.AnthropicBedrock, control: SimulatorControl
) -> None:
    good = sdk.messages.with_raw_response.create(**task_call())
    with sdk.messages.with_streaming_response.create(**task_call(), stream=True) as open_stream:
        streamed = open_stream.headers
    with pytest.raises(anthropic.BadRequestError) as refused:
        sdk.messages.create(**task_call() | {"model": "meta.llama3"})
    with pytest.raises(anthropic.PermissionDeniedError) as unsigned:
        send(client(control.url, api_key="wrong"), task_call(), stream=False)
    ids = []
    for headers in (good.headers, streamed, refused.value.response.headers, unsigned.value.response.headers):
        assert headers["x-chassis-simulator"] == __version__
        ids.append(headers["x-amzn-requestid"])
    assert [entry["request_id"] for entry in control.requests()] == ids


def test_a_plan_for_all_services_has_their_names(
    sdk: anthropic.AnthropicBedrock, control: SimulatorControl
) -> None:
    call = plan_call(PRODUCT)
    schema: dict[str, Any] = call["output_config"]["format"]["schema"]
    items = {"type": "object", "additionalProperties": False, "required": ["items"]}
    items["properties"] = {"items": {"type": "array", "items": {"type": "string"}}}
    task = schema["properties"]["tasks"]["items"]
    task = task | {"properties": task["properties"] | {"for_each": {"anyOf": [{"type": "null"}, items]}}}
    schema = schema | {"properties": schema["properties"] | {"tasks": {"type": "array", "items": task}}}
    call["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
    tasks = answer_of(send(sdk, call, stream=True))["tasks"]
    assert [task["for_each"] for task in tasks] == [{"items": SERVICES}, None, None, None]


@pytest.mark.parametrize("form", ["output_config", "tool"])
def test_a_tasks_own_output_schema_is_filled(sdk: anthropic.AnthropicBedrock, form: Form) -> None:
    output = {
        "type": "object",
        "additionalProperties": False,
        "required": ["services", "sum"],
        "properties": {
            "services": {"type": "array", "items": {"type": "string"}},
            "sum": {"type": "integer"},
        },
    }
    schema = RESULT_SCHEMA | {"properties": RESULT_SCHEMA["properties"] | {"output": output}}
    result = answer_of(send(sdk, task_call(schema=schema, form=form), stream=True))
    assert result["output"] == {"services": ["alpha", "beta", "gamma"], "sum": 8}


def test_an_output_that_is_text_of_some_form_has_that_form(sdk: anthropic.AnthropicBedrock) -> None:
    output = {"type": "string", "format": "date"}
    schema = RESULT_SCHEMA | {"properties": RESULT_SCHEMA["properties"] | {"output": output}}
    result = answer_of(send(sdk, task_call(schema=schema), stream=True))
    assert result["output"] == "2000-01-01"


def test_a_question_without_a_schema_gets_text_that_says_what_it_comes_from(
    sdk: anthropic.AnthropicBedrock,
) -> None:
    message = sdk.messages.create(
        model="us.anthropic.claude-opus-4-8",  # the SDK's own version of a request is for 4.7 and later
        max_tokens=20,
        messages=[{"role": "user", "content": "Who are you?"}],
    )
    assert message.content[0].text == "[simulated] This is the simulator, not Claude."


@pytest.mark.parametrize(
    "credentials",
    [
        {"aws_access_key": ACCESS_KEY, "aws_secret_key": SECRET_KEY},
        {"aws_access_key": ACCESS_KEY, "aws_secret_key": SECRET_KEY, "aws_session_token": "any/token=="},
        {"api_key": BEARER_TOKEN},
    ],
    ids=["keys", "session token", "bearer token"],
)
def test_the_simulators_credentials_open_it(
    control: SimulatorControl, stream: bool, credentials: dict[str, str]
) -> None:
    assert send(client(control.url, **credentials), task_call(), stream=stream).model == "simulated"


@pytest.mark.parametrize(
    ("credentials", "error_type"),
    [
        ({"aws_access_key": ACCESS_KEY, "aws_secret_key": "wrong"}, "InvalidSignatureException"),
        ({"aws_access_key": "AKIAOTHER", "aws_secret_key": SECRET_KEY}, "UnrecognizedClientException"),
        ({"api_key": "wrong"}, "AccessDeniedException"),
    ],
    ids=["secret", "access key", "bearer token"],
)
def test_other_credentials_are_refused_in_awss_shape(
    control: SimulatorControl, stream: bool, credentials: dict[str, str], error_type: str
) -> None:
    with pytest.raises(anthropic.PermissionDeniedError) as refused:
        send(client(control.url, **credentials), task_call(), stream=stream)
    assert refused.value.response.headers["x-amzn-errortype"].split(":")[0] == error_type
    assert refused.value.body == {"message": refused.value.response.json()["message"]}
    (entry,) = control.requests()
    assert (entry["status"], entry["kind"], entry["body"]) == (403, "other", None)


@pytest.mark.parametrize(
    "model",
    [
        "eu.anthropic.claude-opus-4-6-v1:0",
        "arn:aws:bedrock:eu-central-1:123456789012:inference-profile/eu.anthropic.claude-opus-4-6-v1",
    ],
)
def test_model_ids_with_colons_and_slashes_keep_their_signature(
    sdk: anthropic.AnthropicBedrock, control: SimulatorControl, stream: bool, model: str
) -> None:
    send(sdk, task_call() | {"model": model}, stream=stream)
    assert control.requests()[0]["model"] == model


def test_a_wrong_body_and_an_unknown_model_are_validation_exceptions(
    sdk: anthropic.AnthropicBedrock, stream: bool
) -> None:
    with pytest.raises(anthropic.BadRequestError, match="max_tokens"):
        send(sdk, task_call() | {"max_tokens": 0}, stream=stream)
    with pytest.raises(anthropic.BadRequestError, match="model identifier is invalid"):
        send(sdk, task_call() | {"model": "us.anthropic.nosuch"}, stream=stream)


def test_boto3_reads_both_wire_forms_and_the_errors(control: SimulatorControl) -> None:
    runtime = boto3.client(
        "bedrock-runtime",
        endpoint_url=control.url,
        region_name="eu-central-1",
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        config=Config(retries={"max_attempts": 0}),
    )
    body = json.dumps(
        {
            "anthropic_version": "bedrock-2023-05-31",
            "max_tokens": 100,
            "messages": [{"role": "user", "content": "Who are you?"}],
        }
    )
    whole = json.loads(runtime.invoke_model(modelId=f"{MODEL}:0", body=body)["body"].read())
    chunks = runtime.invoke_model_with_response_stream(modelId=f"{MODEL}:0", body=body)["body"]
    events = [json.loads(chunk["chunk"]["bytes"]) for chunk in chunks]
    text = "".join(event["delta"]["text"] for event in events if event["type"] == "content_block_delta")
    assert whole["content"] == [{"type": "text", "text": text}]
    metrics = events[-1]["amazon-bedrock-invocationMetrics"]
    assert metrics["inputTokenCount"] == whole["usage"]["input_tokens"]

    control.add_fault("throttle", times=1)
    with pytest.raises(ClientError) as throttled:
        runtime.invoke_model(modelId=MODEL, body=body)
    assert throttled.value.response["Error"]["Code"] == "ThrottlingException"
    control.add_fault("exception_frame", times=1)
    with pytest.raises(ClientError, match="throttlingException"):
        list(runtime.invoke_model_with_response_stream(modelId=MODEL, body=body)["body"])
