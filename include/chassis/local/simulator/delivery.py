"""Sending the answer, and breaking the connection while at it where a fault says so."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from aiohttp import web

from chassis import __version__
from chassis.local.simulator import eventstream
from chassis.local.simulator.faults import exception_of
from chassis.local.simulator.wire_message import Reply, TokenCount, stream_events, whole_message

if TYPE_CHECKING:
    from chassis.local.simulator.request_log import Entry
    from chassis.local.simulator.scenario import FaultRule
    from chassis.local.simulator.simulator_errors import ApiError

_RESET_ON_CLOSE = struct.pack(
    "ii", 1, 0
)  # SO_LINGER on, zero seconds: the peer gets RST instead of an orderly end


def common_headers(request_id: str) -> dict[str, str]:
    """The headers of every answer, errors included."""
    return {"x-amzn-requestid": request_id, "x-chassis-simulator": __version__}


def error_response(error: ApiError, request_id: str) -> web.Response:
    """An error in AWS's shape (its type in a header, with AWS's suffix; a message in the body), or in Anthropic's."""
    headers = common_headers(request_id)
    if error.retry_after is not None:
        headers["retry-after"] = f"{error.retry_after:g}"
    if error.form == "anthropic":
        return web.json_response(_anthropic_error(error), status=error.status, headers=headers)
    suffix = "http://internal.amazon.com/coral/com.amazon.bedrock/"
    headers["x-amzn-errortype"] = f"{error.error_type}:{suffix}"
    return web.json_response({"message": error.message}, status=error.status, headers=headers)


async def send_error_in_stream(http: web.Request, error: ApiError, request_id: str) -> web.StreamResponse:
    """The error as the first and only frame of a stream that is opened with status 200."""
    response = web.StreamResponse(headers=_stream_headers(request_id))
    if error.form == "anthropic":
        frame = eventstream.chunk_frame(_anthropic_error(error))
    else:
        name = error.error_type[:1].lower() + error.error_type[1:]
        frame = eventstream.exception_frame(name, error.message)
    with contextlib.suppress(ConnectionError):  # the caller has left
        await response.prepare(http)
        await response.write(frame)
        await response.write_eof()
    return response


def _anthropic_error(error: ApiError) -> dict[str, Any]:
    return {"type": "error", "error": {"type": error.anthropic_type, "message": error.message}}


def _stream_headers(request_id: str) -> dict[str, str]:
    return common_headers(request_id) | {
        "content-type": eventstream.CONTENT_TYPE,
        "x-amzn-bedrock-content-type": "application/json",
    }


class _BrokenOffError(Exception):
    """The server itself has cut the connection."""


@dataclass(frozen=True)
class Delivery:
    """One answer on its way. ``fault`` is a fault of the wire or None."""

    http: web.Request
    entry: Entry
    reply: Reply
    tokens: TokenCount
    fault: FaultRule | None

    async def send(self) -> web.StreamResponse:
        """Answer in the form that was asked for."""
        return await (self._send_stream() if self.entry.stream else self._send_whole())

    @property
    def _message_id(self) -> str:
        return f"msg_bdrk_{self.entry.request_id.replace('-', '')[:24]}"

    async def _send_whole(self) -> web.StreamResponse:
        if self.fault is not None:  # stall or reset: the others need a stream
            with contextlib.suppress(_BrokenOffError):
                await self._break_off(self.fault)
            return web.Response(status=500)  # never leaves: the connection is gone
        self._note_answer(self.tokens)
        headers = common_headers(self.entry.request_id) | {
            "x-amzn-bedrock-input-token-count": str(self.tokens.input),
            "x-amzn-bedrock-output-token-count": str(self.tokens.output),
        }
        return web.json_response(whole_message(self.reply, self._message_id, self.tokens), headers=headers)

    async def _send_stream(self) -> web.StreamResponse:
        response = web.StreamResponse(headers=_stream_headers(self.entry.request_id))
        # A stream that breaks never gets to message_delta, where the output tokens are told.
        self._note_answer(self.tokens if self.fault is None else replace(self.tokens, output=1))
        try:
            await response.prepare(self.http)
            events = list(stream_events(self.reply, self._message_id, self.tokens))
            for event in self._events_before_fault(events):
                await response.write(eventstream.chunk_frame(event))
            if self.fault is not None:
                await self._fail_in_stream(self.fault, response)
            await response.write_eof()
        except _BrokenOffError:
            pass
        except ConnectionError:  # the caller has left, which is no error
            self.entry.disconnected = True
        return response

    def _note_answer(self, told: TokenCount) -> None:
        self.entry.status = 200
        self.entry.usage = told.as_usage()

    def _events_before_fault(self, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if self.fault is None:
            return events
        if self.fault.fault == "truncate":
            return [event for event in events if event["type"] not in ("message_delta", "message_stop")]
        return events[: len(events) // 2]

    async def _fail_in_stream(self, fault: FaultRule, response: web.StreamResponse) -> None:
        if fault.fault == "exception_frame":
            await response.write(eventstream.exception_frame(*exception_of(fault)))
        elif fault.fault in ("stall", "reset"):
            await self._break_off(fault)

    async def _break_off(self, fault: FaultRule) -> None:
        """Reset the connection, for a stall after its silence.

        A silence without an end is over when the caller leaves or the server stops: both cancel this task.

        :raises _BrokenOffError: always, as nothing can be sent any more
        """
        if fault.fault == "stall":
            await asyncio.sleep(fault.seconds if fault.seconds is not None else float(10**9))
        transport = self.http.transport
        if transport is not None:
            connection = transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            transport.abort()
        raise _BrokenOffError
