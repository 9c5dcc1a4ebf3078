"""What is asked of Claude, as plain data.

A worker makes the request up and the triggerer carries it out, so it must survive a trip through JSON. It
holds prompts, and no credentials.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class ClaudeRequest(BaseModel):
    """One conversation to be held with Claude, whose outcome is one JSON answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(min_length=1, description="Bedrock model id, inference profile or ARN.")
    max_tokens: int = Field(ge=1, description="Output tokens that one answer may have.")
    system: tuple[str, ...] = Field(description="Parts of the system prompt, in order.")
    messages: tuple[Message, ...] = Field(description="Turns so far; the last one is the user's.")
    answer_schema: dict[str, Any] = Field(description="JSON schema (an object at its top) of the answer.")
    answer_name: str = Field("answer", description="Name of the forced tool, where a tool takes the answer.")
    subject: str = Field("", description="What is asked for, in the words of logs: task 'deploy' [claims].")


class Message(BaseModel):
    """One turn, with its content blocks as the Messages API has them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Literal["user", "assistant"]
    content: tuple[dict[str, Any], ...]


def text_block(text: str, *, cached: bool = False) -> dict[str, Any]:
    """A content block of text; ``cached`` ends there the prefix that goes into the prompt cache."""
    block: dict[str, Any] = {"type": "text", "text": text}
    return block | {"cache_control": {"type": "ephemeral"}} if cached else block
