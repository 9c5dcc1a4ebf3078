"""The verification, judged by botocore's signer: what it signs passes, nothing that was changed after it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from unittest.mock import patch
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from chassis.local.simulator.sigv4 import (
    ACCESS_KEY,
    BEARER_TOKEN,
    SECRET_KEY,
    SignedRequest,
    verify,
)
from chassis.local.simulator.simulator_errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable

MODEL = "http://127.0.0.1:8788/model/us.anthropic.claude-opus-4-6-v1"
ARN = "http://127.0.0.1:8788/model/arn:aws:bedrock:eu-central-1::foundation-model%2Fanthropic.claude-opus-4-6-v1%3A0"


def signed(
    url: str = f"{MODEL}/invoke",
    *,
    body: bytes = b'{"max_tokens": 1}',
    access: str = ACCESS_KEY,
    secret: str = SECRET_KEY,
    token: str | None = None,
    region: str = "eu-central-1",
    service: str = "bedrock",
    headers: dict[str, str] | None = None,
    at: datetime | None = None,
) -> SignedRequest:
    request = AWSRequest(
        "POST", url, headers={"Content-Type": "application/json"} | (headers or {}), data=body
    )
    with patch("botocore.auth.get_current_datetime", return_value=at or datetime.now(UTC)):
        SigV4Auth(Credentials(access, secret, token), service, region).add_auth(request)
    parts = urlsplit(url)
    sent = {name.lower(): value for name, value in request.headers.items()} | {"host": parts.netloc}
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    return SignedRequest("POST", target, sent, body)


@pytest.mark.parametrize(
    "request_",
    [
        lambda: signed(),
        lambda: signed(f"{MODEL}:0/invoke-with-response-stream"),
        lambda: signed(f"{ARN}/invoke"),
        lambda: signed(f"{MODEL}/invoke?b=2&a=1&a=0&empty="),
        lambda: signed(region="us-west-2"),
        lambda: signed(token="a/session+token=="),
        lambda: signed(body=b""),
        lambda: signed(body="Grüße \U0001f600".encode()),
        lambda: signed(headers={"X-Many": "  two   spaces  ", "User-Agent": "x/1 (y; z)"}),
        lambda: signed(at=datetime.now(UTC) - timedelta(minutes=4)),
    ],
    ids=[
        "plain",
        "colon",
        "arn",
        "query",
        "region",
        "session token",
        "empty",
        "unicode",
        "headers",
        "slow clock",
    ],
)
def test_what_botocore_signs_passes(request_: Callable[[], SignedRequest]) -> None:
    verify(request_())


def _without(name: str) -> Callable[[SignedRequest], SignedRequest]:
    return lambda good: replace(
        good, headers={key: value for key, value in good.headers.items() if key != name}
    )


def _with(name: str, value: str) -> Callable[[SignedRequest], SignedRequest]:
    return lambda good: replace(good, headers={**good.headers, name: value})


@pytest.mark.parametrize(
    ("change", "error_type"),
    [
        (lambda good: replace(good, body=good.body + b" "), "InvalidSignatureException"),
        (
            lambda good: replace(good, target=good.target + "-with-response-stream"),
            "InvalidSignatureException",
        ),
        (lambda good: replace(good, target=good.target + "?x=1"), "InvalidSignatureException"),
        (lambda good: replace(good, method="PUT"), "InvalidSignatureException"),
        (_with("content-type", "text/plain"), "InvalidSignatureException"),
        (_with("host", "bedrock.example.com"), "InvalidSignatureException"),
        (_without("content-type"), "InvalidSignatureException"),
        (_with("x-amz-security-token", "not signed"), "InvalidSignatureException"),
        (_without("x-amz-date"), "IncompleteSignatureException"),
        (_without("authorization"), "MissingAuthenticationTokenException"),
        (_with("authorization", "AWS4-HMAC-SHA256 Credential=x"), "IncompleteSignatureException"),
        (_with("authorization", "Basic c2ltdWxhdGVk"), "IncompleteSignatureException"),
        (_with("authorization", "Bearer something-else"), "AccessDeniedException"),
    ],
    ids=[
        "body",
        "path",
        "query",
        "method",
        "header",
        "host",
        "signed header missing",
        "token not signed",
        "no date",
        "no authorization",
        "cut authorization",
        "other scheme",
        "wrong bearer token",
    ],
)
def test_a_request_changed_after_signing_is_refused(
    change: Callable[[SignedRequest], SignedRequest], error_type: str
) -> None:
    with pytest.raises(ApiError) as refused:
        verify(change(signed()))
    assert refused.value.error_type == error_type


@pytest.mark.parametrize(
    ("request_", "error_type", "words"),
    [
        (lambda: signed(secret="wrong"), "InvalidSignatureException", "does not match"),
        (lambda: signed(access="AKIAOTHER"), "UnrecognizedClientException", "security token"),
        (lambda: signed(service="s3"), "InvalidSignatureException", "correct service"),
        (
            lambda: signed(at=datetime.now(UTC) - timedelta(minutes=6)),
            "InvalidSignatureException",
            "earlier than",
        ),
        (
            lambda: signed(at=datetime.now(UTC) + timedelta(minutes=6)),
            "InvalidSignatureException",
            "later than",
        ),
    ],
    ids=["secret", "key", "service", "old", "from the future"],
)
def test_wrong_credentials_scope_and_clock_are_refused_with_aws_words(
    request_: Callable[[], SignedRequest], error_type: str, words: str
) -> None:
    with pytest.raises(ApiError, match=words) as refused:
        verify(request_())
    assert refused.value.error_type == error_type


def test_a_signature_of_today_does_not_pass_under_another_days_scope() -> None:
    good = signed()
    day = good.headers["x-amz-date"][:8]
    forged = good.headers["authorization"].replace(f"/{day}/", "/20000101/")
    with pytest.raises(ApiError, match="Date in Credential scope"):
        verify(replace(good, headers={**good.headers, "authorization": forged}))


def test_the_host_must_be_among_the_signed_headers() -> None:
    good = signed()
    forged = good.headers["authorization"].replace(";host;", ";")
    with pytest.raises(ApiError, match="'Host' must be a 'SignedHeader'"):
        verify(replace(good, headers={**good.headers, "authorization": forged}))


def test_the_bearer_token_passes_without_a_signature() -> None:
    verify(SignedRequest("POST", "/model/x/invoke", {"authorization": f"Bearer {BEARER_TOKEN}"}, b""))
