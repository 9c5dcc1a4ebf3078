"""Thinking on the wire: its block, its signature, its tokens, and the conversation that must bring it back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anthropic
import pytest

from tests.integration.local.simulator.calls import send, task_call

if TYPE_CHECKING:
    from anthropic.types import Message

    from chassis.local.simulator import SimulatorControl

THINKS = "us.anthropic.claude-opus-5"
BINDS = "us.anthropic.claude-sonnet-5-5"


def thinking_call(model: str = THINKS, **more: Any) -> dict[str, Any]:
    form = "output_config" if model == BINDS else "tool"
    return task_call(form=form) | {"model": model, "max_tokens": 4_000} | more


def test_a_model_that_thinks_by_itself_gives_a_signed_block_without_text_first(
    sdk: anthropic.AnthropicBedrock, stream: bool
) -> None:
    message = send(sdk, thinking_call(), stream=stream)
    thinking, answer = message.content
    assert (thinking.type, thinking.thinking) == ("thinking", "")
    assert len(thinking.signature) > 100
    assert answer.type == "tool_use"
    assert answer.input["status"] == "completed"
    details = message.usage.output_tokens_details
    assert details is not None
    assert 0 < details.thinking_tokens < message.usage.output_tokens


def test_a_streamed_thinking_block_is_the_invoked_one(sdk: anthropic.AnthropicBedrock) -> None:
    whole, streamed = (send(sdk, thinking_call(BINDS), stream=stream) for stream in (False, True))
    assert [block.model_dump() for block in whole.content] == [
        block.model_dump() for block in streamed.content
    ]
    assert whole.usage == streamed.usage


def test_thinking_alone_can_use_up_max_tokens(
    sdk: anthropic.AnthropicBedrock, control: SimulatorControl, stream: bool
) -> None:
    control.play(thinking_tokens=5_000)
    message = send(sdk, thinking_call(), stream=stream)
    assert [block.type for block in message.content] == ["thinking"]
    assert (message.stop_reason, message.usage.output_tokens) == ("max_tokens", 4_000)


def test_a_conversation_goes_on_with_its_thinking_and_not_in_a_changed_history(
    sdk: anthropic.AnthropicBedrock, stream: bool
) -> None:
    call = thinking_call(BINDS, system="You work.")
    turns = _with_answer(call["messages"], send(sdk, call, stream=stream))
    assert send(sdk, call | {"messages": turns}, stream=stream).stop_reason == "end_turn"
    with pytest.raises(anthropic.BadRequestError, match="bound to a different conversation"):
        send(sdk, call | {"messages": turns, "system": "You don't."}, stream=stream)
    turns[1]["content"][0]["signature"] = "forged"
    with pytest.raises(anthropic.BadRequestError, match="Invalid `signature` in `thinking` block"):
        send(sdk, call | {"messages": turns}, stream=stream)


def _with_answer(turns: list[dict[str, Any]], message: Message) -> list[dict[str, Any]]:
    content = [block.model_dump(exclude_none=True) for block in message.content]
    assert json.loads(content[1]["text"])["status"] == "completed"
    return [*turns, {"role": "assistant", "content": content}, {"role": "user", "content": "No."}]
