"""Whatever a server, or a proxy before it, refuses with: one error of Chassis's own, with a way out and no secret.

The refusals go over a wire, through the SDK's own decoding: of any status, in AWS's shape, in Anthropic's and in none,
before a stream and as its first frame or after an answer has begun.
"""

from __future__ import annotations

import asyncio
import json
import pickle
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from chassis.claude.reply import call_once
from chassis.dag.retry import ClaudeRetryPolicy
from chassis.errors import ClaudeError, restore_error
from chassis.local.simulator import ACCESS_KEY, SECRET_KEY
from chassis.local.simulator.eventstream import chunk_frame, encode_frame, exception_frame
from tests.integration.claude.wire import MODEL, PROMPT, ScriptedBedrock
from tests.integration.ledger.streams import JUNK, OPENING, block

if TYPE_CHECKING:
    from tests.integration.claude.conftest import Connect

ECHO = "<what was sent>"
"""Stands for the headers of a request that was made, signature and all."""
STATUSES = [300, 302, 400, 401, 402, 403, 404, 405, 408, 409, 413, 418, 422, 424, 429, 451, 499]
STATUSES += [500, 501, 502, 503, 504, 507, 520, 529, 599]
NAMES = [
    *("AccessDenied", "ExpiredToken", "InternalServer", "ModelError", "ModelNotReady", "ModelStreamError"),
    *("ModelTimeout", "ResourceNotFound", "ServiceQuotaExceeded", "ServiceUnavailable", "Throttling"),
    *("UnrecognizedClient", "Validation", "BrandNew"),
]
KINDS = [
    *("api_error", "authentication_error", "invalid_request_error", "not_found_error", "overloaded_error"),
    *("permission_error", "rate_limit_error", "request_too_large", "timeout_error", "of_the_future", ""),
]
PER_DAY = "Too many tokens per day, please wait before trying again."
WORDS = st.sampled_from(
    [
        "",
        "Words.",
        PER_DAY,
        "Too many tokens, please wait before trying again.",
        "Too many connections, please wait before trying again.",
        "Bedrock is unable to process your request.",
        "Operation not allowed",
        "output_config.format: Extra inputs are not permitted",
        "line\nline \x1b[31m\u2028" + "x" * 2_000,
        ECHO,
        f"The signature of {ECHO} does not match.",
    ]
)
SHAPES = st.one_of(
    WORDS.map(lambda words: {"message": words}),
    WORDS.map(lambda words: {"Message": words}),
    st.builds(
        lambda kind, words: {"type": "error", "error": {"type": kind, "message": words}},
        st.sampled_from(KINDS) | JUNK,
        WORDS | JUNK,
    ),
    st.builds(lambda words, rest: {"error": words, "message": rest}, WORDS | JUNK, JUNK),
    JUNK,
)


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode(errors="surrogatepass")


BODIES = st.one_of(
    SHAPES.map(as_json),
    WORDS.map(lambda words: f"<html><body>{words}</body></html>".encode()),
    st.sampled_from([b"", b"\xff\xfe", b"{", b"[" * 5_000, b"null", b"NaN"]),
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "content-type": st.sampled_from(["application/json", "text/html", "application/octet-stream", "x"]),
        "x-amzn-errortype": st.sampled_from(
            [
                *(f"{name}Exception:http://internal/" for name in NAMES),
                *(f"{name}Exception" for name in NAMES),
                ":",
            ]
        ),
        "x-amzn-requestid": st.sampled_from(["r-1", "", "x" * 500]),
        "retry-after": st.sampled_from(
            ["5", "0.5", "-1", "soon", "nan", "inf", "1e300", "Wed, 21 Oct 2026 07:28:00 GMT"]
        ),
    },
)
Sent = Callable[[str], bytes]
"""A frame, given what the request's headers were: it has a checksum, so they are put in before it is made."""


