"""One call to Claude, streamed and read to its end or to where it broke.

An open stream is not retried. A stream that is cut cleanly raises nothing; it only lacks its stop reason. What was
counted before a failure is paid for, so the error carries it.

Whatever the stream holds, the answer is used or fails as one :class:`ClaudeError`: fields that are absent, null or of
another type count as missing, unknown events are ignored, and an answer with a stop reason is complete, however its
stream ended.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from chassis.claude.blocks import BlockReader
from chassis.claude.call_failures import claude_failure, foreign_errors
from chassis.contract.usage import Usage
from chassis.errors import ClaudeError, StreamBrokenError
from chassis.text import one_line

if TYPE_CHECKING:
    import httpx2
    from anthropic import AsyncAnthropicBedrock

log = logging.getLogger(__name__)

SIMULATOR_HEADER = "x-chassis-simulator"
BYTES_PER_TOKEN = 3
"""A cautious estimate: English has about four bytes per token, code and other languages fewer."""

_COUNTS = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_read_input_tokens": "cache_read_tokens",
    "cache_creation_input_tokens": "cache_write_tokens",
}
_METRICS = {
    "inputTokenCount": "input_tokens",
    "outputTokenCount": "output_tokens",
    "cacheReadInputTokenCount": "cache_read_tokens",
    "cacheWriteInputTokenCount": "cache_write_tokens",
}
_INPUT = ("input_tokens", "cache_read_tokens", "cache_write_tokens")
_GROWN = ("text", "thinking", "input")
_MOST_TOKENS = 2**40
_LONGEST_WORD = 200
"""Characters of a name or id from the server; they go into logs and messages."""
_LONGEST_REASON = 500


@dataclass
class Reply:
    """What Claude has answered so far.

    :ivar stop_reason: None until the answer is complete
    :ivar refusal: why Claude declined, in its own words; empty unless it did and gave a reason
    :ivar blocks: content blocks, numbered in the order in which they began; a tool's ``input`` is JSON text
    :ivar counts: what the server has counted so far
    :ivar output_counted: whether the server has counted the whole answer's output
    """

    request_id: str = ""
    model: str = ""
    simulated: bool = False
    stop_reason: str | None = None
    refusal: str = ""
    blocks: dict[int, dict[str, Any]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    output_counted: bool = False
    opened: bool = False

    def __post_init__(self) -> None:
        self._reader = BlockReader(self.blocks)

    @property
    def text(self) -> str:
        """Claude's text, without tools and thinking."""
        return "".join(block["text"] for block in self.blocks.values() if block["type"] == "text")

    @property
    def begun(self) -> bool:
        """Whether any part of an answer has come, which is paid for."""
        return bool(self.model or self.blocks or self.counts or self.stop_reason)

    @property
    def input_counted(self) -> bool:
        """Whether the server has counted the prompt."""
        return any(name in self.counts for name in _INPUT)

    @property
    def usage(self) -> Usage:
        """What Bedrock bills, as far as known. Until it counts the output, at the end, the length of what came gives an
        estimate.
        """
        output = self.counts.get("output_tokens", 0)
        if not self.output_counted:
            grown = (block.get(name) for block in self.blocks.values() for name in _GROWN)
            came = sum(len(part.encode()) for part in grown if isinstance(part, str))
            output = max(output, math.ceil(came / BYTES_PER_TOKEN))
        return Usage(**self.counts | {"output_tokens": output}, calls=int(self.begun))

    def to_data(self) -> dict[str, Any]:
        """The reply as JSON-safe data; :meth:`from_data` reverses it."""
        facts = {known.name: getattr(self, known.name) for known in fields(self)}
        return facts | {"blocks": [[index, block] for index, block in self.blocks.items()]}

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Reply:
        return cls(**data | {"blocks": dict(data["blocks"])})

    def tool(self, name: str) -> dict[str, Any] | None:
        """The block that calls the tool ``name``. A call without a name counts, too: no other tool is ever offered."""
        calls = (
            block
            for block in self.blocks.values()
            if block["type"] == "tool_use" and block.get("name") in (name, None, "")
        )
        return next(calls, None)

    def open(self, headers: httpx2.Headers) -> None:
        self.opened = True
        self.request_id = one_line(headers.get("x-amzn-requestid", ""), _LONGEST_WORD)
        self.simulated = SIMULATOR_HEADER in headers

    def add(self, event: dict[str, Any]) -> None:
        """Process one event of the stream."""
        match event:
            case {"type": "message_start", "message": dict(message)}:
                self._take_start(message)
            case {"type": "content_block_start"}:
                self._reader.start(event.get("index"), event.get("content_block"))
            case {"type": "content_block_delta"}:
                self._reader.grow(event.get("index"), event.get("delta"))
            case {"type": "content_block_stop"}:
                self._reader.end(event.get("index"))
            case {"type": "message_delta"}:
                delta = event.get("delta")
                self._take_reason(delta if isinstance(delta, dict) else {})
                self._count(event.get("usage"), _COUNTS, whole=True)
            case {"type": "message_stop", "amazon-bedrock-invocationMetrics": dict(metrics)}:
                # The metrics fill in what the answer's usage left out.
                told = {*self.counts} - ({"output_tokens"} if not self.output_counted else set())
                missing = {theirs: ours for theirs, ours in _METRICS.items() if ours not in told}
                self._count(metrics, missing, whole=True)

    def _take_start(self, message: dict[str, Any]) -> None:
        """Usually it has no content yet; a server that doesn't stream may put the whole message there."""
        if isinstance(model := message.get("model"), str):
            self.model = one_line(model, _LONGEST_WORD)
        content = message.get("content")
        for number, block in enumerate(content if isinstance(content, list) else ()):
            self._reader.start(f"whole {number}", block)
        self._take_reason(message)
        self._count(message.get("usage"), _COUNTS, whole=bool(message.get("stop_reason")))

    def _take_reason(self, told: dict[str, Any]) -> None:
        """Take the stop reason; for a refusal also its category and explanation, which may be null."""
        reason, details = told.get("stop_reason"), told.get("stop_details")
        if reason and isinstance(reason, str):
            self.stop_reason = one_line(reason, _LONGEST_WORD)
        if isinstance(details, dict) and self.stop_reason == "refusal":
            parts = (details.get("category"), details.get("explanation"))
            said = ": ".join(part for part in parts if part and isinstance(part, str))
            self.refusal = one_line(said, _LONGEST_REASON)

    def _count(self, usage: object, names: dict[str, str], *, whole: bool) -> None:
        """Take counts that are running totals, so the highest applies; ignore what can't be a count.

        :param whole: whether the counts are those of the whole answer
        """
        for theirs, ours in names.items():
            count = usage.get(theirs) if isinstance(usage, dict) else None
            if isinstance(count, int) and 0 <= count <= _MOST_TOKENS:
                self.counts[ours] = max(int(count), self.counts.get(ours, 0))
                self.output_counted |= whole and ours == "output_tokens" and count > 0


