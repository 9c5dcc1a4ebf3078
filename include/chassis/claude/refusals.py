"""What refusals by Bedrock (or STS) mean: one table, by name and words first, by status last.

One refusal comes with several statuses, before a stream or inside one, whose status is 200; and one status covers what
a person, an administrator or time must fix. So the first row that fits decides, and a status counts only if nothing
else is known. The words are those that AWS documents and people report.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chassis.errors import (
    AccessDeniedError,
    AccessPendingError,
    ClaudeError,
    CongestedError,
    CredentialsRefusedError,
    DailyQuotaError,
    ModelNotFoundError,
    RequestRefusedError,
    ServiceFaultError,
    ThrottledError,
)

if TYPE_CHECKING:
    from collections.abc import Collection


@dataclass(frozen=True)
class Meaning:
    """What a refusal means, and how to recognise it: by its status, and by its name or words if any are given.

    :ivar verb: what Bedrock did, for the message
    :ivar hint: where and how to fix it; empty if Bedrock's own words say it all
    :ivar words: lower-case texts; the message must contain one
    :ivar kinds: names of the error, without "Exception"
    """

    error: type[ClaudeError]
    verb: str
    hint: str
    words: tuple[str, ...]
    kinds: frozenset[str]
    statuses: Collection[int]

    def fits(self, kind: str, words: str, status: int | None) -> bool:
        named = kind in self.kinds or any(word in words for word in self.words)
        return (named or not (self.kinds or self.words)) and (not self.statuses or status in self.statuses)


def meaning_of(kind: str, message: str, status: int | None) -> Meaning:
    """What a refusal means.

    :param kind: its name without "Exception", capitalised unless it is Anthropic's own
    :param status: HTTP status; for an error inside a stream, that of the stream
    """
    words = message.lower()
    return next(row for row in _TABLE if row.fits(kind, words, status))


_DENIED = "refused access"
_NO_ROOM = "has no room for the call now"
_NO_CREDENTIALS = "refused the credentials"
_KEYS = "Check the keys, the session token or the bearer token of the Airflow connection."
_RENEW = "Renew the keys of the Airflow connection; a role (role_arn in its extra) is renewed by Chassis."
_BEARER = (
    "Check the bearer token of the Airflow connection, and allow bedrock:CallWithBearerToken to whom it belongs to; "
    "short-term tokens end after 12 hours at most."
)
_CLOCK = (
    "Set the clock of the machine that makes the calls: AWS takes signatures that are up to 5 minutes old."
)
_POLICY = (
    "Allow bedrock:InvokeModel and bedrock:InvokeModelWithResponseStream on the model and its inference profile for "
    "these credentials; docs/bedrock.md has the policy."
)
_USE_CASE = (
    "Submit the use case details for Anthropic's models: open a Claude model in the model catalog of the Bedrock "
    "console. Access follows within 15 minutes; then clear the task."
)
_MARKETPLACE = (
    "Allow aws-marketplace:Subscribe and aws-marketplace:ViewSubscriptions to these credentials, or have somebody who "
    "has both rights call the model once. Access follows within 15 minutes; then clear the task."
)
_LEGACY = "Name a model that is Active in the Bedrock console's model catalog: this one is Legacy."
_ACCOUNT = "Ask AWS to open this model to the account, through AWS Support or Sales, or name another model."
_BLOCKED = (
    "The account itself may not call Bedrock yet: open a case with AWS Support, under account and billing."
)
_RETENTION = (
    "Choose a data retention mode that this model allows, in the account's settings of the Bedrock console, or name "
    "another model."
)
_PROFILE = (
    "Name an inference profile in place of the model's id, such as us.anthropic.claude-opus-4-6-v1: this model can't "
    "be called by its own id."
)
_MODEL = (
    "Check the model's id and region; newer models want an inference profile, such as "
    "us.anthropic.claude-opus-4-6-v1."
)
_SHORTER = "Give the task less text: see [chassis] context_chars."
_SLOWER = (
    "Lower the slots of the pool, or max_tokens and context_chars, whose tokens Bedrock reserves for each call when it "
    "begins; or ask AWS for a higher quota."
)
_PASSES = "This passes as a rule: a retry may help."

_CLOCK_WRONG = "refused the signature: this machine's clock is wrong"
_EXPIRED = "refused the credentials: they have expired"
_PENDING = "doesn't give access yet"
_UNKNOWN_MODEL = "doesn't offer this model"
_SLOW_DOWN = "asked to slow down"
_REFUSED = "refused the request"
_ASKED_WRONGLY = frozenset({200, 400, 413})
"""Statuses of a refusal of the request itself; 200 is that of a stream with the refusal inside."""


def _row(
    error: type[ClaudeError],
    verb: str,
    hint: str,
    *words: str,
    kinds: str = "",
    statuses: Collection[int] = (),
) -> Meaning:
    return Meaning(error, verb, hint, words, frozenset(kinds.split()), statuses)


# fmt: off
_TABLE = (
    # Identity.
    _row(CredentialsRefusedError, _CLOCK_WRONG, _CLOCK, "signature expired", "signature not yet current",
         kinds="RequestExpired"),
    _row(CredentialsRefusedError, _EXPIRED, _BEARER,
         "bearer token has expired", "api key has expired", "api key is expired"),
    _row(CredentialsRefusedError, _NO_CREDENTIALS, _BEARER, "api key", "bearer token", "callwithbearertoken",
         statuses={200, 401, 403}),
    _row(CredentialsRefusedError, _EXPIRED, _RENEW, kinds="ExpiredToken"),
    _row(CredentialsRefusedError, _NO_CREDENTIALS, _KEYS,
         kinds="IncompleteSignature InvalidClientTokenId InvalidSignature MissingAuthenticationToken "
         "SignatureDoesNotMatch UnrecognizedClient authentication_error"),
    # What the account may use, with any name and status.
    _row(AccessDeniedError, _DENIED, _USE_CASE, "use case details", "use-case form", "use case form",
         kinds="FTUFormNotFilled"),
    _row(AccessPendingError, _PENDING, "",
         "subscription for this model is still being processed", "agreement is pending",
         kinds="MPAgreementBeingCreated"),
    _row(AccessDeniedError, _DENIED, _MARKETPLACE, "aws-marketplace:", "aws marketplace"),
    _row(AccessDeniedError, _DENIED, _LEGACY, "marked by provider as legacy"),
    _row(ModelNotFoundError, _UNKNOWN_MODEL, _LEGACY, "end of its life"),
    _row(AccessDeniedError, _DENIED, _ACCOUNT, "not available for this account", "contact aws sales"),
    _row(AccessDeniedError, _DENIED, _BLOCKED,
         "operation not allowed", "not authorized to invoke this api operation"),
    _row(AccessDeniedError, _DENIED, _RETENTION, "data retention mode"),
    # Quotas and capacity.
    _row(DailyQuotaError, "admits no more calls on this day", "",
         "tokens per day", "requests per day", "daily quota", "daily limit", "daily token"),
    _row(CongestedError, _NO_ROOM, "", "too many connections", "bedrock is unable to process your request",
         "not ready for inference", "not ready to serve", "model is not ready",
         kinds="ModelNotReady Overloaded ServiceUnavailable overloaded_error"),
    _row(ThrottledError, _SLOW_DOWN, _SLOWER, "wait before trying again", "too many requests", "rate exceeded",
         kinds="Throttling TooManyRequests ServiceQuotaExceeded rate_limit_error RequestLimitExceeded"),
    # Others, by name.
    _row(AccessDeniedError, _DENIED, _POLICY, kinds="AccessDenied permission_error"),
    _row(ModelNotFoundError, _UNKNOWN_MODEL, _PROFILE, "on-demand throughput"),
    _row(ModelNotFoundError, _UNKNOWN_MODEL, _MODEL, "model identifier", "model id", statuses=_ASKED_WRONGLY),
    _row(ModelNotFoundError, _UNKNOWN_MODEL, _MODEL, kinds="ResourceNotFound not_found_error"),
    _row(RequestRefusedError, _REFUSED, _SHORTER, "too long", "too large", "too many tokens",
         statuses=_ASKED_WRONGLY),
    _row(RequestRefusedError, _REFUSED, "", kinds="Validation invalid_request_error request_too_large"),
    # Only a status is known.
    _row(CredentialsRefusedError, _NO_CREDENTIALS, _KEYS, statuses={401}),
    _row(AccessDeniedError, _DENIED, _POLICY, statuses={403}),
    _row(ModelNotFoundError, _UNKNOWN_MODEL, _MODEL, statuses={404}),
    _row(RequestRefusedError, _REFUSED, _SHORTER, statuses={413}),
    _row(ThrottledError, _SLOW_DOWN, _SLOWER, statuses={429}),
    _row(CongestedError, _NO_ROOM, "", statuses={503, 529}),
    _row(ServiceFaultError, "failed", _PASSES, statuses={408, 409, 424}),
    _row(RequestRefusedError, _REFUSED, "", statuses=range(300, 500)),
    _row(ServiceFaultError, "failed", _PASSES),
)
# fmt: on
"""The first row that fits. A refusal may say several things; what a person must do comes before what passes."""
