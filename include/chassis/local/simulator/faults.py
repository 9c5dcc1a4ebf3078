"""Faults on demand: an error instead of an answer (``error_faults.yaml``), a wrong answer, or a broken connection.

===============  ======================================================================================
malformed_json   the answer's JSON is cut short (a forced tool gets it as one string)
wrong_schema     the answer is JSON, of another shape
wrong_plan       the plan has a cycle and an unknown dependency; hits planners only
max_tokens       half the answer, stop reason ``max_tokens``
refusal          no answer, stop reason ``refusal``
blocked          the task says that it can't be done; hits tasks only
stall            silence before an invoke's answer or in the middle of a stream; after it, a reset
reset            the connection is reset, before an invoke's answer or in the middle of a stream
truncate         the stream ends well, without ``message_delta`` and ``message_stop``; hits streams only
exception_frame  a ``throttlingException`` frame in the middle of the stream; hits streams only
===============  ======================================================================================
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from chassis.local.simulator.reply_forms import MARK, fitted_reply, json_reply, proposal
from chassis.local.simulator.scenario import error_faults
from chassis.local.simulator.simulator_errors import ApiError

if TYPE_CHECKING:
    from chassis.local.simulator.claude_request import ClaudeRequest
    from chassis.local.simulator.scenario import FaultRule
    from chassis.local.simulator.wire_message import Reply


def error_for(rule: FaultRule) -> ApiError | None:
    """The error that the fault answers with; None for a fault of another kind."""
    if (found := error_faults().get(rule.fault)) is None:
        return None
    return ApiError(
        int(found["status"]),
        found["type"],
        rule.message or found["message"],
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
    return "throttlingException", rule.message or error_faults()["throttle"]["message"]
