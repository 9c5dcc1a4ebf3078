"""Who may call: AWS Signature Version 4, verified as AWS does it, or the one bearer token.

The pair of keys below is public and opens nothing but a simulator. Everything that AWS checks is checked here
(scope, clock, signed headers, the body's hash), so that a client that signs wrongly fails here and not first
in production.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote

from chassis.local.simulator.simulator_errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping

ACCESS_KEY = "SIMULATED"
SECRET_KEY = "simulated-not-claude"  # noqa: S105 - public by intent: it opens a simulator
BEARER_TOKEN = "simulated-not-claude"  # noqa: S105 - the same

SERVICE = "bedrock"
CLOCK_SKEW = timedelta(minutes=5)

_ALGORITHM = "AWS4-HMAC-SHA256"
_AUTHORIZATION = re.compile(
    r"^AWS4-HMAC-SHA256 +Credential=(?P<credential>[^,\s]+),\s*SignedHeaders=(?P<headers>[^,\s]+),"
    r"\s*Signature=(?P<signature>[0-9a-f]{64})$"
)
_TIME = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True)
class SignedRequest:
    """What was received, untouched: the signature covers the bytes on the wire.

    ``target`` is the request line's target, percent-encoding and query included. ``headers`` has lower-case
    names; repeated headers are joined by a comma.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


def verify(request: SignedRequest, *, now: datetime | None = None) -> None:
    """Let the request pass or say why not.

    :raises ApiError: 403, no authorization, an unknown key, a wrong signature, a clock off by over 5 minutes
    """
    authorization = request.headers.get("authorization", "")
    if not authorization:
        raise ApiError(403, "MissingAuthenticationTokenException", "Missing Authentication Token")
    if authorization.startswith("Bearer "):
        _verify_bearer(authorization.removeprefix("Bearer ").strip())
        return
    found = _AUTHORIZATION.match(authorization)
    if found is None:
        raise _incomplete(
            "Authorization header requires 'Credential', 'SignedHeaders' and 'Signature' parameters.",
        )
    scope = _verify_scope(found["credential"])
    stamp = _verify_date(request.headers, scope, now or datetime.now(UTC))
    signed = _verify_signed_headers(request.headers, found["headers"])
    expected = _signature(request, signed, stamp, scope)
    if not hmac.compare_digest(expected, found["signature"]):
        raise _invalid(
            "The request signature we calculated does not match the signature you provided. "
            "Check your AWS Secret Access Key and signing method. "
            "Consult the service documentation for details.",
        )


@dataclass(frozen=True)
class _Scope:
    day: str
    region: str

    def __str__(self) -> str:
        return f"{self.day}/{self.region}/{SERVICE}/aws4_request"


def _verify_bearer(token: str) -> None:
    if not hmac.compare_digest(token.encode(), BEARER_TOKEN.encode()):
        raise ApiError(
            403, "AccessDeniedException", "Authentication failed: Please make sure your API Key is valid."
        )


def _verify_scope(credential: str) -> _Scope:
    parts = credential.split("/")
    if len(parts) != 5 or not parts[2]:
        raise _incomplete(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term.",
        )
    key, day, region, service, term = parts
    if (service, term) != (SERVICE, "aws4_request"):
        raise _invalid(
            f"Credential should be scoped to correct service: '{SERVICE}' and end in 'aws4_request'.",
        )
    if key != ACCESS_KEY:
        raise ApiError(
            403, "UnrecognizedClientException", "The security token included in the request is invalid."
        )
    return _Scope(day, region)


def _verify_date(headers: Mapping[str, str], scope: _Scope, now: datetime) -> str:
    stamp = headers.get("x-amz-date", "")
    try:
        when = datetime.strptime(stamp, _TIME).replace(tzinfo=UTC)
    except ValueError:
        raise _incomplete(
            "Authorization header requires existence of an 'X-Amz-Date' header.",
        ) from None
    if stamp[:8] != scope.day:
        raise _invalid(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date: "
            f"'{scope.day}' != '{stamp[:8]}'.",
        )
    if abs(now - when) > CLOCK_SKEW:
        direction = "earlier" if when < now else "later"
        raise _invalid(
            f"Signature expired: {stamp} is now {direction} than {now.strftime(_TIME)} by more than "
            f"{CLOCK_SKEW.seconds // 60} min.",
        )
    return stamp


def _verify_signed_headers(headers: Mapping[str, str], names: str) -> list[str]:
    signed = names.split(";")
    must = {"host", *(name for name in headers if name.startswith("x-amz-"))}
    unsigned = sorted(must - set(signed))
    if unsigned:
        raise _invalid(
            f"'{unsigned[0].title()}' must be a 'SignedHeader' in the AWS Authorization.",
        )
    absent = [name for name in signed if name not in headers]
    if absent or signed != sorted(set(signed)):
        raise _invalid(
            f"SignedHeaders must be in order and each be sent; not sent: {', '.join(absent) or 'none'}.",
        )
    return signed


def _signature(request: SignedRequest, signed: list[str], stamp: str, scope: _Scope) -> str:
    path, _, query = request.target.partition("?")
    canonical = "\n".join(
        [
            request.method,
            # A second encoding on top of the wire's, as every service but S3 wants it.
            quote(path, safe="/~"),
            "&".join(sorted(query.split("&"))) if query else "",
            *(f"{name}:{' '.join(request.headers[name].split())}" for name in signed),
            "",
            ";".join(signed),
            hashlib.sha256(request.body).hexdigest(),
        ]
    )
    to_sign = "\n".join([_ALGORITHM, stamp, str(scope), hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{SECRET_KEY}".encode()
    for part in (scope.day, scope.region, SERVICE, "aws4_request"):
        key = _hmac(key, part)
    return _hmac(key, to_sign).hex()


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _incomplete(message: str) -> ApiError:
    return ApiError(403, "IncompleteSignatureException", message)


def _invalid(message: str) -> ApiError:
    return ApiError(403, "InvalidSignatureException", message)
