"""Claude's claim about a task, and the verdict of code on it.

``status`` in an answer is Claude's claim. Only the :class:`Verdict` decides whether a task succeeds. Each check of
what was done belongs in a judge; the first check that objects decides.
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
    """What code found about an attempt.

    :ivar finding: ``succeeded``; ``sent_back``, for Claude to try again while it may; or ``blocked``: the task fails,
        because Claude says that it can't be done
    :ivar reasons: why it didn't succeed: for Claude if it is sent back, else for people
    """

    finding: Literal["succeeded", "sent_back", "blocked"]
    reasons: tuple[str, ...] = ()


Judge = Callable[[dict[str, Any]], Verdict]
"""Judges an attempt by its answer, which matches its schema. May be slow: it runs in a thread."""


def judge_answer(answer: dict[str, Any], output_schema: dict[str, Any] | None) -> Verdict:
    """Judge a task that leaves nothing but its answer.

    :param output_schema: the schema that the output must match; None for Markdown
    """
    if answer["status"] == BLOCKED:
        if answer["reason"].strip():
            return Verdict("blocked", (answer["reason"],))
        return Verdict("sent_back", ("reason: it is empty, but status is blocked",))
    faults = [] if answer["summary"].strip() else ["summary: it is empty"]
    if output_schema is not None:
        # Checked separately, too: the answer's own schema allows null here, for a blocked task.
        faults += [f"output: {fault}" for fault in value_faults(answer["output"], output_schema)]
    elif not answer["output"].strip():
        faults.append("output: it is empty")
    return Verdict("sent_back", tuple(faults)) if faults else Verdict("succeeded")


def answer_schema(output_schema: dict[str, Any] | None) -> dict[str, Any]:
    """The schema of a task's answer: its status and its output."""
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
