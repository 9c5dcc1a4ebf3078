from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from chassis.claude.request import ClaudeRequest, Message, text_block


def request() -> ClaudeRequest:
    content = (text_block("shared", cached=True), text_block("own"))
    return ClaudeRequest(
        model="us.anthropic.claude-opus-4-6-v1",
        max_tokens=100,
        system=("You work.",),
        messages=(Message(role="user", content=content),),
        answer_schema={"type": "object", "properties": {"a": {"type": "string"}}},
        subject="task 'add'",
    )


def test_a_request_survives_the_trip_through_a_triggers_arguments() -> None:
    assert (
        ClaudeRequest.model_validate(json.loads(json.dumps(request().model_dump(mode="json")))) == request()
    )


def test_only_a_cached_block_carries_a_breakpoint() -> None:
    shared, own = request().messages[0].content
    assert shared["cache_control"] == {"type": "ephemeral"}
    assert "cache_control" not in own


@pytest.mark.parametrize("change", [{"model": ""}, {"max_tokens": 0}, {"temperature": 1}])
def test_a_request_that_bedrock_would_refuse_cannot_be_made(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(change))):
        ClaudeRequest.model_validate(request().model_dump() | change)
