"""The SDK's Bedrock client, changed in three ways for a long-lived Airflow process.

It signs each request with an AWS session's live credentials (the SDK copies keys once, so an assumed role would
expire), it sends the connection's ``anthropic_version``, and it never repeats a request: its caller paces, counts and
repeats calls (see ``chassis.ledger.paid_calls``).

Importing this module imports the Claude SDK (seconds of CPU), so import it only inside functions, in a thread.
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
"""Loggers that write prompts, session tokens and answers at DEBUG; none of that belongs in a log."""


class BedrockClient(anthropic.AsyncAnthropicBedrock):
    """A client for one Airflow connection.

    :ivar quick_retries: how often the caller may repeat a call at once
    :ivar max_in_flight: how many calls to one model the caller may have in flight at once
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
            # Set here, so that no ANTHROPIC_OPEN_TELEMETRY* variable makes the SDK's spans hold prompts and answers.
            open_telemetry={"traces": {"content_mode": "metadata_only"}},
        )
        # The SDK would take a token from the environment by itself; the hook has already decided whether to use it.
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
        """How long this request's model may stay silent, if the connection doesn't say."""
        silence = facts_of(self._options.behind(str(payload.get("model")))).silence_seconds(
            told_thinking(payload)
        )
        return httpx2.Timeout(silence, connect=self._options.connect_timeout_seconds)

    async def _prepare_request(self, request: httpx2.Request) -> None:
        if isinstance(self._auth, str):
            request.headers["Authorization"] = f"Bearer {self._auth}"
        else:
            # In a thread: renewing expired credentials calls AWS.
            request.headers.update(await asyncio.to_thread(self._signed, request, self._auth))

    def _signed(self, request: httpx2.Request, credentials: Credentials) -> dict[str, str]:
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest

        # A proxy may drop the connection header, so don't sign it.
        headers = {name: value for name, value in request.headers.items() if name.lower() != "connection"}
        signed = AWSRequest(request.method.upper(), str(request.url), headers=headers, data=request.read())
        SigV4Auth(credentials.get_frozen_credentials(), "bedrock", self.aws_region).add_auth(signed)
        return {name: value for name, value in signed.prepare().headers.items() if value is not None}


class _Decoder(AWSEventStreamDecoder):
    """Reads the message of a stream's exception frame, whatever its name; the SDK drops messages of unknown ones."""

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
    """The message in a frame's body, in AWS's form, Anthropic's, or neither."""
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
    """Cached: loading the authorities takes 20 ms, which each call with its own client would pay."""
    if isinstance(verify, str):
        return ssl.create_default_context(cafile=verify)
    return httpx2.create_ssl_context(verify=verify is not False)


def warm_up() -> None:
    """Load what the first answer would otherwise load on the event loop."""
    get_response_stream_shape()