def aws_frame(name: str, words: str) -> Sent:
    return lambda sent: exception_frame(name[:1].lower() + name[1:] + "Exception", words.replace(ECHO, sent))


def anthropic_frame(kind: Any, words: str) -> Sent:
    return lambda sent: chunk_frame(
        {"type": "error", "error": {"type": kind, "message": words.replace(ECHO, sent)}}
    )


def shapeless_frame(name: str, body: bytes) -> Sent:
    headers = {":message-type": "exception", ":exception-type": name}
    return lambda sent: encode_frame(headers, body.replace(ECHO.encode(), sent.encode()))


FRAMES = st.one_of(
    st.builds(aws_frame, st.sampled_from(NAMES), WORDS),
    st.builds(anthropic_frame, st.sampled_from(KINDS) | JUNK, WORDS),
    st.builds(shapeless_frame, st.sampled_from(NAMES), BODIES),
)
BEGUN = chunk_frame(OPENING) + chunk_frame(block(0, type="text", text="Half an ans"))
REFUSALS = st.one_of(
    st.tuples(st.sampled_from(STATUSES), HEADERS, BODIES),
    st.tuples(st.sampled_from([b"", BEGUN]), FRAMES),
)


def test_any_refusal_is_one_error_with_a_way_out_and_nothing_secret(
    connect: Connect, figure: Callable[[str], None]
) -> None:
    seen: dict[str, int] = {}
    with ScriptedBedrock([(400, {})]) as server, asyncio.Runner() as runner:
        connect.to(server.url)
        ask, close = runner.run(opened())
        fail(runner, ask)
        headers = server.headers[0]
        # What matters comes first: a quote is cut.
        sent = json.dumps({"authorization": headers["authorization"], **headers})
        secrets = [headers["authorization"].rpartition("=")[2], SECRET_KEY, ACCESS_KEY, PROMPT]

        @settings(max_examples=250, deadline=None)
        @given(REFUSALS)
        def hold(refusal: Any) -> None:
            server.script[:] = [with_echo(refusal, sent)]
            before = len(server.bodies)
            error = fail(runner, ask)
            seen[type(error).__name__] = seen.get(type(error).__name__, 0) + 1
            assert len(server.bodies) == before + 1, "one request, whatever it was refused with"
            check(error, secrets)

        hold()
        runner.run(close())
    figure(f"refusals of any kind: {', '.join(f'{name} {count}' for name, count in sorted(seen.items()))}")
    assert len(seen) > 6


async def opened() -> tuple[Any, Any]:
    from chassis.claude.hook import ClaudeBedrockHook

    client = await ClaudeBedrockHook("claude_bedrock").aclient()
    return partial(call_once, client, subject="a test"), client.close


def fail(runner: asyncio.Runner, ask: Any) -> ClaudeError:
    payload = {"model": MODEL, "max_tokens": 9, "messages": [{"role": "user", "content": PROMPT}]}
    try:
        runner.run(ask(payload))
    except ClaudeError as error:
        return error
    raise AssertionError("A refusal was taken for an answer.")


def with_echo(refusal: Any, sent: str) -> Any:
    """The refusal of a server that repeats what it was sent."""
    sent = sent.replace('"', "'")
    if len(refusal) == 2:
        before, frame = refusal
        return before + frame(sent)
    status, headers, body = refusal
    return status, headers, body.replace(ECHO.encode(), sent.encode())


def check(error: ClaudeError, secrets: list[str]) -> None:
    assert error.message.strip().endswith((".", "..."))
    assert "\n" not in error.message
    assert error.hint
    assert error.__cause__ is None
    assert error.__context__ is None
    told = json.dumps(error.describe(), allow_nan=False)
    for secret in secrets:
        assert secret not in told
        assert secret.encode() not in pickle.dumps(error)
    assert restore_error(json.loads(told)).describe() == error.describe()
    ClaudeRetryPolicy().evaluate(error, 1, 3)