Ask = Callable[[dict[str, Any]], Awaitable[Reply]]
"""Makes one call with the arguments of ``client.messages.create`` and returns its complete answer."""


async def call_once(
    client: AsyncAnthropicBedrock,
    payload: dict[str, Any],
    *,
    subject: str,
    reply: Reply | None = None,
    begun: Callable[[], None] | None = None,
) -> Reply:
    """Make one call and read its answer to the end. Cancelling it closes its connection at once.

    :param payload: arguments of ``client.messages.create``
    :param subject: what the call is for, for the log
    :param reply: an empty reply to fill, so that the caller can see how far a cancelled call came
    :param begun: called once, when the answer begins
    :raises ClaudeError: no answer, or a broken one; ``usage`` holds what was counted until then
    """
    reply = Reply() if reply is None else reply
    started = time.monotonic()
    failure: ClaudeError | None = None
    try:
        stream = await client.messages.create(**payload, stream=True)
        async with stream:
            reply.open(stream.response.headers)
            async for event in stream:
                # Without warnings: they would quote the answer. What isn't an object isn't an event.
                if hasattr(event, "to_dict"):
                    reply.add(event.to_dict(warnings=False))
                    if begun is not None and reply.begun:
                        begun()
                        begun = None
    except ClaudeError as error:
        failure = error
    except Exception as error:
        # In an open stream, any exception of its reader means that it can't be read.
        if not reply.opened and not isinstance(error, foreign_errors()):
            raise
        failure = claude_failure(error, place=_place(client, payload["model"]))
    seconds = time.monotonic() - started
    if failure is not None and reply.stop_reason is not None:
        log.info(
            "%s: the answer was complete when its stream failed with %s.", subject, type(failure).__name__
        )
        failure = None
    elif failure is None and reply.stop_reason is None:
        failure = StreamBrokenError(
            f"The answer of model '{payload['model']}' ended too early: it has no stop reason.",
            hint="A retry may help.",
        )
    if failure is not None:
        failure.request_id = failure.request_id or reply.request_id
        failure.usage = reply.usage.model_dump() if reply.begun else {}
        told = (subject, type(failure).__name__, seconds, failure.request_id or "-")
        log.info("%s: %s after %.1f s, request %s.", *told)
        raise failure
    _log_answer(reply, payload["model"], subject, seconds)
    return reply


def _place(client: AsyncAnthropicBedrock, model: str) -> str:
    """What was called, for a message; a client made by the hook knows its connection."""
    connection = getattr(client, "conn_id", "")
    through = f"connection '{connection}', " if connection else ""
    return f"Bedrock at {client.base_url.netloc.decode()} ({through}model '{model}')"


def _log_answer(reply: Reply, model: str, subject: str, seconds: float) -> None:
    usage = reply.usage
    log.info(
        "%s: %s answered in %.1f s with %s%s; request %s; tokens: %d in, %d from cache, %d to cache, %d out.",
        subject,
        model,
        seconds,
        reply.stop_reason,
        " (simulated: not Claude)" if reply.simulated else "",
        reply.request_id or "-",
        usage.input_tokens,
        usage.cache_read_tokens,
        usage.cache_write_tokens,
        usage.output_tokens,
    )
