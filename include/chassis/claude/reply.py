"""One call to Claude: streamed, and read to its end or to where it broke.

A stream is not retried once it is open, and one that is cut cleanly raises nothing: it only lacks its stop
reason. What was counted until a failure has been paid for and travels with the error.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from chassis.claude.failures import claude_failure, foreign_errors
from chassis.claude.usage import Usage
from chassis.errors import ClaudeError, StreamBrokenError
from chassis.text import HALVES, one_line

if TYPE_CHECKING:
    import httpx2
    from anthropic import AsyncAnthropicBedrock

log = logging.getLogger(__name__)

SIMULATOR_HEADER = "x-chassis-simulator"
BYTES_PER_TOKEN = 3
"""An estimate on the safe side: English has about four bytes to a token, code and other languages fewer."""

_COUNTS = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_read_input_tokens": "cache_read_tokens",
    "cache_creation_input_tokens": "cache_write_tokens",
}
_GROWING = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "signature_delta": "signature",
    "input_json_delta": "input",
}
_GROWN = ("text", "thinking", "input")
_MOST_TOKENS = 2**40
_LONGEST_WORD = 200
"""Characters of a name or an id that the server gives; they go into logs and messages."""


@dataclass
class Reply:
    """What Claude has answered so far.

    :ivar stop_reason: None until the answer is complete
    :ivar blocks: content blocks by their index; a tool's ``input`` is its JSON as text
    """

    request_id: str = ""
    model: str = ""
    simulated: bool = False
    stop_reason: str | None = None
    blocks: dict[int, dict[str, Any]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    opened: bool = False

    @property
    def text(self) -> str:
        """What Claude wrote as text, without tools and thinking."""
        return "".join(block["text"] for block in self.blocks.values() if block["type"] == "text")

    @property
    def usage(self) -> Usage:
        return Usage(**self.counts, calls=int(self.opened))

    @property
    def billed(self) -> Usage:
        """What Bedrock may bill for an answer that broke off.

        Output is counted at the end of an answer only, so here what came is estimated from its length.
        """
        came = sum(len(block.get(name, "").encode()) for block in self.blocks.values() for name in _GROWN)
        output = max(self.usage.output_tokens, math.ceil(came / BYTES_PER_TOKEN))
        return self.usage.model_copy(update={"output_tokens": output})

    def to_data(self) -> dict[str, Any]:
        """The reply as JSON-safe data; :meth:`from_data` is the way back."""
        data = dataclasses.asdict(self)
        return data | {"blocks": [[index, block] for index, block in self.blocks.items()]}

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Reply:
        return cls(**data | {"blocks": dict(data["blocks"])})

    def tool(self, name: str) -> dict[str, Any] | None:
        """The block that calls the tool ``name``."""
        calls = (b for b in self.blocks.values() if b["type"] == "tool_use" and b.get("name") == name)
        return next(calls, None)

    def open(self, headers: httpx2.Headers) -> None:
        self.opened = True
        self.request_id = one_line(headers.get("x-amzn-requestid", ""), _LONGEST_WORD)
        self.simulated = SIMULATOR_HEADER in headers

    def add(self, event: dict[str, Any]) -> None:
        """Take one event of the stream in.

        :raises StreamBrokenError: the event is not what its type promises
        """
        try:
            self._take(event)
        except (AttributeError, KeyError, TypeError, ValueError):
            raise StreamBrokenError(
                f"An event of the answer ({one_line(event.get('type'), _LONGEST_WORD)}) makes no sense.",
                hint="A retry may help; if it stays, the endpoint doesn't speak Bedrock's format.",
            ) from None

    def _take(self, event: dict[str, Any]) -> None:
        match event:
            case {"type": "message_start", "message": message}:
                self.model = one_line(message["model"], _LONGEST_WORD)
                self._count(message.get("usage"))
            case {"type": "content_block_start", "index": index, "content_block": block}:
                self.blocks[index] = {
                    "type": block["type"],
                    **block,
                    **({"input": ""} if "input" in block else {}),
                }
            case {"type": "content_block_delta", "index": index, "delta": delta}:
                if grown := _GROWING.get(delta["type"]):
                    # Half of a character could neither be kept nor sent back.
                    piece = HALVES.sub("\ufffd", delta["partial_json" if grown == "input" else grown])
                    self.blocks[index][grown] = self.blocks[index].get(grown, "") + piece
            case {"type": "message_delta", "delta": delta}:
                if reason := delta.get("stop_reason"):
                    self.stop_reason = one_line(reason, _LONGEST_WORD)
                self._count(event.get("usage"))

    def _count(self, usage: dict[str, Any] | None) -> None:
        """Counts are running totals: a later one replaces an earlier one."""
        for theirs, ours in _COUNTS.items():
            if (count := (usage or {}).get(theirs)) is not None:
                if not 0 <= int(count) <= _MOST_TOKENS:
                    raise ValueError(f"{theirs} can't be {count}")
                self.counts[ours] = int(count)


Ask = Callable[[dict[str, Any]], Awaitable[Reply]]
"""Makes one call with the arguments of ``client.messages.create`` and gives its complete answer."""


def asking(client: AsyncAnthropicBedrock, subject: str) -> Ask:
    """The plain way to ask: nothing is recorded, limited or repeated.

    :param subject: what the calls are for, in a log's words
    """

    async def plainly(payload: dict[str, Any]) -> Reply:
        return await ask(client, payload, subject=subject)

    return plainly


async def ask(
    client: AsyncAnthropicBedrock, payload: dict[str, Any], *, subject: str, reply: Reply | None = None
) -> Reply:
    """Make one call and read its answer to the end.

    Cancelling it closes its connection at once.

    :param payload: arguments of ``client.messages.create``
    :param subject: what the call is for, in a log's words
    :param reply: an empty one that is filled, for a caller who wants to see how far a cancelled call came
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
                reply.add(event.to_dict())
    except foreign_errors() as error:
        failure = claude_failure(error, place=_place(client, payload["model"]))
    except ClaudeError as error:
        failure = error
    seconds = time.monotonic() - started
    if failure is None and reply.stop_reason is None:
        failure = StreamBrokenError(
            f"The answer of model '{payload['model']}' ended too early: it has no stop reason.",
            hint="A retry may help.",
        )
    if failure is not None:
        failure.request_id = failure.request_id or reply.request_id
        failure.usage = reply.billed.model_dump() if reply.opened else {}
        log.info(
            "%s: %s after %.1f s, request %s.",
            subject,
            type(failure).__name__,
            seconds,
            failure.request_id or "-",
        )
        raise failure
    _log_answer(reply, payload["model"], subject, seconds)
    return reply


def _place(client: AsyncAnthropicBedrock, model: str) -> str:
    """What was asked, for a message; a client of the hook's knows its connection."""
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


def tool_input(block: dict[str, Any]) -> Any:
    """A tool's input as a value; an empty object when it isn't JSON (the API insists on an object)."""
    try:
        value = json.loads(block["input"])
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
