"""Turns failures between here and Bedrock into Chassis's own errors: a fact and a hint.

The SDK's exceptions carry the signed request and its session token, and pickling keeps both. None may leave the
function that caught it, not even as a cause or a context: build the :class:`ClaudeError` in the except clause, and
raise it after that clause.

Messages quote the server, and a server or proxy may repeat what it was sent. So a quote is short, on one line, and
without anything that looks like a credential or that Airflow knows as a secret.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from chassis.claude.refusals import meaning_of
from chassis.errors import (
    AccessDeniedError,
    AccessPendingError,
    ClaudeError,
    CongestedError,
    ConnectionSetupError,
    CredentialsMissingError,
    NoAnswerError,
    StreamBrokenError,
    ThrottledError,
    UnreachableError,
)
from chassis.text import one_line

if TYPE_CHECKING:
    import anthropic
    import httpx2

_STREAMING = 200
"""The status of a stream that opened normally: for an error frame inside it, only the type counts."""
_LONGEST_QUOTE = 300
_LONGEST_NAME = 200
_CREDENTIAL = re.compile(
    r"AWS4-HMAC-SHA256.*"
    r"|(?:Credential|Signature|X-Amz-[\w-]+)['\"]?\s*[=:]\s*['\"]?[^\s,&'\"]+"
    r"|Bearer\s+[\w.~+/=-]{16,}",
    re.IGNORECASE,
)
_HIDDEN = "***"
_ENDLESS = 1e9
"""Seconds (some thirty years); a longer wait can't be meant."""
_WHILE_PENDING = 120.0
"""Seconds until the next try while AWS sets up the account's access; AWS says that this takes minutes."""

_STS_PASSES = "AWS STS gives no credentials for now. This passes as a rule: a retry may help."
_HINTS_OF_STS: dict[type[ClaudeError], str] = {
    AccessDeniedError: "Check role_arn in the connection's extra, and whom the role's trust policy lets assume it.",
    CongestedError: _STS_PASSES,
    ThrottledError: _STS_PASSES,
}


@dataclass(frozen=True)
class _Answer:
    """What a refusal by Bedrock (or STS) said, in whatever form it came."""

    status: int | None
    error_type: str
    message: str
    place: str
    request_id: str = ""
    retry_after: float | None = None
    of_sts: bool = False

    @property
    def kind(self) -> str:
        """The error's type in one spelling: services append Exception, streams start with a lower-case letter."""
        name = self.error_type.removesuffix("Exception")
        return name if "_" in name else name[:1].upper() + name[1:]

    @property
    def label(self) -> str:
        status = None if self.status == _STREAMING else self.status
        return ", ".join(str(fact) for fact in (status, self.error_type) if fact)


def foreign_errors() -> tuple[type[Exception], ...]:
    """The exceptions that :func:`claude_failure` translates. Catch them, and never let them through."""
    import json

    import anthropic
    import httpx2
    from botocore.eventstream import ParserError
    from botocore.exceptions import BotoCoreError, ClientError

    return (
        anthropic.AnthropicError,
        httpx2.HTTPError,
        BotoCoreError,
        ClientError,
        ParserError,
        json.JSONDecodeError,
        UnicodeError,
    )


def claude_failure(error: Exception, *, place: str) -> ClaudeError:
    """Chassis's own error for ``error``, one of :func:`foreign_errors`.

    :param place: what was called, for the message: a model at a host, or a connection
    """
    import anthropic
    import httpx2
    from botocore.exceptions import BotoCoreError, ClientError

    match error:
        case anthropic.APIStatusError():
            return _refusal(_api_answer(error, place))
        case anthropic.APIConnectionError():
            return _unreachable(error, place)
        case ClientError():
            return _refusal(_aws_answer(error, place))
        case BotoCoreError():
            return _aws_failure(error, place)
        case httpx2.HTTPError():
            return _broken(error, place)
        case UnicodeEncodeError():
            return _unsendable(place)
        case _:
            return StreamBrokenError(
                f"The answer of {place} could not be read ({type(error).__name__}).", hint="A retry may help."
            )


def _api_answer(error: anthropic.APIStatusError, place: str) -> _Answer:
    body = error.body if isinstance(error.body, dict) else {"message": error.body}
    part = body.get("error")
    inner = part if isinstance(part, dict) else {"message": part}
    headers = error.response.headers
    # AWS names the type in a header ("ThrottlingException:http://..."), an error frame of a stream in its body.
    named = str(inner.get("type") or headers.get("x-amzn-errortype") or "").partition(":")[0]
    told = inner.get("message") or body.get("message") or body.get("Message") or ""
    return _Answer(
        status=error.status_code,
        error_type=one_line(named, _LONGEST_NAME),
        message=quoted(str(told)),
        place=place,
        request_id=one_line(headers.get("x-amzn-requestid", ""), _LONGEST_NAME),
        retry_after=_seconds(headers),
    )


def _aws_answer(error: Any, place: str) -> _Answer:
    facts = error.response.get("Error", {})
    meta = error.response.get("ResponseMetadata", {})
    return _Answer(
        status=meta.get("HTTPStatusCode"),
        error_type=one_line(facts.get("Code", ""), _LONGEST_NAME),
        message=quoted(str(facts.get("Message", ""))),
        place=f"AWS STS ({error.operation_name} for {place})",
        of_sts=True,
        request_id=one_line(meta.get("RequestId", ""), _LONGEST_NAME),
    )


