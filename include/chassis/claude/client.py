"""The SDK's client for Bedrock, with the three things that a long-lived Airflow process needs changed.

It signs each request with the live credentials of an AWS session (the SDK copies keys once, so an assumed
role would run out), it speaks the ``anthropic_version`` of the connection, and it repeats nothing by itself:
each request is one call, which its caller paces, counts and repeats (see ``chassis.ledger.paid_calls``).

Importing this module imports the Claude SDK (seconds of CPU): only functions import it, in a thread.
"""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import anthropic  # noqa: TID253  this module is imported inside functions only
import httpx2  # noqa: TID253
from anthropic._streaming import ServerSentEvent  # noqa: TID253
from anthropic.lib.bedrock._stream_decoder import (  # noqa: TID253
    AWSEventStreamDecoder,
    get_response_stream_shape,
)

from chassis.claude.models import SILENCE_SECONDS, facts_of, told_thinking

if TYPE_CHECKING:
    from anthropic._models import FinalRequestOptions
    from botocore.credentials import Credentials
    from botocore.eventstream import EventStreamMessage

    from chassis.claude.access import BedrockAccess

_TALKATIVE = ("anthropic", "botocore.auth", "botocore.parsers")
"""Loggers that at DEBUG write what belongs in no log: whole prompts, session tokens, answers."""


class BedrockClient(anthropic.AsyncAnthropicBedrock):
    """A client of one Airflow connection.

    :ivar conn_id: the connection's id, for messages
    :ivar quick_retries: how often a call may be repeated at once, for its caller
    :ivar max_in_flight: calls that may be in flight at once to one model, for their caller
    """

    def __init__(self, access: BedrockAccess) -> None:
        for name in _TALKATIVE:
            logging.getLogger(name).setLevel(logging.INFO)
        options = access.options
        timeout = httpx2.Timeout(
            options.timeout_seconds or SILENCE_SECONDS, connect=options.connect_timeout_seconds
        )
        super().__init__(
            aws_region=access.region,
            base_url=access.endpoint,
            timeout=timeout,
            max_retries=0,
            http_client=anthropic.DefaultAsyncHttpxClient(
                timeout=timeout, follow_redirects=False, verify=_tls_context(access.verify)
            ),
            # Said here, so that no ANTHROPIC_OPEN_TELEMETRY* variable has the SDK's spans hold prompts and answers.
            open_telemetry={"traces": {"content_mode": "metadata_only"}},
        )
        # The SDK takes a token from the environment by itself; whether that is wanted, the hook has decided.
        self.api_key = None
        self.conn_id = access.conn_id
        self.quick_retries = options.max_retries
        self.max_in_flight = options.max_in_flight
        self._auth = access.auth
        self._options = options

    def _make_sse_decoder(self) -> AWSEventStreamDecoder:
        return _Decoder()

    async def _prepare_options(self, options: FinalRequestOptions) -> FinalRequestOptions:
        if isinstance(options.json_data, dict):
            options.json_data = {"anthropic_version": self._options.anthropic_version, **options.json_data}
            if self._options.timeout_seconds is None:
                options.timeout = self._silence(options.json_data)
        return await super()._prepare_options(options)

    def _silence(self, payload: dict[str, Any]) -> httpx2.Timeout:
        """How long this request's model may be silent, where the connection says nothing."""
        silence = facts_of(self._options.behind(str(payload.get("model")))).silence_seconds(
            told_thinking(payload)
        )
        return httpx2.Timeout(silence, connect=self._options.connect_timeout_seconds)

    async def _prepare_request(self, request: httpx2.Request) -> None:
        if isinstance(self._auth, str):
            request.headers["Authorization"] = f"Bearer {self._auth}"
        else:
            # In a thread: credentials that have run out are renewed by a call to AWS.
            request.headers.update(await asyncio.to_thread(self._signed, request, self._auth))

    def _signed(self, request: httpx2.Request, credentials: Credentials) -> dict[str, str]:
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest

        # A proxy may drop the connection header, so it may not be signed.
        headers = {name: value for name, value in request.headers.items() if name.lower() != "connection"}
        signed = AWSRequest(request.method.upper(), str(request.url), headers=headers, data=request.read())
        SigV4Auth(credentials.get_frozen_credentials(), "bedrock", self.aws_region).add_auth(signed)
        return {name: value for name, value in signed.prepare().headers.items() if value is not None}


class _Decoder(AWSEventStreamDecoder):
    """Reads what a stream's exception frame says, whatever its name; the SDK drops the words of one it doesn't know."""

    def _parse_message_from_event(self, event: EventStreamMessage) -> ServerSentEvent | None:
        frame = event.to_response_dict()
        if frame["status_code"] == HTTPStatus.OK:
            return super()._parse_message_from_event(event)
        headers = frame["headers"]
        name = headers.get(":exception-type") or headers.get(":error-code") or ""
        words = headers.get(":error-message") or _words(frame["body"])
        error = {"type": "error", "error": {"type": str(name), "message": str(words)}}
        return ServerSentEvent(data=json.dumps(error), event="error")


def _words(body: bytes) -> object:
    """The message of a frame's body: of AWS's form, of Anthropic's, or of none."""
    text = body.decode(errors="replace")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if not isinstance(data, dict):
        return text
    inner = data.get("error")
    told = (inner if isinstance(inner, dict) else data).get("message") or data.get("Message") or inner
    return told or text


@lru_cache(maxsize=8)
def _tls_context(verify: bool | str | None) -> ssl.SSLContext:
    """Loading the authorities costs 20 ms each time, which a client of its own for each call would pay."""
    if isinstance(verify, str):
        return ssl.create_default_context(cafile=verify)
    return httpx2.create_ssl_context(verify=verify is not False)


def warm_up() -> None:
    """Load what the first answer would otherwise load on the event loop."""
    get_response_stream_shape()
