"""The form that an answer has."""

from __future__ import annotations

import json
from typing import Any, Literal

import pytest

from chassis.local.simulator.claude_request import ClaudeRequest
from chassis.local.simulator.model_files import known_models
from chassis.local.simulator.reply_forms import as_played, make_reply, within
from chassis.local.simulator.wire_message import Reply, Thought
from chassis.prompts import fence

OPUS = known_models()["claude-opus-4-6"]
SCHEMA = {
    "type": "object",
    "properties": {"summary": {"type": "string"}, "status": {"enum": ["completed", "blocked"]}},
    "required": ["summary", "status"],
    "additionalProperties": False,
}
TASK = fence("task", "Say hello.", task="greet")


def asking(prompt: str, *, system: str = "", **more: Any) -> ClaudeRequest:
    turns = [{"role": "user", "content": [{"type": "text", "text": prompt}]}]
    return ClaudeRequest("m", {"max_tokens": 50, "system": system, "messages": turns, **more}, stream=True)


def reply_to(request: ClaudeRequest, **played: Any) -> Reply:
    return as_played(make_reply(request), request, OPUS.model_copy(update=played))


@pytest.mark.parametrize(
    "request_",
    [
        asking(f"{TASK}\n\nAnswer with JSON alone, by this schema:\n{json.dumps(SCHEMA)}"),
        asking(f"{TASK}\n\n```json\n{json.dumps(SCHEMA, indent=2)}\n```\nNothing else."),
        asking(f"{TASK}\n\n{fence('answer_schema', json.dumps(SCHEMA, indent=2))}\nJSON only."),
        asking(TASK, system=f"Answer by this schema.\n<schema>\n{json.dumps(SCHEMA)}\n</schema>"),
        asking(f"{TASK}\n{json.dumps(SCHEMA)}", tools=[{"name": "other"}], tool_choice={"type": "auto"}),
    ],
    ids=["a line", "a code fence", "a fence of data", "the system prompt", "with a tool that is not forced"],
)
def test_a_schema_in_the_prompt_is_kept(request_: ClaudeRequest) -> None:
    reply = reply_to(request_)
    assert (reply.tool, reply.stop_reason) == (None, "end_turn")
    assert json.loads(reply.text)["status"] == "completed"
    assert set(json.loads(reply.text)) == {"summary", "status"}


@pytest.mark.parametrize(
    "prompt", [fence("task", json.dumps(SCHEMA), task="greet"), f'{TASK}\nReturn {{"type": "object"}} or so.']
)
def test_a_schema_that_is_data_or_prose_asks_for_nothing(prompt: str) -> None:
    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(reply_to(asking(prompt)).text)


@pytest.mark.parametrize(
    ("how", "begins", "ends"), [("fenced", "```json\n{", "}\n```"), ("prose", "[simulated] Here", "all.")]
)
def test_what_is_only_asked_for_can_come_with_something_around(
    how: Literal["fenced", "prose"], begins: str, ends: str
) -> None:
    asked = asking(f"{TASK}\n{json.dumps(SCHEMA)}")
    text = reply_to(asked, asked_for=how).text
    assert text.startswith(begins)
    assert text.endswith(ends)
    format_ = {"format": {"type": "json_schema", "schema": SCHEMA}}
    json.loads(reply_to(asking(TASK, output_config=format_), asked_for=how).text)


def test_constrained_decoding_can_run_away_until_max_tokens() -> None:
    format_ = {"format": {"type": "json_schema", "schema": SCHEMA}}
    reply = reply_to(asking(TASK, output_config=format_), format="runs_away")
    assert reply.stop_reason == "max_tokens"
    assert len(reply.text) == 50 * 4
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        json.loads(reply.text)
    assert reply_to(asking(f"{TASK}\n{json.dumps(SCHEMA)}"), format="runs_away").stop_reason == "end_turn"


def test_max_tokens_covers_what_is_thought_and_what_is_said() -> None:
    thought = Thought("", "signature", tokens=30)
    assert within(Reply("x" * 80, "end_turn", thought=thought), 50).stop_reason == "end_turn"
    cut = within(Reply("x" * 84, "end_turn", thought=thought), 50)
    assert (len(cut.text), cut.stop_reason) == (80, "max_tokens")
    silent = within(Reply("x", "end_turn", thought=thought), 30)
    assert (silent.text, silent.stop_reason, silent.thought) == ("", "max_tokens", thought)
    plain = within(Reply("x" * 84, "end_turn"), 20)
    assert (len(plain.text), plain.stop_reason) == (80, "max_tokens")
