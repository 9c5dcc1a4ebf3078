"""A conversation with Claude that ends in one JSON answer which keeps its schema, or in one clear error.

The answer is asked for by constrained decoding (``output_config``). Where that can't express the schema, or
the model refuses it, a forced tool takes its place. Either way the answer is checked here, and what is
wrong with it goes back to Claude a bounded number of times.

The same coroutine serves the triggerer, whose loop it never blocks, and workers (``asyncio.run``).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from chassis.claude.answers import decodable, listed, parse_answer, value_faults
from chassis.claude.blocks import sent_back
from chassis.claude.request import ClaudeRequest, text_block
from chassis.claude.usage import Usage
from chassis.errors import (
    AnswerInvalidError,
    AnswerTruncatedError,
    ClaudeError,
    ModelRefusalError,
    RequestRefusedError,
)
from chassis.prompts import faults_message
from chassis.text import one_line

if TYPE_CHECKING:
    from chassis.claude.reply import Ask, Reply

Check = Callable[[Any], list[str]]
"""What is wrong with an answer beyond its schema; runs in a thread. What it raises ends the conversation."""

_MOST_PAUSES = 8
_GO_ON = "Go on."
_FORMAT_WORDS = ("output_config", "output_format", "json_schema", "structured output", "schema", "grammar")

# Models (with the schema) that refused constrained decoding since this process began.
_unconstrained: set[tuple[str, str]] = set()


class ClaudeAnswer(BaseModel):
    """How a conversation ended."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: Any = Field(description="The answer, which keeps its schema and passed its check.")
    usage: Usage = Field(description="Of all calls of the conversation.")
    model: str = Field(
        description="The model that answered, by its own name for itself; as it was asked for, when it gave none."
    )
    request_ids: tuple[str, ...] = Field(description="AWS's request ids, in order.")
    simulated: bool = Field(description="Whether the simulator answered instead of Claude.")
    attempts: int = Field(description="Answers that were given until one was right.")


async def converse(ask: Ask, request: ClaudeRequest, *, check: Check, repairs: int) -> ClaudeAnswer:
    """Ask, check, and send back what is wrong, until the answer is right or ``repairs`` are used up.

    Cancelling it closes its connection at once.

    :param ask: makes each call
    :param check: what is wrong with an answer that keeps its schema; an empty list when nothing is
    :param repairs: times that an answer may be sent back
    :raises AnswerInvalidError: the last answer still had faults; they are in the message
    :raises ClaudeError: any other failure; ``usage`` sums up what was paid for until then
    """
    conversation = _Conversation(ask, request)
    try:
        for attempt in range(1, repairs + 2):
            reply, before = await conversation.next_reply()
            data, faults = await asyncio.to_thread(_examine, reply, before, request, check)
            if not faults:
                return conversation.answer(data, reply, attempt)
            conversation.send_back(reply, faults)
        raise _invalid(request, faults, attempt, reply.request_id)
    except ClaudeError as error:
        paid = conversation.usage + Usage(**error.usage)
        error.usage = paid.model_dump() if paid.calls else {}
        raise


