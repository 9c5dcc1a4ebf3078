"""A text in what Chassis logs: one event a line, and nothing in it that a terminal or a reader of logs obeys."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import anthropic
import httpx2
import pytest

from chassis.claude.call_failures import claude_failure
from chassis.claude.reply import call_once
from chassis.dag.fan_out import ItemsOperator
from chassis.dag.reporting import reported
from chassis.dag.triggers import ClaudeTrigger
from chassis.errors import ChassisError, UnexpectedError, restore_error
from chassis.text import DECEIVING
from chassis.workflow import check_given, check_plan, load_plan
from tests.injection.corpus import Attack, each_text

CLIENT = anthropic.AsyncAnthropicBedrock(aws_region="us-east-1", api_key="unused")
LONGEST = 45_000
"""Characters of one event: a message and a hint, each of twenty thousand."""


def refused_by_bedrock(text: str) -> None:
    """Bedrock's words, and a proxy's, are whatever they are."""
    response = httpx2.Response(
        400,
        headers={"x-amzn-errortype": "ValidationException", "x-amzn-requestid": "r"},
        json={"message": text.encode("utf-8", "replace").decode()},
        request=httpx2.Request("POST", "https://bedrock/model/m"),
    )
    raise claude_failure(CLIENT._make_status_error_from_response(response), place="Bedrock")


def framed(text: str) -> None:
    """An error frame in a stream names its type itself."""
    response = httpx2.Response(200, request=httpx2.Request("POST", "https://bedrock/model/m"))
    body = {"type": "error", "error": {"type": text, "message": text}}
    raise claude_failure(anthropic.APIStatusError("x", response=response, body=body), place="Bedrock")


def found_items(text: str) -> None:
    ti = SimpleNamespace(
        xcom_pull=lambda **_: {"task": "find", "output": [text, text]}, xcom_push=lambda *_: None
    )
    ItemsOperator(task_id="items", source="find", of_input=False)._find({"ti": ti})  # type: ignore[typeddict-item]
    context: Any = {"ti": ti, "params": {}}
    ItemsOperator(task_id="items", source="find", of_input=False).execute(context)


def searched_items(text: str) -> None:
    text = text[:200]  # as a plan bounds it
    ti = SimpleNamespace(
        xcom_pull=lambda **_: {"task": "find", "output": {text: {}}}, xcom_push=lambda *_: None
    )
    context: Any = {"ti": ti, "params": {}}
    ItemsOperator(task_id="items", source=text, of_input=False, path=f"{text}.x").execute(context)


def planned(text: str) -> None:
    task = {
        "id": text,
        "name": text,
        "instruction": "I",
        "agent": text,
        "depends_on": [text, "x"],
        text: text,
    }
    mapped = {"id": "a", "name": "A", "instruction": "{x}", "for_each": {"output_of": text, "path": text}}
    data = {
        "schema_version": text,
        "id": text,
        "title": text,
        "tasks": [task, mapped],
        "tags": [text],
        text: text,
    }
    check_plan(data | {"inputs": {text: {"type": text, "default": {text: text}}}, "schedule": {"cron": text}})


def read(text: str) -> None:
    load_plan(f"? {json.dumps(text, ensure_ascii=False)}\n: !{text} &{text} {text}\n", source=text[:1_000])


def described(text: str) -> None:
    """An error as another process describes it: of a class, and with facts, that may be anything."""
    raise restore_error({"class": text, "message": text, "hint": text})


ERRORS: dict[str, Callable[[str], None]] = {
    "Bedrock's refusal": refused_by_bedrock,
    "an error frame": framed,
    "items": found_items,
    "the way to items": searched_items,
    "a plan": planned,
    "a text as a plan": read,
    "what a person gave": lambda text: (
        check_given({"requirement": "", "workflow_id": text, "inputs": {text: {}}}) and None
    ),
    "an error described": described,
}


@each_text
def test_an_error_that_quotes_a_text_is_one_event(attack: Attack, caplog: pytest.LogCaptureFixture) -> None:
    operator: Any = SimpleNamespace(log=logging.getLogger("chassis.test"))
    for name, provoke in ERRORS.items():
        caplog.clear()
        left: dict[str, Any] = {}
        context: Any = {"ti": SimpleNamespace(xcom_push=left.__setitem__)}
        with pytest.raises(ChassisError) as raised, reported(operator, context):
            provoke(attack.text)
        (event,) = caplog.messages
        first, *further = event.split("\n")
        assert first.startswith(f"{type(raised.value).__name__}: "), name
        assert all(line.startswith(("- ", " ")) for line in further if line), (name, further)
        for told in (event, str(raised.value), repr(raised.value.args), *raised.value.args):
            assert not DECEIVING.search(told), name
            assert len(told) < LONGEST, name
        assert restore_error(json.loads(json.dumps(left["error"]))).message == raised.value.message


@each_text
def test_what_a_server_calls_things_stays_within_the_line_of_an_event(
    attack: Attack, caplog: pytest.LogCaptureFixture
) -> None:
    text = attack.text
    caplog.clear()
    caplog.set_level(logging.INFO)

    class Stream:
        response = SimpleNamespace(headers={"x-amzn-requestid": text})

        async def __aenter__(self) -> Stream:
            return self

        async def __aexit__(self, *_: object) -> None: ...

        async def __aiter__(self) -> Any:
            yield SimpleNamespace(to_dict=lambda **_: {"type": "message_start", "message": {"model": text}})
            yield SimpleNamespace(
                to_dict=lambda **_: {"type": "message_delta", "delta": {"stop_reason": text}}
            )

    async def create(**_: Any) -> Stream:
        return Stream()

    client: Any = SimpleNamespace(messages=SimpleNamespace(create=create), conn_id="c")
    reply = asyncio.run(call_once(client, {"model": "m"}, subject="task 'a'"))
    (event,) = caplog.messages
    assert len(event.splitlines()) == 1
    assert not DECEIVING.search(event + reply.model)
    assert len(event) < 1_000


@each_text
def test_airflow_logs_a_trigger_by_its_task_and_item_alone(attack: Attack) -> None:
    identity = {"task_id": "update", "item": "claims"}
    call = {"kind": "task", "accounts": {"identity": identity}, "request": {"messages": attack.text}}
    assert repr(ClaudeTrigger(call)) == "<ClaudeTrigger task update claims>"


def test_an_unexpected_error_is_told_without_its_words() -> None:
    assert "secret" not in str(UnexpectedError.of(KeyError("secret")))