def _refusal(answer: _Answer) -> ClaudeError:
    meaning = meaning_of(answer.kind, answer.message, answer.status)
    if meaning.error is AccessPendingError and answer.retry_after is None:
        answer = replace(answer, retry_after=_WHILE_PENDING)
    hint = _HINTS_OF_STS.get(meaning.error, meaning.hint) if answer.of_sts else meaning.hint
    return _failure(meaning.error, answer, meaning.verb, hint)


def _failure(kind: type[ClaudeError], answer: _Answer, verb: str, hint: str) -> ClaudeError:
    label = f" ({answer.label})" if answer.label else ""
    told = f": {answer.message}" if answer.message else ""
    message = f"{_capital(answer.place)} {verb}{label}{told}"
    return kind(
        message if message.endswith(".") else f"{message}.",
        hint=hint,
        status=answer.status,
        error_type=answer.error_type,
        request_id=answer.request_id,
        retry_after=answer.retry_after,
        words=answer.message,
    )


def _unreachable(error: anthropic.APIConnectionError, place: str) -> ClaudeError:
    import anthropic
    import httpx2

    cause = error.__cause__
    if isinstance(cause, httpx2.LocalProtocolError):
        # The SDK's own message repeats the header with its token.
        return _unsendable(place)
    if isinstance(cause, httpx2.ConnectTimeout):
        fact = "accepted no connection in time"
    elif isinstance(error, anthropic.APITimeoutError):
        return NoAnswerError(f"{_capital(place)} did not begin to answer in time.")
    elif isinstance(cause, httpx2.NetworkError | httpx2.ProtocolError) and not isinstance(
        cause, httpx2.ConnectError
    ):
        return NoAnswerError(f"{_capital(place)} broke off before it answered ({type(cause).__name__}).")
    else:
        # Quote only transport errors, which hold addresses: the SDK wraps any failure on the way, with its whole
        # message.
        told = quoted(str(cause)) if isinstance(cause, httpx2.TransportError) else ""
        fact = f"can't be reached: {told or type(cause).__name__}"
    return UnreachableError(
        f"{_capital(place)} {fact}.",
        hint="Check region_name and endpoint_url of the Airflow connection, and this machine's way to that "
        "host (DNS, proxy, VPC endpoint, firewall).",
    )


def _unsendable(place: str) -> ClaudeError:
    return ConnectionSetupError(
        f"{_capital(place)} can't be asked: a header of the request has a character that no header can have.",
        hint="Look for blanks, line ends and letters beyond ASCII in the keys, the session token and the bearer token "
        "of the Airflow connection.",
    )


def _broken(error: httpx2.HTTPError, place: str) -> ClaudeError:
    import httpx2

    stalled = isinstance(error, httpx2.TimeoutException)
    fact = "stopped in the middle of the answer" if stalled else "broke off in the middle of the answer"
    return StreamBrokenError(f"{_capital(place)} {fact} ({type(error).__name__}).", hint="A retry may help.")


def _aws_failure(error: Any, place: str) -> ClaudeError:
    """For what AWS's SDK raised while it looked for credentials or fetched them."""
    from botocore import exceptions

    told = quoted(str(error))
    not_fetched = exceptions.CredentialRetrievalError | exceptions.MetadataRetrievalError
    if isinstance(error, exceptions.HTTPClientError | exceptions.ConnectionError | not_fetched):
        return UnreachableError(
            f"The credentials of {place} can't be fetched: {told}.",
            hint="Check this machine's way to what gives them: AWS STS (DNS, proxy, VPC endpoint, firewall), the role "
            "of this machine or pod, or the profile's credential_process. A retry may help.",
        )
    tokens = exceptions.SSOError | exceptions.TokenRetrievalError | exceptions.NoAuthTokenError
    if isinstance(error, exceptions.NoCredentialsError | exceptions.PartialCredentialsError | tokens):
        return CredentialsMissingError(
            f"There are no AWS credentials for {place}: {told}.",
            hint="Set the keys, role_arn, profile_name or bearer_token of that connection.",
        )
    return ConnectionSetupError(
        f"AWS's SDK can't use {place}: {told}.", hint="Correct the connection's extra."
    )


def quoted(message: str) -> str:
    """The first line of what a server or an SDK said, without known or apparent secrets.

    A line that ends with a colon only introduces the next one. The rest of AWS's signature error repeats the signed
    headers.
    """
    from airflow.sdk.log import redact  # type: ignore[attr-defined]

    line, _, rest = message.strip().partition("\n")
    if line.rstrip().endswith(":"):
        line += " " + rest.strip().partition("\n")[0]
    line = line.partition("The Canonical String")[0]
    line = one_line(redact(_CREDENTIAL.sub(_HIDDEN, line)))
    return line.removesuffix(".") if len(line) <= _LONGEST_QUOTE else f"{line[:_LONGEST_QUOTE]}..."


def _seconds(headers: httpx2.Headers) -> float | None:
    """The wait that the server asks for; None if it asks for none or for one that makes no sense."""
    try:
        seconds = float(headers["retry-after"])
    except (KeyError, ValueError):
        return None
    return max(0.0, seconds) if seconds < _ENDLESS else None


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
