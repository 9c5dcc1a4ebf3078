"""Claude's answer on the wire: one message, or the stream of events that builds the same message."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

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
    """An answer: text, or the input of the tool ``tool`` when that is set (``text`` is its JSON then).

    ``calls`` are tools that are called after the text, each with its input.
    """

    text: str
    stop_reason: str
    tool: str | None = None
    calls: tuple[tuple[str, dict[str, Any]], ...] = ()
    stop_details: dict[str, Any] | None = None
    thought: Thought | None = None

    def cut(self, share: float, stop_reason: str) -> Reply:
        """The reply ended early, before any tool was called."""
        kept = self.text[: int(len(self.text) * share)]
        return replace(self, text=kept, stop_reason=stop_reason, calls=())

    @property
    def said(self) -> str:
        """All that it costs output tokens to say."""
        return self.text + "".join(name + json.dumps(given) for name, given in self.calls)


def whole_message(reply: Reply, message_id: str, tokens: TokenCount) -> dict[str, Any]:
    """The body of an ``invoke`` answer."""
    return _envelope(message_id, [block.whole for block in _blocks(reply, message_id)]) | {
        "stop_reason": reply.stop_reason,
        "stop_details": reply.stop_details,
        "usage": tokens.as_usage(),
    }


def stream_events(reply: Reply, message_id: str, tokens: TokenCount) -> Iterator[dict[str, Any]]:
    """The events of a streamed answer, from ``message_start`` to ``message_stop``."""
    opening = _envelope(message_id, []) | {"usage": replace(tokens, output=1).as_usage()}
    yield {"type": "message_start", "message": opening}
    for index, block in enumerate(_blocks(reply, message_id)):
        yield {"type": "content_block_start", "index": index, "content_block": block.whole | block.empty}
        for delta in block.deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    ended = {"stop_reason": reply.stop_reason, "stop_sequence": None, "stop_details": reply.stop_details}
    yield {"type": "message_delta", "delta": ended, "usage": tokens.as_usage()}
    yield {
        "type": "message_stop",
        "amazon-bedrock-invocationMetrics": {
            "inputTokenCount": tokens.input,
            "outputTokenCount": tokens.output,
            "cacheReadInputTokenCount": tokens.cache_read,
            "cacheWriteInputTokenCount": tokens.cache_write,
        },
    }


class _Block(NamedTuple):
    """A content block; what of it is empty while its stream begins, and the deltas that fill that."""

    whole: dict[str, Any]
    empty: dict[str, Any]
    deltas: list[dict[str, Any]]


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


def _blocks(reply: Reply, message_id: str) -> list[_Block]:
    blocks = [_thinking(reply.thought)] if reply.thought else []
    tool_id = message_id.replace("msg", "toolu", 1)
    if reply.tool is not None and reply.text:
        blocks.append(_tool_use(tool_id, reply.tool, _tool_input(reply.text), reply.text))
    elif reply.text:
        deltas = [{"type": "text_delta", "text": piece} for piece in _pieces(reply.text)]
        blocks.append(_Block({"type": "text", "text": reply.text}, {"text": ""}, deltas))
    for number, (name, given) in enumerate(reply.calls):
        blocks.append(_tool_use(f"{tool_id}_{number}", name, given, json.dumps(given, ensure_ascii=False)))
    return blocks


def _thinking(thought: Thought) -> _Block:
    deltas = [{"type": "thinking_delta", "thinking": thought.text}] if thought.text else []
    deltas.append({"type": "signature_delta", "signature": thought.signature})
    whole = {"type": "thinking", "thinking": thought.text, "signature": thought.signature}
    return _Block(whole, {"thinking": "", "signature": ""}, deltas)


def _tool_use(tool_id: str, name: str, given: dict[str, Any], text: str) -> _Block:
    deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in _pieces(text)]
    return _Block({"type": "tool_use", "id": tool_id, "name": name, "input": given}, {"input": {}}, deltas)


def _tool_input(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except ValueError:  # an answer cut by max_tokens: Bedrock gives what there was before the cut
        return {}
    return data if isinstance(data, dict) else {"answer": data}


def _pieces(text: str) -> list[str]:
    size = max(1, -(-len(text) // _DELTAS))
    return [text[start : start + size] for start in range(0, len(text), size)]
