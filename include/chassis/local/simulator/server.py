"""Bedrock's two endpoints: who calls, what is asked, which rule applies, and the answer."""

from __future__ import annotations

import asyncio
import json
import uuid
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import unquote

from aiohttp import web

from chassis.local.simulator.body_checks import check_body
from chassis.local.simulator.claude_request import ClaudeRequest
from chassis.local.simulator.control_api import ControlApi
from chassis.local.simulator.delivery import Delivery, error_response, send_error_in_stream
from chassis.local.simulator.faults import error_for, spoil
from chassis.local.simulator.model_refusals import as_throttled, check_features
from chassis.local.simulator.prompt_cache import count_tokens, prompt_tokens
from chassis.local.simulator.reply_forms import as_played, make_reply, within
from chassis.local.simulator.scenario import WIRE_FAULTS
from chassis.local.simulator.sigv4 import SignedRequest, verify
from chassis.local.simulator.simulator_errors import ApiError
from chassis.local.simulator.thinking_blocks import thought_for
from chassis.local.simulator.wire_message import TokenCount

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chassis.local.simulator.model_files import Model
    from chassis.local.simulator.prompt_cache import Prompt
    from chassis.local.simulator.quota import Place
    from chassis.local.simulator.request_log import Entry
    from chassis.local.simulator.scenario import AnswerRule
    from chassis.local.simulator.server_state import State
    from chassis.local.simulator.wire_message import Reply

_MAX_BODY = 64 * 1024 * 1024
_STREAM = "invoke-with-response-stream"


def application(state: State) -> web.Application:
    """The server's routes over the given state."""
    app = web.Application(client_max_size=_MAX_BODY)
    # One catch-all: the router's own decoding would lose the %2F of an ARN, which the signature covers.
    app.router.add_post("/model/{rest:.*}", _Bedrock(state).invoke)
    ControlApi(state).add_to(app)
    return app


class _Bedrock:
    def __init__(self, state: State) -> None:
        self._state = state

    async def invoke(self, http: web.Request) -> web.StreamResponse:
        """Answer one call and log it, whatever becomes of it."""
        model, operation = _read_path(http.raw_path)
        entry = self._state.log.begin(str(uuid.uuid4()), model, operation == _STREAM)
        try:
            if operation not in ("invoke", _STREAM):
                raise ApiError(404, "UnknownOperationException", f"Unknown operation: {operation}.")
            request, played = await self._read(http, entry)
            with self._admitted(request, played) as place:
                return await self._answer(http, entry, request, played, place)
        except asyncio.CancelledError:
            entry.disconnected = not self._state.stopping
            raise
        except ApiError as error:
            if error.in_stream and entry.stream:
                entry.status = 200
                return await send_error_in_stream(http, error, entry.request_id)
            entry.status = error.status
            return error_response(error, entry.request_id)
        finally:
            self._state.log.end(entry)

    async def _read(self, http: web.Request, entry: Entry) -> tuple[ClaudeRequest, Model]:
        body = await http.read()
        headers = {name.lower(): ",".join(http.headers.getall(name)) for name in http.headers}
        verify(SignedRequest(http.method, http.raw_path, headers, body))
        played = self._state.cast.model(entry.model)
        try:
            data = json.loads(body)
        except ValueError:
            data = None
        request = ClaudeRequest(entry.model, check_body(data, played), entry.stream)
        self._state.log.describe(entry, request, len(body))
        check_features(request.body, played)
        return request, played

    @contextmanager
    def _admitted(self, request: ClaudeRequest, played: Model) -> Iterator[Place]:
        reserved = prompt_tokens(request.body) + int(request.body["max_tokens"])
        with ExitStack() as inside:
            try:
                place = inside.enter_context(self._state.gate.admitted(request.model, reserved))
            except ApiError as error:
                raise (as_throttled(error, played) if request.stream else error) from None
            yield place

    async def _answer(
        self, http: web.Request, entry: Entry, request: ClaudeRequest, played: Model, place: Place
    ) -> web.StreamResponse:
        # Picked after the quota, whose refusals use up no rule, and before the wait, so that rules hit
        # requests in the order of their arrival.
        fault, answer = self._state.faults.pick(request), self._state.answers.pick(request)
        # Looked up on arrival and stored as the answer begins: calls side by side all miss what they share.
        prompt = self._state.cache.look_up(request.model, request.body, minimum=played.cache_minimum)
        await self._state.latency.wait()
        if fault is not None:
            entry.fault = fault.fault
            if error := error_for(fault):
                raise error
        reply = as_played(make_reply(request, answer), request, played)
        if fault is not None:
            reply = spoil(fault, request, reply)
        reply = within(
            replace(reply, thought=thought_for(request.body, played)), int(request.body["max_tokens"])
        )
        self._state.cache.store(prompt)
        wire_fault = fault if fault is not None and fault.fault in WIRE_FAULTS else None
        tokens = _given(answer) or _counted(prompt, reply)
        try:
            return await Delivery(http, entry, reply, tokens, wire_fault).send()
        finally:
            place.settle(tokens)


def _counted(prompt: Prompt, reply: Reply) -> TokenCount:
    thinking = reply.thought.tokens if reply.thought else 0
    return prompt.count(thinking + (count_tokens(reply.said) if reply.said or not thinking else 0), thinking)


def _given(rule: AnswerRule | None) -> TokenCount | None:
    if rule is None or rule.usage is None:
        return None
    return TokenCount(rule.usage.input_tokens, 0, 0, rule.usage.output_tokens)


def _read_path(raw_path: str) -> tuple[str, str]:
    """Model id and operation of ``/model/{id}/{operation}``."""
    model, _, operation = raw_path.partition("?")[0].removeprefix("/model/").rpartition("/")
    return unquote(model), operation
