"""From a request to the reply in the form that it asks for: JSON text by its schema, a forced tool's input, or plain text."""

from __future__ import annotations

import json
from typing import Any

from chassis.simulator.executor import MARK, answer_for, hints_for
from chassis.simulator.message import Reply
from chassis.simulator.planner import plan_for
from chassis.simulator.request import ClaudeRequest
from chassis.simulator.schema import Fitter


def make_reply(request: ClaudeRequest) -> Reply:
    """The simulator's own answer."""
    if request.kind == "plan":
        return fitted_reply(request, plan_for(request))
    if request.kind == "task":
        return fitted_reply(request, answer_for(request))
    if request.schema is None:
        return text_reply(request, f"{MARK} This is the simulator, not Claude.")
    return json_reply(request, Fitter(request.schema).instance())


def fitted_reply(request: ClaudeRequest, answer: dict[str, Any]) -> Reply:
    """The answer made to fit the request's schema; without a schema a task's answer is its Markdown."""
    if request.schema is None:
        return text_reply(request, answer["output"] if request.kind == "task" else json.dumps(answer, indent=2))
    hints = hints_for(request) if request.kind == "task" else None
    fitter = Fitter(request.schema, hints)
    output = request.schema.get("properties", {}).get("output")
    if isinstance(answer.get("output"), str) and output is not None and not fitter.takes_prose(output):
        answer = answer | {"output": fitter.instance(output, name="output")}
    return json_reply(request, fitter.conform(answer))


def json_reply(request: ClaudeRequest, answer: Any) -> Reply:
    """The answer as it is, as JSON, in the form that the request asks for."""
    return text_reply(request, json.dumps(answer, ensure_ascii=False))


def text_reply(request: ClaudeRequest, text: str) -> Reply:
    """A text as it is, as the answer's text or as the forced tool's input."""
    tool = None if request.wants_format or request.forced_tool is None else str(request.forced_tool["name"])
    return Reply(text, "tool_use" if tool else "end_turn", tool)