@dataclass
class _Conversation:
    ask: Ask
    request: ClaudeRequest
    usage: Usage = field(default_factory=Usage)
    request_ids: list[str] = field(default_factory=list)
    simulated: bool = False
    turns: list[dict[str, Any]] = field(init=False)

    def __post_init__(self) -> None:
        self.turns = [message.model_dump() for message in self.request.messages]

    async def next_reply(self) -> tuple[Reply, str]:
        """The next complete answer, and the text that came before its pauses.

        A pause of Claude's is answered by letting it go on; it doesn't repeat then what it has said.
        """
        before = ""
        for _ in range(_MOST_PAUSES):
            reply = await self._ask()
            self.usage += reply.usage
            self.request_ids.append(reply.request_id)
            self.simulated |= reply.simulated
            if reply.stop_reason != "pause_turn" or reply.tool(self.request.answer_name):
                _refuse_unfinished(reply, self.request)
                return reply, before
            before += reply.text
            content = sent_back(reply.blocks.values())
            # The API takes no turn without content; and the same payload would find the same answer kept.
            self._say("assistant" if content else "user", content or [text_block(_GO_ON)])
        raise AnswerInvalidError(f"{_subject(self.request)} paused {_MOST_PAUSES} times without an answer.")

    def send_back(self, reply: Reply, faults: list[str]) -> None:
        """Continue the conversation with what is wrong with ``reply``."""
        told = text_block(faults_message(listed(faults)))
        content = sent_back(reply.blocks.values())
        called = [block for block in content if block["type"] == "tool_use"]
        answers = [
            {"type": "tool_result", "tool_use_id": block["id"], "is_error": True, "content": [told]}
            for block in called
        ]
        if content:
            self._say("assistant", content)
        self._say("user", answers or [told])

    def answer(self, data: Any, reply: Reply, attempts: int) -> ClaudeAnswer:
        return ClaudeAnswer(
            data=data,
            usage=self.usage,
            model=reply.model or self.request.model,
            request_ids=tuple(self.request_ids),
            simulated=self.simulated,
            attempts=attempts,
        )

    def _say(self, role: str, content: list[dict[str, Any]]) -> None:
        self.turns.append({"role": role, "content": content})

    async def _ask(self) -> Reply:
        key = (self.request.model, json.dumps(self.request.answer_schema, sort_keys=True))
        if key not in _unconstrained and decodable(self.request.answer_schema):
            try:
                return await self.ask(self._payload(constrained=True))
            except RequestRefusedError as error:
                if not (error.status == 400 and any(word in error.message.lower() for word in _FORMAT_WORDS)):
                    raise
                _unconstrained.add(key)
        return await self.ask(self._payload(constrained=False))

    def _payload(self, *, constrained: bool) -> dict[str, Any]:
        request = self.request
        payload: dict[str, Any] = {
            "model": request.model,
            "max_tokens": request.max_tokens,
            "system": [text_block(part) for part in request.system],
            "messages": self.turns,
        }
        if constrained:
            import anthropic

            schema = anthropic.transform_schema(request.answer_schema)
            return payload | {"output_config": {"format": {"type": "json_schema", "schema": schema}}}
        name = request.answer_name
        tool = {"name": name, "description": "Gives the answer.", "input_schema": request.answer_schema}
        return payload | {"tools": [tool], "tool_choice": {"type": "tool", "name": name}}


def _examine(reply: Reply, before: str, request: ClaudeRequest, check: Check) -> tuple[Any, list[str]]:
    """The answer in ``reply`` and everything that is wrong with it.

    :param before: text that came before a pause: the beginning of the answer, or words about it
    """
    call = reply.tool(request.answer_name)
    data, faults = parse_answer(call["input"] if call else before + reply.text)
    if faults and before and not call:
        data, faults = parse_answer(reply.text)
    faults = faults or value_faults(data, request.answer_schema) or check(data)
    return data, faults


def _refuse_unfinished(reply: Reply, request: ClaudeRequest) -> None:
    """Raise for a stop reason that leaves nothing to examine; the others are complete answers."""
    subject = _subject(request)
    match reply.stop_reason:
        case "end_turn" | "stop_sequence":
            return
        case "tool_use" | "pause_turn" if reply.tool(request.answer_name):
            return
        case "max_tokens":
            raise AnswerTruncatedError(
                f"The answer to {subject} was cut at its limit of {request.max_tokens} output tokens.",
                hint="Raise max_tokens in the agent's file or in [chassis], or ask for less in one task.",
                request_id=reply.request_id,
            )
        case "model_context_window_exceeded":
            raise AnswerTruncatedError(
                f"The prompt and the answer of {subject} together exceed the context of {request.model}.",
                hint="Lower [chassis] context_chars, or give the task fewer dependencies.",
                request_id=reply.request_id,
            )
        case "refusal":
            raise ModelRefusalError(
                f"Claude declined to answer {subject}{f' ({reply.refusal})' if reply.refusal else ''}.",
                hint="Reword the requirement or the task's instruction.",
                request_id=reply.request_id,
            )
        case reason:
            raise AnswerInvalidError(
                f"The answer to {subject} stopped for a reason that leaves no answer: {reason}.",
                request_id=reply.request_id,
            )


def _invalid(request: ClaudeRequest, faults: list[str], attempts: int, request_id: str) -> AnswerInvalidError:
    lines = "\n".join(f"- {one_line(fault)}" for fault in listed(faults))
    tries = f"{attempts} attempt{'s' if attempts > 1 else ''}"
    return AnswerInvalidError(
        f"The answer to {_subject(request)} can't be used after {tries}:\n{lines}\n",
        hint="Make the instruction or the schema clearer, or name a stronger model.",
        request_id=request_id,
    )


def _subject(request: ClaudeRequest) -> str:
    return request.subject or f"a request for {request.answer_name}"
