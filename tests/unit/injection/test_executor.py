"""A text in all that a task is given, and in all that Claude answers."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest
from airflow.sdk import serde

from chassis.agents import AgentDefinition
from chassis.catalogue import Service
from chassis.claude.answer_schema import parse_answer
from chassis.claude.reply import Reply
from chassis.claude.request import ClaudeRequest
from chassis.contract.xcoms import TaskResult
from chassis.errors import AnswerInvalidError, TaskBlockedError
from chassis.prompts import DATA_RULES
from chassis.settings import Settings
from chassis.text import CONTROLS, DECEIVING, one_line, signs
from chassis.work.brief import TaskBrief, UpstreamResult
from chassis.work.engine import do_task
from chassis.workflow import TaskSpec, check_items
from tests.injection.corpus import OBJECTS, Attack, each_text
from tests.unit.injection.prompts import read

AGENT = AgentDefinition(name="task-executor", description="Does a task.", prompt="You do one task.")
SETTINGS = Settings()


def request(text: str, line: str, **changed: Any) -> ClaudeRequest:
    results = [
        UpstreamResult(task="find", summary=text, output=text),
        UpstreamResult(task="weigh", item=line, summary="s", output={"found": [text]}),
    ]
    arguments: dict[str, Any] = {
        "agent": AGENT,
        "requirement": text,
        "inputs": {"product": text},
        "task": TaskSpec(id="update", name="Update", instruction="Do {item}."),
        "item": line,
        "service": Service(name=line, description=line),
        "results": results,
        "context_chars": SETTINGS.context_chars,
        "model": "m",
    }
    return TaskBrief(**(arguments | changed)).request()


@each_text
def test_whatever_a_task_is_given_stays_in_its_place(attack: Attack) -> None:
    text = attack.text[:19_000]
    line = one_line(text, 150) or "?"
    task = TaskSpec(id="update", name="Update", instruction="Before. {product} After.")
    found = read(request(text, line, task=task))
    plain = read(request("plain", "plain", task=task))
    assert [fence.name for fence in found.fences] == [fence.name for fence in plain.fences]
    for fence, theirs in zip(found.fences, plain.fences, strict=True):
        facts = {name: line if value == "plain" else value for name, value in theirs.attributes.items()}
        assert fence.attributes == facts
    sent = signs(text, CONTROLS)
    assert found.contents("requirement") == [sent]
    assert found.contents("task") == [f"Before. {sent} After."]
    first, second = found.contents("result")
    assert first == f"Status: completed\nSummary: {sent}\n\nOutput:\n{sent}"
    assert second.count("Status: ") == 1 + text.count("Status: ")
    (service,) = found.contents("service")
    assert len(service.splitlines()) == 2, "its name and its description"
    assert found.frame == plain.frame
    assert found.subject == f"task 'update' [{line}]"
    assert DATA_RULES in json.loads(found.frame)[1]["system"], "these say what results are"


@each_text
def test_an_item_is_one_line_of_letters_that_are_seen_or_refused(attack: Attack) -> None:
    faults = check_items([attack.text])
    assert not any(DECEIVING.search(fault) for fault in faults)
    if faults:
        return
    assert len(attack.text.splitlines()) == 1
    task = TaskSpec(id="update", name="Update", instruction="Do {item}, and {item.__class__}.")
    found = read(request("plain", attack.text, task=task))
    assert found.contents("task") == [f"Do {attack.text}, and {{item.__class__}}."]


def answered(answer: Any, schema: dict[str, Any] | None = None) -> TaskResult:
    """What becomes of Claude's answer, which is given again as often as Claude is asked."""

    async def ask(payload: dict[str, Any]) -> Reply:
        json.dumps(payload, ensure_ascii=False).encode()
        text = answer if isinstance(answer, str) else json.dumps(answer)
        reply = Reply(request_id="r", model="m", stop_reason="end_turn", opened=True)
        reply.add({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
        reply.add({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}})
        return reply

    task = TaskSpec(id="update", name="Update", instruction="Do it.", output_schema=schema)
    asked = request("plain", "plain", task=task)
    return asyncio.run(do_task(ask, asked, task_id="update", item=None, output_schema=schema, repairs=1))


def carried(result: TaskResult) -> Any:
    """The result as a later task reads it: through the wire between Airflow's processes, and its database."""
    sent = msgspec.msgpack.decode(msgspec.msgpack.encode(serde.serialize(result.model_dump(mode="json"))))
    return serde.deserialize(json.loads(json.dumps(sent, allow_nan=False, ensure_ascii=False).encode()))


@each_text
def test_a_result_is_kept_as_claude_gave_it(attack: Attack) -> None:
    text, _ = parse_answer(json.dumps(attack.text))
    if not text.strip():
        text = "?"
    answer = {"status": "completed", "reason": "", "summary": text, "output": text}
    result = answered(answer)
    assert (result.summary, result.output) == (text, text)
    assert carried(result) == result.model_dump(mode="json")
    schema = {"type": "object", "additionalProperties": True}
    result = answered(answer | {"output": {text: [text]}}, schema)
    assert result.output == {text: [text]}
    assert carried(result) == result.model_dump(mode="json")


@each_text
def test_a_text_instead_of_an_answer_is_refused_in_words_that_nothing_obeys(attack: Attack) -> None:
    try:
        result = answered(attack.text)
    except AnswerInvalidError as error:
        refused_clearly(error)
    else:
        assert attack.name == "an answer", "the one text that is an answer"
        assert result.output == "owned"


def refused_clearly(error: AnswerInvalidError) -> None:
    assert not DECEIVING.search(str(error))
    head, *lines = error.message.rstrip("\n").split("\n")
    assert head == "The answer to task 'update' [plain] can't be used after 2 attempts:"
    assert lines
    assert all(line.startswith("- ") for line in lines)


@pytest.mark.parametrize("value", OBJECTS.values(), ids=OBJECTS.keys())
def test_no_answer_becomes_an_object_of_airflows(value: Any) -> None:
    """Airflow's reader of XComs would make one, in the worker of the next task."""
    answer = {"status": "completed", "reason": "", "summary": "s", "output": {"found": [value]}}
    with pytest.raises(AnswerInvalidError, match="which is reserved") as refused:
        answered(answer, {"type": "object"})
    refused_clearly(refused.value)


@each_text
def test_the_reason_of_a_blocked_task_is_one_line(attack: Attack) -> None:
    text, _ = parse_answer(json.dumps(attack.text))
    answer = {"status": "blocked", "reason": text or "?", "summary": "", "output": ""}
    with pytest.raises(TaskBlockedError) as blocked:
        answered(answer)
    message = blocked.value.message
    assert message.startswith("Task 'update' is blocked: ")
    assert len(message.splitlines()) == 1
    assert not DECEIVING.search(message)
    assert len(message) < 2_100
    assert blocked.value.describe()["message"] == message


@each_text
def test_a_key_of_an_answer_that_breaks_its_schema_is_quoted_and_no_more(attack: Attack) -> None:
    schema = {"type": "object", "properties": {}, "additionalProperties": {"type": "integer"}}
    answer = {"status": "completed", "reason": "", "summary": "s", "output": {attack.text: attack.text}}
    with pytest.raises(AnswerInvalidError) as refused:
        answered(answer, schema)
    refused_clearly(refused.value)
    assert len(str(refused.value)) < 50_000
