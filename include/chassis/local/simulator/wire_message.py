"""Claude's answer on the wire: one message, or the stream of events that builds the same message."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

MODEL = "simulated"

_DELTAS = 12  # pieces that an answer is streamed in


@dataclass(frozen=True)
class TokenCount:
    """Tokens as Bedrock counts them: ``input`` excludes those read from and written to the prompt cache.

    ``cache_write_1h`` is the share of ``cache_write`` that is kept for an hour, ``thinking`` that of ``output``.
    """

    input: int
    cache_read: int
    cache_write: int
    output: int
    cache_write_1h: int = 0
    thinking: int = 0

    def as_usage(self) -> dict[str, Any]:
        """The ``usage`` object of a message."""
        return {
            "input_tokens": self.input,
            "cache_creation_input_tokens": self.cache_write,
            "cache_read_input_tokens": self.cache_read,
            "cache_creation": {
                "ephemeral_5m_input_tokens": self.cache_write - self.cache_write_1h,
                "ephemeral_1h_input_tokens": self.cache_write_1h,
            },
            "output_tokens": self.output,
            **({"output_tokens_details": {"thinking_tokens": self.thinking}} if self.thinking else {}),
        }


@dataclass(frozen=True)
class Thought:
    """What was thought before an answer: its text, empty unless it is to be shown, its signature, and its tokens."""

    text: str
    signature: str
    tokens: int


@dataclass(frozen=True)
class Reply:
    """An answer: text, or the input of the tool ``tool`` when that is set (``text`` is its JSON then)."""

    text: str
    stop_reason: str
    tool: str | None = None
    stop_details: dict[str, Any] | None = None
    thought: Thought | None = None

    def cut(self, share: float, stop_reason: str) -> Reply:
        """The reply ended early."""
        return replace(self, text=self.text[: int(len(self.text) * share)], stop_reason=stop_reason)


def whole_message(reply: Reply, message_id: str, tokens: TokenCount) -> dict[str, Any]:
    """The body of an ``invoke`` answer."""
    content = [_thinking(reply.thought)] if reply.thought else []
    content += [_block(reply, message_id, _tool_input(reply))] if reply.text else []
    return _envelope(message_id, content) | {
        "stop_reason": reply.stop_reason,
        "stop_details": reply.stop_details,
        "usage": tokens.as_usage(),
    }


def stream_events(reply: Reply, message_id: str, tokens: TokenCount) -> Iterator[dict[str, Any]]:
    """The events of a streamed answer, from ``message_start`` to ``message_stop``."""
    opening = _envelope(message_id, []) | {"usage": replace(tokens, output=1).as_usage()}
    yield {"type": "message_start", "message": opening}
    index = 0
    if reply.thought:
        deltas = [{"type": "thinking_delta", "thinking": reply.thought.text}] if reply.thought.text else []
        deltas.append({"type": "signature_delta", "signature": reply.thought.signature})
        yield from _block_events(index, _thinking(Thought("", "", 0)), deltas)
        index += 1
    if reply.text:
        size = max(1, -(-len(reply.text) // _DELTAS))
        deltas = [_delta(reply, start, size) for start in range(0, len(reply.text), size)]
        yield from _block_events(index, _block(reply, message_id, {}, empty=True), deltas)
    yield {
        "type": "message_delta",
        "delta": {
            "stop_reason": reply.stop_reason,
            "stop_sequence": None,
            "stop_details": reply.stop_details,
        },
        "usage": tokens.as_usage(),
    }
    yield {
        "type": "message_stop",
        "amazon-bedrock-invocationMetrics": {
            "inputTokenCount": tokens.input,
            "outputTokenCount": tokens.output,
            "cacheReadInputTokenCount": tokens.cache_read,
            "cacheWriteInputTokenCount": tokens.cache_write,
        },
    }


def _block_events(
    index: int, block: dict[str, Any], deltas: list[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    yield {"type": "content_block_start", "index": index, "content_block": block}
    for delta in deltas:
        yield {"type": "content_block_delta", "index": index, "delta": delta}
    yield {"type": "content_block_stop", "index": index}


def _thinking(thought: Thought) -> dict[str, Any]:
    return {"type": "thinking", "thinking": thought.text, "signature": thought.signature}


def _envelope(message_id: str, content: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": message_id,
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": content,
        "stop_reason": None,
        "stop_sequence": None,
    }


def _block(
    reply: Reply, message_id: str, tool_input: dict[str, Any], *, empty: bool = False
) -> dict[str, Any]:
    if reply.tool is None:
        return {"type": "text", "text": "" if empty else reply.text}
    return {
        "type": "tool_use",
        "id": message_id.replace("msg", "toolu", 1),
        "name": reply.tool,
        "input": tool_input,
    }


def _tool_input(reply: Reply) -> dict[str, Any]:
    if reply.tool is None:
        return {}
    try:
        data = json.loads(reply.text)
    except ValueError:  # an answer cut by max_tokens: Bedrock gives what there was before the cut
        return {}
    return data if isinstance(data, dict) else {"answer": data}


def _delta(reply: Reply, start: int, size: int) -> dict[str, Any]:
    piece = reply.text[start : start + size]
    if reply.tool is None:
        return {"type": "text_delta", "text": piece}
    return {"type": "input_json_delta", "partial_json": piece}
