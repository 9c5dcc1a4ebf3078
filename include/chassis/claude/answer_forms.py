"""The forms in which Chassis can ask for an answer, and which of them a model took recently.

Nobody can know in advance whether a model takes a form: sources contradict each other, and support has vanished
overnight and come back. So Chassis tries the forms in order:

1. constrained: the schema is in ``output_config.format``, and decoding follows it
2. a forced tool: the schema is the tool's input schema
3. asked for: only the prompt asks. The schema is in a fence ``answer_schema`` (see :mod:`chassis.prompts`), in its own
   block at the end of the request's last turn. That is behind what the prompt cache holds, so tasks with other schemas
   share the cached part

A refusal is free. To avoid one per call, a process remembers for an hour which form a model took for a schema; if the
model refuses that form later, Chassis still tries the others.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chassis.claude.answer_schema import decodable
from chassis.claude.request import text_block
from chassis.errors import RequestRefusedError
from chassis.prompts import schema_message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from chassis.claude.request import ClaudeRequest
    from chassis.errors import ClaudeError

REMEMBERED_SECONDS = 3600.0
"""Longer than the interval of an hourly job's calls, shorter than the day or more for which support has vanished."""
_MOST_REMEMBERED = 10_000


@dataclass(frozen=True)
class Form:
    """A form in which Chassis can ask for an answer.

    :ivar name: what messages call it
    :ivar words: lower-case words; a refusal of this form contains at least one
    :ivar fields: fields of the request body that ask for the answer
    :ivar in_prompt: whether the prompt asks for the answer
    """

    name: str
    words: tuple[str, ...]
    fields: Callable[[ClaudeRequest], dict[str, Any]]
    in_prompt: bool = False

    def refused_by(self, error: RequestRefusedError) -> bool:
        """Whether Bedrock's words refuse this form. The status doesn't count: it may be any, even a stream's."""
        words = error.words.lower()
        about_effort = "effort" in words and "format" not in words and "schema" not in words
        return not about_effort and any(word in words for word in self.words)

    def opening(self, request: ClaudeRequest) -> list[dict[str, Any]]:
        """The first turns of the conversation."""
        turns = [message.model_dump() for message in request.messages]
        if self.in_prompt:
            asked = text_block(schema_message(request.answer_schema))
            turns[-1]["content"] = [*turns[-1]["content"], asked]
        return turns


def _nothing(request: ClaudeRequest) -> dict[str, Any]:  # noqa: ARG001  as the others are called
    return {}


def _constraint(request: ClaudeRequest) -> dict[str, Any]:
    import anthropic

    schema = anthropic.transform_schema(request.answer_schema)
    return {"output_config": {"format": {"type": "json_schema", "schema": schema}}}


def _forced_tool(request: ClaudeRequest) -> dict[str, Any]:
    name = request.answer_name
    tool = {"name": name, "description": "Gives the answer.", "input_schema": request.answer_schema}
    return {"tools": [tool], "tool_choice": {"type": "tool", "name": name}}


CONSTRAINED = Form(
    "output_config.format",
    ("output_config", "output_format", "json_schema", "structured output", "schema", "grammar"),
    _constraint,
)
# "Thinking may not be enabled when tool_choice forces tool use" counts, too: the form is what can change.
FORCED_TOOL = Form("a forced tool", ("tool", "schema"), _forced_tool)
ASKED_FOR = Form("JSON asked for in the prompt", (), _nothing, in_prompt=True)


def refuses_a_form(error: ClaudeError) -> bool:
    """Whether the model refused the form of the answer, and not something else in the request."""
    return isinstance(error, RequestRefusedError) and any(
        form.refused_by(error) for form in (CONSTRAINED, FORCED_TOOL)
    )


class FormMemory:
    """Remembers which form a model took for a schema, if it wasn't the first one.

    :param seconds: how long to remember an entry after it was learned
    :param most: maximum number of entries; the oldest goes first
    """

    def __init__(
        self,
        *,
        seconds: float = REMEMBERED_SECONDS,
        most: int = _MOST_REMEMBERED,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._seconds, self._most, self._clock = seconds, most, clock
        self._taken: dict[tuple[str, str], tuple[Form, float]] = {}

    def forms_for(self, request: ClaudeRequest) -> list[Form]:
        """The forms that can hold the request's schema, in the order to try them."""
        forms = [FORCED_TOOL, ASKED_FOR]
        if decodable(request.answer_schema):
            forms.insert(0, CONSTRAINED)
        form, until = self._taken.get(_key(request), (forms[0], 0.0))
        return sorted(forms, key=lambda each: each is not form) if self._clock() < until else forms

    def learn(self, request: ClaudeRequest, form: Form) -> None:
        """Try this form first from now on, because the model refused the one before it."""
        key = _key(request)
        self._taken.pop(key, None)
        self._taken[key] = (form, self._clock() + self._seconds)
        if len(self._taken) > self._most:
            del self._taken[next(iter(self._taken))]


MEMORY = FormMemory()


def as_text(turns: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Later turns of a conversation for any form: text only, with the user's turn last.

    Thinking is left out, because it may only go back into the exact history that it came from. Tool blocks are left
    out, because the API refuses them if a request offers no tools; their content stays as text.
    """
    kept = [{"role": turn["role"], "content": texts_of(turn["content"])} for turn in turns]
    kept = [turn for turn in kept if turn["content"]]
    while kept and kept[-1]["role"] != "user":
        kept.pop()
    return kept


def texts_of(content: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """A turn's texts, as text blocks."""
    texts: list[dict[str, Any]] = []
    for block in content:
        match block:
            case {"type": "text"}:
                texts.append(block)
            case {"type": "tool_use", "input": value}:
                texts.append(text_block(json.dumps(value, ensure_ascii=False)))
            case {"type": "tool_result", "content": list(told)}:
                texts += texts_of(told)
    return texts


def _key(request: ClaudeRequest) -> tuple[str, str]:
    schema = json.dumps(request.answer_schema, sort_keys=True)
    return request.model, hashlib.sha256(schema.encode("utf-8", "surrogatepass")).hexdigest()
