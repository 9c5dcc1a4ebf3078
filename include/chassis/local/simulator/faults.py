"""Faults on demand: an error instead of an answer, a wrong answer, or a connection that misbehaves.

=====================  ====================================================================================
throttle               429 ``ThrottlingException``, with ``retry-after`` only when the rule says so: AWS sends none
internal               500 ``InternalServerException``
unavailable            503 ``ServiceUnavailableException``
overloaded             529: ``overloaded_error`` in Anthropic's shape
too_many_tokens        429 ``ThrottlingException``: the tokens of a minute
tokens_per_day         429 ``ThrottlingException``: the tokens of a day
too_many_connections   503 ``ServiceUnavailableException``, with other words
model_not_ready        429 ``ModelNotReadyException``
model_error            424 ``ModelErrorException``
access_denied          403 ``AccessDeniedException``: the model is not open to the account
expired_token          403 ``ExpiredTokenException``
unknown_model          400 ``ValidationException``: the model identifier is invalid
use_case               404 ``ResourceNotFoundException``: the account's use case details are missing
marketplace            403 ``AccessDeniedException``: no rights to subscribe the account to the model
agreement_pending      403 ``MPAgreementBeingCreated``: the subscription is being made; passes within minutes
legacy                 404 ``ResourceNotFoundException``: the model is Legacy and was not in use
not_for_account        403 ``AccessDeniedException``: AWS has not opened the model to the account
not_allowed            400 ``ValidationException``: the account may not call Bedrock at all
data_retention         400 ``ValidationException``: the model wants another data retention mode of the account
on_demand              400 ``ValidationException``: the model wants an inference profile
bearer_key             403 ``AccessDeniedException``: the bearer token is wrong, or may not be used
clock                  403 ``InvalidSignatureException``: the caller's clock is late
no_structured_output   400 ``ValidationException`` against ``output_config``; hits requests that have it only
malformed_json         the answer's JSON is cut short (a forced tool gets it as one string)
wrong_schema           the answer is JSON, of another shape
wrong_plan             the plan has a cycle and an unknown dependency; hits planners only
max_tokens             half the answer, stop reason ``max_tokens``
refusal                no answer, stop reason ``refusal``
blocked                the task says that it can't be done; hits tasks only
stall                  silence before an invoke's answer or in the middle of a stream; after it, a reset
reset                  the connection is reset, before an invoke's answer or in the middle of a stream
truncate               the stream ends well, without ``message_delta`` and ``message_stop``; hits streams only
exception_frame        a ``throttlingException`` frame in the middle of the stream; hits streams only
=====================  ====================================================================================

The errors' words are those that AWS documents or that people have reported. Each comes as an answer of its status or,
with ``in_stream``, as the first frame of a stream; in AWS's shape or, with ``form: anthropic``, in Anthropic's.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from chassis.local.simulator.reply_forms import MARK, fitted_reply, json_reply, proposal
from chassis.local.simulator.simulator_errors import ApiError

if TYPE_CHECKING:
    from chassis.local.simulator.claude_request import ClaudeRequest
    from chassis.local.simulator.scenario import FaultRule
    from chassis.local.simulator.wire_message import Reply

_ERRORS = {
    "throttle": (429, "ThrottlingException", "Too many requests, please wait before trying again."),
    "internal": (
        500,
        "InternalServerException",
        "The system encountered an unexpected error during processing. Try your request again.",
    ),
    "unavailable": (503, "ServiceUnavailableException", "Bedrock is unable to process your request."),
    "overloaded": (529, "OverloadedException", "Overloaded"),
    "too_many_tokens": (429, "ThrottlingException", "Too many tokens, please wait before trying again."),
    "tokens_per_day": (
        429,
        "ThrottlingException",
        "Too many tokens per day, please wait before trying again.",
    ),
    "too_many_connections": (
        503,
        "ServiceUnavailableException",
        "Too many connections, please wait before trying again.",
    ),
    "model_not_ready": (
        429,
        "ModelNotReadyException",
        "The model specified in the request is not ready to serve inference requests.",
    ),
    "model_error": (
        424,
        "ModelErrorException",
        "The system encountered an unexpected error during processing. Try your request again.",
    ),
    "access_denied": (
        403,
        "AccessDeniedException",
        "You don't have access to the model with the specified model ID.",
    ),
    "expired_token": (403, "ExpiredTokenException", "The security token included in the request is expired"),
    "unknown_model": (400, "ValidationException", "The provided model identifier is invalid."),
    "use_case": (
        404,
        "ResourceNotFoundException",
        "Model use case details have not been submitted for this account. Fill out the Anthropic use case details form "
        "before using the model. If you have already filled out the form, try again in 15 minutes.",
    ),
    "marketplace": (
        403,
        "AccessDeniedException",
        "Model access is denied due to IAM user or service role is not authorized to perform the required AWS "
        "Marketplace actions (aws-marketplace:ViewSubscriptions, aws-marketplace:Subscribe) to enable access to this "
        "model. If you recently fixed this issue, try again after 2 minutes.",
    ),
    "agreement_pending": (
        403,
        "MPAgreementBeingCreated",
        "Your AWS Marketplace subscription for this model is still being processed.",
    ),
    "legacy": (
        404,
        "ResourceNotFoundException",
        "Access denied. This Model is marked by provider as Legacy and you have not been actively using the model in "
        "the last 15 days. Please upgrade to an active model on Amazon Bedrock",
    ),
    "not_for_account": (
        403,
        "AccessDeniedException",
        "This model is not available for this account. For additional access options, contact AWS Sales.",
    ),
    "not_allowed": (400, "ValidationException", "Operation not allowed"),
    "data_retention": (
        400,
        "ValidationException",
        "data retention mode 'default' is not available for this model",
    ),
    "on_demand": (
        400,
        "ValidationException",
        "Invocation of model ID with on-demand throughput isn't supported. Retry your request with the ID or ARN of an "
        "inference profile that contains this model.",
    ),
    "bearer_key": (
        403,
        "AccessDeniedException",
        "Authentication failed: Please make sure your API Key is valid.",
    ),
    "clock": (
        403,
        "InvalidSignatureException",
        "Signature expired: 20261128T030000Z is now earlier than 20261128T031000Z (20261128T031500Z - 5 min.)",
    ),
    "no_structured_output": (
        400,
        "ValidationException",
        "output_config.format: Extra inputs are not permitted",
    ),
}
WIRE_FAULTS = frozenset({"stall", "reset", "truncate", "exception_frame"})


def error_for(rule: FaultRule) -> ApiError | None:
    """The error that the fault answers with; None for a fault of another kind."""
    if rule.fault not in _ERRORS:
        return None
    status, error_type, message = _ERRORS[rule.fault]
    return ApiError(
        status,
        error_type,
        rule.message or message,
        retry_after=rule.retry_after,
        form=rule.form,
        in_stream=rule.in_stream,
    )


def spoil(rule: FaultRule, request: ClaudeRequest, reply: Reply) -> Reply:
    """The reply as the fault makes it; a fault of the wire leaves it as it is."""
    match rule.fault:
        case "malformed_json":
            return _malformed(request, reply)
        case "wrong_schema":
            return json_reply(request, {"unexpected": f"{MARK} of another shape on demand"})
        case "wrong_plan":
            return fitted_reply(request, _wrong_plan(request))
        case "max_tokens":
            return reply.cut(0.5, "max_tokens")
        case "refusal":
            details = {"type": "refusal", "category": None, "explanation": f"{MARK} Refused on demand."}
            return replace(reply, text="", stop_reason="refusal", stop_details=details, calls=())
        case "blocked":
            return fitted_reply(request, _blocked_answer(request))
        case _:
            return reply


def _blocked_answer(request: ClaudeRequest) -> dict[str, object]:
    about = request.item or request.task or "this task"
    reason = f"{MARK} Blocked on demand: {about} can't be done with what was given."
    return {"status": "blocked", "reason": reason, "summary": reason, "output": reason}


def _malformed(request: ClaudeRequest, reply: Reply) -> Reply:
    cut = reply.text[: max(1, len(reply.text) * 2 // 3)]
    # A tool's input is always an object on the wire: broken JSON gets there as a string inside one.
    return json_reply(request, {"answer": cut}) if reply.tool else replace(reply, text=cut)


def _wrong_plan(request: ClaudeRequest) -> dict[str, object]:
    plan = proposal(request)
    if "removed" in plan:
        plan["removed"] = [*plan["removed"], "no_such_task"]
        return plan
    first, last = plan["tasks"][0], plan["tasks"][-1]
    first["depends_on"] = [last["id"]]
    last["depends_on"] = [*last["depends_on"], "no_such_task"]
    return plan


def exception_of(rule: FaultRule) -> tuple[str, str]:
    """Name and message of the exception frame."""
    return "throttlingException", rule.message or _ERRORS["throttle"][2]
