"""A request to Claude, as plain data.

A worker prepares it and the triggerer sends it, so it must survive a trip through JSON. It holds prompts, but no
credentials.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from chassis.claude.models import facts_of
from chassis.workflow.spec import Effort, Thinking

if TYPE_CHECKING:
    from collections.abc import Sequence

_BYTES_PER_TOKEN = 4
"""For English; other texts have fewer bytes per token, and so more tokens than this estimates."""


class ClaudeRequest(BaseModel):
    """One conversation with Claude that ends in one JSON answer."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    model: str = Field(min_length=1, description="Bedrock model id, inference profile or ARN.")
    model_behind: str | None = Field(
        None, description="Model behind ``model``, where the connection names one; None: ``model`` itself."
    )
    max_tokens: int = Field(ge=1, description="Output tokens that one answer may have.")
    effort: Effort | None = Field(None, description="How hard Claude tries; None: the model's own.")
    thinking: Thinking | None = Field(
        None, description="Whether it thinks before it answers; None: the model's own."
    )
    system: tuple[str, ...] = Field(description="Parts of the system prompt, in order.")
    messages: tuple[Message, ...] = Field(description="Turns so far; the last one is the user's.")
    answer_schema: dict[str, Any] = Field(description="JSON schema (an object at its top) of the answer.")
    answer_name: str = Field("answer", description="Name of the forced tool, where a tool takes the answer.")
    subject: str = Field("", description="What is asked for, in the words of logs: task 'deploy' [claims].")

    @property
    def known_model(self) -> str:
        """The name under which to look up the model's price and facts."""
        return self.model_behind or self.model


class Message(BaseModel):
    """One turn, with content blocks as in the Messages API."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    role: Literal["user", "assistant"]
    content: tuple[dict[str, Any], ...]


def text_block(text: str, *, cached: bool = False) -> dict[str, Any]:
    """A content block of text; ``cached`` ends the prefix for the prompt cache there."""
    block: dict[str, Any] = {"type": "text", "text": text}
    return block | {"cache_control": {"type": "ephemeral"}} if cached else block


def marked(
    model: str, system: Sequence[str], blocks: Sequence[tuple[str, bool]]
) -> tuple[dict[str, Any], ...]:
    """A turn's text blocks, with breakpoints of the prompt cache where they pay.

    Writing a token to the cache costs a quarter more, reading it nine tenths less. So a breakpoint pays as soon as one
    other call reads what it wrote, and costs money if none does. If the prefix is too short for the model, it does
    nothing.

    :param system: the parts of the system prompt, which come before
    :param blocks: each block's text, and whether other calls begin with everything up to its end; empty texts are left
        out
    """
    least = facts_of(model).cache_minimum * _BYTES_PER_TOKEN
    length = sum(len(part.encode()) for part in system)
    content = []
    for text, shared in blocks:
        length += len(text.encode())
        if text:
            content.append(text_block(text, cached=shared and length >= least))
    return tuple(content)
