"""What Claude says of a task it was given, and what code finds of that.

``status`` in an answer is Claude's claim. The :class:`Verdict` is what decides: a task succeeds by nothing else. Each
check of what was done belongs into a judge, in the order in which the first one to object has its way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from chassis.claude.answer_schema import embedded, value_faults

COMPLETED, BLOCKED = "completed", "blocked"
"""What Claude may claim."""


@dataclass(frozen=True)
class Verdict:
    """What code found of an attempt.

    :ivar finding: ``succeeded``; ``sent_back``, for Claude to try again, while it may; or ``blocked``, where the task
        fails, because Claude says that it can't be done
    :ivar reasons: why, unless it succeeded: for Claude where it is sent back, else for people
    """

    finding: Literal["succeeded", "sent_back", "blocked"]
    reasons: tuple[str, ...] = ()


Judge = Callable[[dict[str, Any]], Verdict]
"""Judges an attempt by its answer, which keeps its schema. It may take its time: it runs in a thread."""


def judge_answer(answer: dict[str, Any], output_schema: dict[str, Any] | None) -> Verdict:
    """Judge a task that leaves nothing but its answer.

    :param output_schema: what the output must keep; None for Markdown
    """
    if answer["status"] == BLOCKED:
        if answer["reason"].strip():
            return Verdict("blocked", (answer["reason"],))
        return Verdict("sent_back", ("reason: it is empty, but status is blocked",))
    faults = [] if answer["summary"].strip() else ["summary: it is empty"]
    if output_schema is not None:
        # By itself, too: the answer's own schema allows null here, for a blocked task.
        faults += [f"output: {fault}" for fault in value_faults(answer["output"], output_schema)]
    elif not answer["output"].strip():
        faults.append("output: it is empty")
    return Verdict("sent_back", tuple(faults)) if faults else Verdict("succeeded")


def answer_schema(output_schema: dict[str, Any] | None) -> dict[str, Any]:
    """The schema of a task's answer: what became of it, and its output."""
    output: dict[str, Any] = {
        "type": "string",
        "description": "The result in Markdown; empty when blocked.",
    }
    definitions: dict[str, Any] = {}
    if output_schema is not None:
        wanted, definitions = embedded(output_schema, "output")
        output = {"description": "The result; null when blocked.", "anyOf": [wanted, {"type": "null"}]}
    properties = {
        "status": {
            "type": "string",
            "enum": [COMPLETED, BLOCKED],
            "description": "blocked: it can't be done with what is given. Never pretend to have done it.",
        },
        "reason": {
            "type": "string",
            "description": "When blocked: what is missing or in the way. Otherwise empty.",
        },
        "summary": {"type": "string", "description": "The result in one or two sentences."},
        "output": output,
    }
    return definitions | {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
