"""The HTTP server: who may call, what is asked, and the answer on the wire."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from chassis import __version__
from chassis.simulator import eventstream
from chassis.simulator.answers import make_reply
from chassis.simulator.errors import ApiError
from chassis.simulator.message import Reply, TokenCount, stream_events, whole_message
from chassis.simulator.request import ClaudeRequest
from chassis.simulator.sigv4 import AuthError, SignedRequest, verify
from chassis.simulator.usage import PromptCache

_MAX_BODY = 64 * 1024 * 1024


class Wire:
    """The request handlers and the state behind them. Lives in one event loop and is touched from nowhere else."""

    def __init__(self, *, latency: float) -> None:
        self.latency = latency
        self._cache = PromptCache()

    def application(self) -> web.Application:
        app = web.Application(client_max_size=_MAX_BODY)
        app.router.add_post("/model/{rest:.*}", self.invoke)
        return app

    async def invoke(self, http: web.Request) -> web.StreamResponse:
        request_id = str(uuid.uuid4())
        try:
            request = await _read(http)
            await asyncio.sleep(self.latency)
            return await self._answer(http, request, request_id)
        except ApiError as error:
            return error_response(error, request_id)

    async def _answer(self, http: web.Request, request: ClaudeRequest, request_id: str) -> web.StreamResponse:
        prompt = self._cache.look_up(request.model, request.body)
        reply = make_reply(request)
        tokens = prompt.count(reply.text)
        self._cache.store(prompt)
        if request.stream:
            return await self._stream(http, reply, tokens, request_id)
        return web.json_response(whole_message(reply, _message_id(request_id), tokens), headers=_headers(request_id))

    async def _stream(
        self, http: web.Request, reply: Reply, tokens: TokenCount, request_id: str
    ) -> web.StreamResponse:
        response = web.StreamResponse(
            headers=_headers(request_id)
            | {"Content-Type": eventstream.CONTENT_TYPE, "X-Amzn-Bedrock-Content-Type": "application/json"}
        )
        await response.prepare(http)
        for event in stream_events(reply, _message_id(request_id), tokens):
            await response.write(eventstream.chunk_frame(event))
        await response.write_eof()
        return response


def _message_id(request_id: str) -> str:
    return f"msg_bdrk_{request_id.replace('-', '')[:24]}"


def _headers(request_id: str) -> dict[str, str]:
    return {"x-amzn-requestid": request_id, "x-chassis-simulator": __version__}


def error_response(error: ApiError, request_id: str) -> web.Response:
    headers = _headers(request_id) | {"x-amzn-errortype": f"{error.error_type}:http://internal.amazon.com/coral/com.amazon.bedrock/"}
    if error.retry_after is not None:
        headers["retry-after"] = f"{error.retry_after:g}"
    return web.json_response({"message": error.message}, status=error.status, headers=headers)


async def _read(http: web.Request) -> ClaudeRequest:
    body = await http.read()
    headers = {name.lower(): ",".join(http.headers.getall(name)) for name in http.headers}
    try:
        verify(SignedRequest(http.method, http.raw_path, headers, body))
    except AuthError as error:
        raise ApiError(403, error.error_type, error.message) from None
    path = http.raw_path.partition("?")[0]
    model, _, operation = path.removeprefix("/model/").rpartition("/")
    if operation not in ("invoke", "invoke-with-response-stream"):
        raise ApiError(404, "UnknownOperationException", f"Unknown operation: {operation}")
    model = unquote(model)
    if "anthropic.claude" not in model:
        raise ApiError(400, "ValidationException", "The provided model identifier is invalid.")
    try:
        data: Any = json.loads(body)
    except ValueError:
        raise ApiError(400, "ValidationException", "Malformed input request, please reformat your input and try again.") from None
    return ClaudeRequest(model, data, operation == "invoke-with-response-stream")
