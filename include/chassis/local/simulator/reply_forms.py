"""The reply to a request, in the form that it asks for: JSON text, a forced tool's input, or plain text.

A form is asked for by the request's fields or, failing these, by a JSON schema in the prompt.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from chassis.local.simulator.plan_edits import changed_plan
from chassis.local.simulator.prompt_cache import CHARACTERS_PER_TOKEN
from chassis.local.simulator.scenario import GivenAnswer, default_answer
from chassis.local.simulator.schema_filler import Fitter, Hints
from chassis.local.simulator.simulator_errors import ApiError
from chassis.local.simulator.wire_message import Reply

if TYPE_CHECKING:
    from chassis.local.simulator.claude_request import ClaudeRequest
    from chassis.local.simulator.model_files import Model
    from chassis.local.simulator.scenario import AnswerRule


MARK = "[simulated]"


def make_reply(request: ClaudeRequest, rule: AnswerRule | None = None) -> Reply:
    """The reply that a rule prescribes, else the simulator's own.

    :raises ApiError: the scenario can't be filled in, or calls a tool that the request doesn't offer
    """
    given = rule.filled(request) if rule is not None else GivenAnswer()
    if given.form is None and request.kind == "other" and request.schema is not None:
        return json_reply(request, Fitter(request.schema).instance())
    if given.form is None or given.form == "result":
        own = default_answer(request).filled(request)
        if own.form == "result":
            return _task_reply(request, own, given)
        given = own
    match given.form:
        case "text":
            return text_reply(request, str(given.content))
        case "data":
            return json_reply(request, given.content)
        case "tools":
            return _tool_calls(request, given)
        case _:
            return fitted_reply(request, proposal(request, given))


def proposal(request: ClaudeRequest, given: GivenAnswer | None = None) -> dict[str, Any]:
    """The plan, or the changes to one, of an answer or of the simulator's own."""
    given = given or default_answer(request).filled(request)
    content: dict[str, Any] = given.content
    return changed_plan(request, content) if given.form == "changes" else content


def within(reply: Reply, max_tokens: int) -> Reply:
    """The reply cut at its greatest length, which covers what was thought and what is said."""
    thought = reply.thought.tokens if reply.thought else 0
    if reply.thought and thought >= max_tokens:
        thinking = replace(reply.thought, tokens=max_tokens)
        return replace(reply, text="", stop_reason="max_tokens", thought=thinking, calls=())
    room = (max_tokens - thought) * CHARACTERS_PER_TOKEN
    if len(reply.said) <= room:
        return reply
    return replace(reply, text=reply.text[:room], stop_reason="max_tokens", calls=())


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


def fitted_reply(
    request: ClaudeRequest, answer: dict[str, Any], numbers: tuple[float, ...] | None = None
) -> Reply:
    """The answer made to fit the request's schema; without one, a task's output or a plan's JSON."""
    if request.schema is None:
        text = str(answer["output"]) if request.kind == "task" else json.dumps(answer, indent=2)
        return text_reply(request, text)
    return json_reply(request, Fitter(request.schema, _hints(request, numbers or ())).conform(answer))


def json_reply(request: ClaudeRequest, answer: Any) -> Reply:
    """The answer as it is, as JSON."""
    return _reply(request, json.dumps(answer, ensure_ascii=False))


def text_reply(request: ClaudeRequest, text: str) -> Reply:
    """A text as it is; for a forced tool, whose input is always an object on the wire, as a string in one."""
    return json_reply(request, {"answer": text}) if _tool(request) else _reply(request, text)


def _task_reply(request: ClaudeRequest, own: GivenAnswer, given: GivenAnswer) -> Reply:
    answer = {"status": "completed", "reason": "", **own.content, **(given.content or {})}
    numbers = given.numbers or own.numbers
    output = (request.schema or {}).get("properties", {}).get("output")
    if "output" not in (given.content or {}) and output is not None and request.schema is not None:
        fitter = Fitter(request.schema, _hints(request, numbers))
        if not fitter.takes_prose(output):
            answer["output"] = fitter.instance(output, name="output")
    return fitted_reply(request, answer, numbers)


def _hints(request: ClaudeRequest, numbers: tuple[float, ...]) -> Hints:
    """What to fill a schema with: the services that the prompt names, the answer's numbers."""
    names = request.services or re.findall(r"^[ \t]*(?:- )?name: *([\w-]+) *$", request.user_text, re.M)
    return Hints(names=tuple(dict.fromkeys(names)) or Hints().names, numbers=numbers, text=MARK)


def _tool_calls(request: ClaudeRequest, given: GivenAnswer) -> Reply:
    offered = {tool.get("name") for tool in request.body.get("tools") or []}
    for call in given.calls:
        if call.name not in offered:
            message = f"The simulator's scenario calls {call.name!r}, which is none of the request's tools."
            raise ApiError(400, "ValidationException", message)
    return Reply(given.text, "tool_use", calls=tuple((call.name, call.input) for call in given.calls))


def _reply(request: ClaudeRequest, text: str) -> Reply:
    tool = _tool(request)
    return Reply(text, "tool_use" if tool else "end_turn", tool)


def _tool(request: ClaudeRequest) -> str | None:
    return None if request.wants_format or request.forced_tool is None else str(request.forced_tool["name"])
