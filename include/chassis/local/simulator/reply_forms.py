"""The reply to a request, in the form that it asks for: JSON text, a forced tool's input, or plain text.

A form is asked for by the request's fields or, failing these, by a JSON schema in the prompt.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from chassis.local.simulator.executor import MARK, answer_for, hints_for
from chassis.local.simulator.prompt_cache import CHARACTERS_PER_TOKEN
from chassis.local.simulator.replanner import proposal_for
from chassis.local.simulator.schema_filler import Fitter
from chassis.local.simulator.wire_message import Reply

if TYPE_CHECKING:
    from chassis.local.simulator.claude_request import ClaudeRequest
    from chassis.local.simulator.model_files import Model
    from chassis.local.simulator.scenario import AnswerRule


def make_reply(request: ClaudeRequest, rule: AnswerRule | None = None) -> Reply:
    """The reply that a rule prescribes, else the simulator's own."""
    if rule is not None and rule.text is not None:
        return text_reply(request, rule.text)
    if rule is not None and "data" in rule.model_fields_set:
        return json_reply(request, rule.data)
    if request.kind == "plan":
        return fitted_reply(
            request, proposal_for(request) if rule is None or rule.plan is None else rule.plan
        )
    if request.kind == "task":
        return _task_reply(request, rule.result if rule and rule.result else {})
    if request.schema is None:
        return text_reply(request, f"{MARK} This is the simulator, not Claude.")
    return json_reply(request, Fitter(request.schema).instance())


def within(reply: Reply, max_tokens: int) -> Reply:
    """The reply cut at its greatest length, which covers what was thought and what is said."""
    thought = reply.thought.tokens if reply.thought else 0
    if reply.thought and thought >= max_tokens:
        thinking = replace(reply.thought, tokens=max_tokens)
        return replace(reply, text="", stop_reason="max_tokens", thought=thinking)
    room = (max_tokens - thought) * CHARACTERS_PER_TOKEN
    return (
        replace(reply, text=reply.text[:room], stop_reason="max_tokens") if len(reply.text) > room else reply
    )


def as_played(reply: Reply, request: ClaudeRequest, model: Model) -> Reply:
    """The reply as this model gives it in this form."""
    if request.wants_format and model.format == "runs_away":
        room = request.body["max_tokens"] * CHARACTERS_PER_TOKEN
        begun = reply.text[: min(len(reply.text) // 2, room)]
        return replace(reply, text=begun + " " * (room - len(begun)), stop_reason="max_tokens")
    if request.asked_for and reply.stop_reason == "end_turn":
        match model.asked_for:
            case "fenced":
                return replace(reply, text=f"```json\n{reply.text}\n```")
            case "prose":
                return replace(
                    reply, text=f"{MARK} Here is the answer:\n\n{reply.text}\n\n{MARK} That is all."
                )
    return reply


def fitted_reply(request: ClaudeRequest, answer: dict[str, Any]) -> Reply:
    """The answer made to fit the request's schema; without one, a task's output or a plan's JSON."""
    if request.schema is None:
        return text_reply(
            request, str(answer["output"]) if request.kind == "task" else json.dumps(answer, indent=2)
        )
    return json_reply(request, Fitter(request.schema, hints_for(request)).conform(answer))


def json_reply(request: ClaudeRequest, answer: Any) -> Reply:
    """The answer as it is, as JSON."""
    return _reply(request, json.dumps(answer, ensure_ascii=False))


def text_reply(request: ClaudeRequest, text: str) -> Reply:
    """A text as it is; for a forced tool, whose input is always an object on the wire, as a string in one."""
    return json_reply(request, {"answer": text}) if _tool(request) else _reply(request, text)


def _task_reply(request: ClaudeRequest, given: dict[str, Any]) -> Reply:
    answer = answer_for(request) | given
    output = (request.schema or {}).get("properties", {}).get("output")
    if "output" not in given and output is not None and request.schema is not None:
        fitter = Fitter(request.schema, hints_for(request))
        if not fitter.takes_prose(output):
            answer["output"] = fitter.instance(output, name="output")
    return fitted_reply(request, answer)


def _reply(request: ClaudeRequest, text: str) -> Reply:
    tool = _tool(request)
    return Reply(text, "tool_use" if tool else "end_turn", tool)


def _tool(request: ClaudeRequest) -> str | None:
    return None if request.wants_format or request.forced_tool is None else str(request.forced_tool["name"])
