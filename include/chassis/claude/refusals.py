"""What Bedrock's (or STS's) refusals mean: one table, by their names and words first, and by their status last.

The same refusal comes with more than one status, before a stream and inside one, whose status is 200; and one status
covers what a person, an administrator and time must mend. So the first row that fits decides, and a status alone
counts only where nothing else is known. The words are those that AWS documents and people report.
"""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True)
class Meaning:
    """What a refusal means, and how it is told apart: each of the three, where given, must fit.

    :ivar error: its error
    :ivar verb: what Bedrock did, for the message
    :ivar hint: the place and the step that mend it; empty where Bedrock's own words are all there is to say
    :ivar kinds: names of the error, without "Exception"
    :ivar words: of the message, in small letters, of which one is enough
    :ivar statuses: HTTP statuses
    """

    error: type[ClaudeError]
    verb: str
    hint: str
    kinds: frozenset[str] = frozenset()
    words: tuple[str, ...] = ()
    statuses: frozenset[int] = frozenset()

    def fits(self, kind: str, words: str, status: int | None) -> bool:
        return (
            (not self.kinds or kind in self.kinds)
            and (not self.words or any(word in words for word in self.words))
            and (not self.statuses or status in self.statuses)
        )


def meaning_of(kind: str, message: str, status: int | None) -> Meaning:
    """What a refusal means.

    :param kind: its name without "Exception", beginning with a capital unless it is Anthropic's own
    :param status: HTTP status; of an error inside a stream, that of the stream
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

_BAD_REQUEST = frozenset({"Validation", "invalid_request_error", "request_too_large"})
_ASKED_WRONGLY = frozenset({200, 400, 413})
"""Statuses of a request that is refused itself; 200 is that of a stream which tells so inside."""

_TABLE = (
    # The identity.
    Meaning(
        CredentialsRefusedError,
        "refused the signature: this machine's clock is wrong",
        _CLOCK,
        words=("signature expired", "signature not yet current"),
    ),
    Meaning(
        CredentialsRefusedError,
        "refused the signature: this machine's clock is wrong",
        _CLOCK,
        kinds=frozenset({"RequestExpired"}),
    ),
    Meaning(
        CredentialsRefusedError,
        "refused the credentials: they have expired",
        _BEARER,
        words=("bearer token has expired", "api key has expired", "api key is expired"),
    ),
    Meaning(
        CredentialsRefusedError,
        _NO_CREDENTIALS,
        _BEARER,
        words=("api key", "bearer token", "callwithbearertoken"),
        statuses=frozenset({200, 401, 403}),
    ),
    Meaning(
        CredentialsRefusedError,
        "refused the credentials: they have expired",
        _RENEW,
        kinds=frozenset({"ExpiredToken"}),
    ),
    Meaning(
        CredentialsRefusedError,
        _NO_CREDENTIALS,
        _KEYS,
        kinds=frozenset(
            {
                "IncompleteSignature",
                "InvalidClientTokenId",
                "InvalidSignature",
                "MissingAuthenticationToken",
                "SignatureDoesNotMatch",
                "UnrecognizedClient",
                "authentication_error",
            }
        ),
    ),
    # What the account may use, whatever name and status it comes with.
    Meaning(AccessDeniedError, _DENIED, _USE_CASE, kinds=frozenset({"FTUFormNotFilled"})),
    Meaning(
        AccessDeniedError, _DENIED, _USE_CASE, words=("use case details", "use-case form", "use case form")
    ),
    Meaning(AccessPendingError, "doesn't give access yet", "", kinds=frozenset({"MPAgreementBeingCreated"})),
    Meaning(
        AccessPendingError,
        "doesn't give access yet",
        "",
        words=("subscription for this model is still being processed", "agreement is pending"),
    ),
    Meaning(AccessDeniedError, _DENIED, _MARKETPLACE, words=("aws-marketplace:", "aws marketplace")),
    Meaning(AccessDeniedError, _DENIED, _LEGACY, words=("marked by provider as legacy",)),
    Meaning(ModelNotFoundError, "doesn't offer this model", _LEGACY, words=("end of its life",)),
    Meaning(
        AccessDeniedError, _DENIED, _ACCOUNT, words=("not available for this account", "contact aws sales")
    ),
    Meaning(
        AccessDeniedError,
        _DENIED,
        _BLOCKED,
        words=("operation not allowed", "not authorized to invoke this api operation"),
    ),
    Meaning(AccessDeniedError, _DENIED, _RETENTION, words=("data retention mode",)),
    # Quotas, and room.
    Meaning(
        DailyQuotaError,
        "admits no more calls on this day",
        "",
        words=("tokens per day", "requests per day", "daily quota", "daily limit", "daily token"),
    ),
    Meaning(
        CongestedError,
        _NO_ROOM,
        "",
        kinds=frozenset({"ModelNotReady", "Overloaded", "ServiceUnavailable", "overloaded_error"}),
    ),
    Meaning(
        CongestedError,
        _NO_ROOM,
        "",
        words=(
            "too many connections",
            "bedrock is unable to process your request",
            "not ready for inference",
            "not ready to serve",
            "model is not ready",
        ),
    ),
    Meaning(
        ThrottledError,
        "asked to slow down",
        _SLOWER,
        kinds=frozenset(
            {
                "Throttling",
                "TooManyRequests",
                "ServiceQuotaExceeded",
                "rate_limit_error",
                "RequestLimitExceeded",
            }
        ),
    ),
    Meaning(
        ThrottledError,
        "asked to slow down",
        _SLOWER,
        words=("wait before trying again", "too many requests", "rate exceeded"),
    ),
    # The rest, by name.
    Meaning(AccessDeniedError, _DENIED, _POLICY, kinds=frozenset({"AccessDenied", "permission_error"})),
    Meaning(ModelNotFoundError, "doesn't offer this model", _PROFILE, words=("on-demand throughput",)),
    Meaning(
        ModelNotFoundError,
        "doesn't offer this model",
        _MODEL,
        words=("model identifier", "model id"),
        statuses=_ASKED_WRONGLY,
    ),
    Meaning(
        ModelNotFoundError,
        "doesn't offer this model",
        _MODEL,
        kinds=frozenset({"ResourceNotFound", "not_found_error"}),
    ),
    Meaning(
        RequestRefusedError,
        "refused the request",
        _SHORTER,
        words=("too long", "too large", "too many tokens"),
        statuses=_ASKED_WRONGLY,
    ),
    Meaning(RequestRefusedError, "refused the request", "", kinds=_BAD_REQUEST),
    # Nothing but a status is known.
    Meaning(CredentialsRefusedError, _NO_CREDENTIALS, _KEYS, statuses=frozenset({401})),
    Meaning(AccessDeniedError, _DENIED, _POLICY, statuses=frozenset({403})),
    Meaning(ModelNotFoundError, "doesn't offer this model", _MODEL, statuses=frozenset({404})),
    Meaning(RequestRefusedError, "refused the request", _SHORTER, statuses=frozenset({413})),
    Meaning(ThrottledError, "asked to slow down", _SLOWER, statuses=frozenset({429})),
    Meaning(CongestedError, _NO_ROOM, "", statuses=frozenset({503, 529})),
    Meaning(ServiceFaultError, "failed", _PASSES, statuses=frozenset({408, 409, 424})),
    Meaning(RequestRefusedError, "refused the request", "", statuses=frozenset(range(300, 500))),
    Meaning(ServiceFaultError, "failed", _PASSES),
)
"""The first row that fits. A refusal may say several things; what a person must do comes before what merely passes."""
