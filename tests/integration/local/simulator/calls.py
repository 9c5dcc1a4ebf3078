"""Calls as Chassis makes them: its real prompts through the real SDK, in each form of an answer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

import anthropic

from chassis.local.simulator import ACCESS_KEY, SECRET_KEY
from chassis.prompts import planner_message, run_message, task_message

if TYPE_CHECKING:
    from anthropic.types import Message

MODEL = "us.anthropic.claude-opus-4-6-v1"
SUM = "Calculate the sum of 5 and 3"
PRODUCT = "Add pet insurance product to all services"
SERVICES = ["availability", "contracts", "recommendation", "pricing", "claims", "notifications", "documents"]

Form = Literal["output_config", "tool"]

RESULT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["status", "reason", "summary", "output"],
    "properties": {
        "status": {"enum": ["completed", "blocked"]},
        "reason": {"type": ["string", "null"]},
        "summary": {"type": "string"},
        "output": {"type": "string"},
    },
}
PLAN_SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["title", "id", "tasks"],
    "properties": {
        "title": {"type": "string"},
        "id": {"type": "string"},
        "tasks": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["id", "depends_on", "note"],
                "properties": {
                    "id": {"type": "string"},
                    "depends_on": {"type": "array", "items": {"type": "string"}},
                    "note": {"type": ["string", "null"]},
                },
            },
        },
    },
}


def client(
    url: str, *, retries: int = 0, timeout: float = 10.0, **credentials: str
) -> anthropic.AnthropicBedrock:
    """The SDK's client; without other credentials it has the simulator's own."""
    given = credentials or {"aws_access_key": ACCESS_KEY, "aws_secret_key": SECRET_KEY}
    return anthropic.AnthropicBedrock(
        base_url=url, aws_region="eu-central-1", max_retries=retries, timeout=timeout, **given
    )


def plan_call(requirement: str = SUM, *, form: Form = "output_config") -> dict[str, Any]:
    """A planner's call."""
    catalogue = "services:\n" + "".join(f"- name: {name}\n" for name in SERVICES)
    text = planner_message(
        requirement=requirement,
        catalogue=catalogue,
        agents={"task-executor": "Works."},
        inputs={},
        limit=10_000,
    )
    return _call([{"type": "text", "text": text}], PLAN_SCHEMA, form)


def task_call(
    task_id: str = "add_numbers",
    instruction: str = "Add the numbers that were identified.",
    *,
    item: str | None = None,
    results: tuple[tuple[str, str | None, str], ...] = (("identify_numbers", None, "Numbers: 5, 3"),),
    form: Form = "output_config",
    schema: dict[str, Any] = RESULT_SCHEMA,
) -> dict[str, Any]:
    """A task's call; what all tasks of the run share carries the cache breakpoint."""
    shared = run_message(requirement=SUM, inputs={}, limit=10_000)
    data = [("result", {"task": of, "item": each}, text) for of, each, text in results]
    own = task_message(
        task_id=task_id, item=item, instruction=instruction, service=None, results=data, limit=10_000
    )
    content = [
        {"type": "text", "text": shared, "cache_control": {"type": "ephemeral"}},
        {"type": "text", "text": own},
    ]
    return _call(content, schema, form)


def send(sdk: anthropic.AnthropicBedrock, call: dict[str, Any], *, stream: bool) -> Message:
    """Make the call in one of the two wire forms."""
    if not stream:
        return sdk.messages.create(**call)
    with sdk.messages.stream(**call) as events:
        return events.get_final_message()


def answer_of(message: Message) -> Any:
    """The answer's data, from text or tool call."""
    (block,) = message.content
    return block.input if block.type == "tool_use" else json.loads(block.text)


def _call(content: list[dict[str, Any]], schema: dict[str, Any], form: Form) -> dict[str, Any]:
    asked: dict[str, Any] = {
        "model": MODEL,
        "max_tokens": 1_000,
        "messages": [{"role": "user", "content": content}],
        "extra_body": {"anthropic_version": "bedrock-2023-05-31"},
    }
    if form == "output_config":
        return asked | {"output_config": {"format": {"type": "json_schema", "schema": schema}}}
    tool = {"name": "answer", "description": "The answer.", "input_schema": schema}
    return asked | {"tools": [tool], "tool_choice": {"type": "tool", "name": "answer"}}
