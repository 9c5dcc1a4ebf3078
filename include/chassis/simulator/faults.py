"""Faults on demand: an error instead of an answer, a wrong answer, or a connection that misbehaves.

=====================  ====================================================================================
throttle               429 ``ThrottlingException``, with ``retry-after`` when the rule says so
internal               500 ``InternalServerException``
unavailable            503 ``ServiceUnavailableException``
overloaded             529
model_error            424 ``ModelErrorException``
access_denied          403 ``AccessDeniedException``: the model is not open to the account
expired_token          403 ``ExpiredTokenException``
unknown_model          400 ``ValidationException``: the model identifier is invalid
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
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from chassis.simulator.answers import fitted_reply, json_reply
from chassis.simulator.errors import ApiError
from chassis.simulator.executor import MARK, blocked_answer
from chassis.simulator.replanner import proposal_for

if TYPE_CHECKING:
    from chassis.simulator.message import Reply
    from chassis.simulator.request import ClaudeRequest
    from chassis.simulator.rules import FaultRule

_ERRORS = {
    "throttle": (429, "ThrottlingException", "Too many requests, please wait before trying again."),
    "internal": (
        500,
        "InternalServerException",
        "The system encountered an unexpected error during processing. Try your request again.",
    ),
    "unavailable": (503, "ServiceUnavailableException", "Bedrock is unable to process your request."),
    "overloaded": (529, "OverloadedException", "Overloaded"),
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
    "no_structured_output": (
        400,
        "ValidationException",
        "output_config.format: json_schema is not supported by this model.",
    ),
}
WIRE_FAULTS = frozenset({"stall", "reset", "truncate", "exception_frame"})


def error_for(rule: FaultRule) -> ApiError | None:
    """The error that the fault answers with; None for a fault of another kind."""
    if rule.fault not in _ERRORS:
        return None
    status, error_type, message = _ERRORS[rule.fault]
    return ApiError(status, error_type, rule.message or message, retry_after=rule.retry_after)


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
            return replace(reply, text="", stop_reason="refusal", stop_details=details)
        case "blocked":
            return fitted_reply(request, blocked_answer(request))
        case _:
            return reply


def _malformed(request: ClaudeRequest, reply: Reply) -> Reply:
    cut = reply.text[: max(1, len(reply.text) * 2 // 3)]
    # A tool's input is always an object on the wire: broken JSON gets there as a string inside one.
    return json_reply(request, {"answer": cut}) if reply.tool else replace(reply, text=cut)


def _wrong_plan(request: ClaudeRequest) -> dict[str, object]:
    plan = proposal_for(request)
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
