"""The forms in which an answer can be asked for, and which of them a model took lately.

Whether a model takes a form is nobody's to know beforehand: sources contradict each other, and support has vanished
overnight, and come back. So the forms are tried in order, by the answer that comes:

1. constrained: the schema stands in ``output_config.format``, and decoding keeps to it
2. a forced tool: the schema is that of the tool's input
3. asked for: nothing but the prompt says what is wanted. The schema stands in a fence ``answer_schema`` (see
   :mod:`chassis.prompts`), in a block of its own at the end of the request's last turn: behind what the prompt cache
   holds, so that tasks with other schemas share that, too

A refusal costs nothing. What a model took for a schema is remembered for an hour, in this process, so that not every
call begins with one; whatever is remembered, the other forms are still tried when the model refuses it.
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
"""Between the hours of a job that runs hourly, and the day or more that support has been away."""
_MOST_REMEMBERED = 10_000


@dataclass(frozen=True)
class Form:
    """A form in which an answer can be asked for.

    :ivar name: what it is, in a message's words
    :ivar words: in small letters, of which a refusal of this form has one
    :ivar fields: of the request's body, which ask for the answer
    :ivar in_prompt: whether the prompt asks for the answer
    """

    name: str
    words: tuple[str, ...]
    fields: Callable[[ClaudeRequest], dict[str, Any]]
    in_prompt: bool = False

    def refused_by(self, error: RequestRefusedError) -> bool:
        """Whether a refusal is one of this form, by what Bedrock says: its status may be any, that of a stream, too."""
        words = error.words.lower()
        about_effort = "effort" in words and "format" not in words and "schema" not in words
        return not about_effort and any(word in words for word in self.words)

    def opening(self, request: ClaudeRequest) -> list[dict[str, Any]]:
        """The turns that the conversation begins with."""
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
# "Thinking may not be enabled when tool_choice forces tool use" counts, too: the form is what can give way.
FORCED_TOOL = Form("a forced tool", ("tool", "schema"), _forced_tool)
ASKED_FOR = Form("JSON asked for in the prompt", (), _nothing, in_prompt=True)


def refuses_a_form(error: ClaudeError) -> bool:
    """Whether what the model refused is the form of an answer, and not what else the request holds."""
    return isinstance(error, RequestRefusedError) and any(
        form.refused_by(error) for form in (CONSTRAINED, FORCED_TOOL)
    )


class FormMemory:
    """Which form a model took for a schema, where it isn't the first one.

    :param seconds: how long that is remembered, from when it was learned
    :param most: how much is remembered; the oldest is forgotten first
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
        """The forms that can hold the request's schema, in the order in which they should be tried."""
        forms = [FORCED_TOOL, ASKED_FOR]
        if decodable(request.answer_schema):
            forms.insert(0, CONSTRAINED)
        form, until = self._taken.get(_key(request), (forms[0], 0.0))
        return sorted(forms, key=lambda each: each is not form) if self._clock() < until else forms

    def learn(self, request: ClaudeRequest, form: Form) -> None:
        """Try this form first from now on: the model took it, and not the one before it."""
        key = _key(request)
        self._taken.pop(key, None)
        self._taken[key] = (form, self._clock() + self._seconds)
        if len(self._taken) > self._most:
            del self._taken[next(iter(self._taken))]


MEMORY = FormMemory()
"""That of this process."""


def as_text(turns: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Later turns of a conversation as any form takes them: nothing but texts, and the user has the last word.

    Thinking is left out: it may go back into the very history alone that it came from. So are tools, which the API
    refuses where a request offers none; what was said through them stays.
    """
    kept = [{"role": turn["role"], "content": texts_of(turn["content"])} for turn in turns]
    kept = [turn for turn in kept if turn["content"]]
    while kept and kept[-1]["role"] != "user":
        kept.pop()
    return kept


def texts_of(content: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """What a turn's blocks say, as blocks of text."""
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
