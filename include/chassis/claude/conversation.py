"""A conversation with Claude that ends in one JSON answer that matches its schema, or in one clear error.

It tries the next form of :mod:`chassis.claude.answer_forms` if the model refuses one, or if constrained decoding runs
on to the token limit. It sends an answer's faults back to Claude, a limited number of times. The same coroutine serves
workers (``asyncio.run``) and the triggerer, whose loop it never blocks.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from chassis.claude.answer_forms import CONSTRAINED, FORCED_TOOL, MEMORY, Form, FormMemory, as_text, texts_of
from chassis.claude.answer_schema import listed, parse_answer, value_faults
from chassis.claude.blocks import sent_back
from chassis.claude.request import ClaudeRequest, text_block
from chassis.claude.thinking import with_thinking
from chassis.contract.usage import Usage
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
    from collections.abc import Sequence

    from chassis.claude.reply import Ask, Reply

Check = Callable[[Any], list[str]]
"""Returns an answer's faults beyond its schema. Runs in a thread; an exception ends the conversation."""

_MOST_PAUSES = 8
_GO_ON = "Go on."
_OTHER_MODEL = "Set another model at the agent or the task."

log = logging.getLogger(__name__)


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


async def converse(
    ask: Ask, request: ClaudeRequest, *, check: Check, repairs: int, memory: FormMemory = MEMORY
) -> ClaudeAnswer:
    """Ask, check, and send faults back, until the answer is right or ``repairs`` are used up. Cancelling closes the
    connection.

    :param ask: makes each call
    :param check: returns the faults of an answer that matches its schema; an empty list if there are none
    :param repairs: how often an answer may be sent back
    :param memory: which forms models took recently
    :raises AnswerInvalidError: the last answer still had faults; the message lists them
    :raises RequestRefusedError: Bedrock refused the request itself, or every form of an answer
    :raises ClaudeError: any other failure; ``usage`` adds up what was paid for until then
    """
    conversation = _Conversation(with_thinking(ask, request), request, memory)
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
    """What was said so far, in the current form.

    :ivar forms: the forms left to try, the current one first
    :ivar opening: the request's own turns, in that form
    :ivar said: the turns since then
    :ivar before: what the current answer said before its pauses
    :ivar refusals: the forms that the model refused, with its errors
    :ivar changed: whether the current form isn't the first one tried
    :ivar cut: what to raise if constrained decoding ran on and the model takes no other form
    """

    ask: Ask
    request: ClaudeRequest
    memory: FormMemory
    usage: Usage = field(default_factory=Usage)
    request_ids: list[str] = field(default_factory=list)
    simulated: bool = False
    forms: list[Form] = field(init=False)
    opening: list[dict[str, Any]] = field(init=False)
    said: list[dict[str, Any]] = field(default_factory=list)
    before: str = ""
    refusals: list[tuple[Form, RequestRefusedError]] = field(default_factory=list)
    changed: bool = False
    cut: AnswerTruncatedError | None = None

    def __post_init__(self) -> None:
        self.forms = self.memory.forms_for(self.request)
        self.opening = self.form.opening(self.request)

    @property
    def form(self) -> Form:
        return self.forms[0]

    async def next_reply(self) -> tuple[Reply, str]:
        """The next complete answer, and the text before its pauses. After a pause, Claude continues without repeating
        that text.
        """
        self.before = ""
        for _ in range(_MOST_PAUSES):
            reply = await self._ask()
            if reply.stop_reason != "pause_turn" or reply.tool(self.request.answer_name):
                _refuse_unfinished(reply, self.request)
                return reply, self.before
            self.before += reply.text
            content = self._sent_back(reply)
            # The API takes no turn without content, and the same payload would find the same kept answer.
            self._say("assistant" if content else "user", content or [text_block(_GO_ON)])
        raise AnswerInvalidError(f"{_subject(self.request)} paused {_MOST_PAUSES} times without an answer.")

    def send_back(self, reply: Reply, faults: list[str]) -> None:
        """Continue the conversation with the faults of ``reply``."""
        told = text_block(faults_message(listed(faults)))
        content = self._sent_back(reply)
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
        self.said.append({"role": role, "content": content})

    def _sent_back(self, reply: Reply) -> list[dict[str, Any]]:
        content = sent_back(reply.blocks.values())
        if self.form is not FORCED_TOOL and any(block["type"] == "tool_use" for block in content):
            return texts_of(content)  # no tool was offered, and the API refuses calls of one
        return content

    async def _ask(self) -> Reply:
        """The next reply, in the first form that gives one."""
        while True:
            try:
                reply = await self.ask(self._payload())
            except RequestRefusedError as error:
                self._give_way(error)
                continue
            self.usage += reply.usage
            self.request_ids.append(reply.request_id)
            self.simulated |= reply.simulated
            if reply.stop_reason == "max_tokens":
                if self.form is not CONSTRAINED or len(self.forms) == 1 or _only_thought(reply):
                    return reply
                # With some schemas, decoding runs on without end: seen with nested lists and optional properties.
                self.cut = _cut(self.request, reply)
                self._change_form(f"ran on to {self.request.max_tokens} tokens with {self.form.name}")
                continue
            self.cut = None
            if self.changed:
                self.memory.learn(self.request, self.form)
            return reply

    def _give_way(self, refused: RequestRefusedError) -> None:
        """Continue in the next form, because the model refused this one.

        :raises ClaudeError: it refused something else, or there is no other form
        """
        last = len(self.forms) == 1
        if not self.form.refused_by(refused) and not (last and self.refusals):
            raise refused
        self.refusals.append((self.form, refused))
        self.usage += Usage(**refused.usage)
        if last:
            raise self.cut or _every_form_refused(self.request, self.refusals)
        self._change_form(f"refused {self.form.name}")

    def _change_form(self, why: str) -> None:
        self.forms = self.forms[1:]
        self.changed = True
        self.opening = self.form.opening(self.request)
        self.said = as_text(self.said)
        self.before = ""
        log.info(
            "%s: %s %s; the next form is %s.", _subject(self.request), self.request.model, why, self.form.name
        )

    def _payload(self) -> dict[str, Any]:
        request = self.request
        payload: dict[str, Any] = {
            "model": request.model,
            "max_tokens": request.max_tokens,
            "system": [text_block(part) for part in request.system],
            "messages": [*self.opening, *self.said],
        }
        return payload | self.form.fields(request)


def _examine(reply: Reply, before: str, request: ClaudeRequest, check: Check) -> tuple[Any, list[str]]:
    """The answer in ``reply``, and all its faults.

    :param before: text that came before a pause: the beginning of the answer, or words about it
    """
    call = reply.tool(request.answer_name)
    data, faults = parse_answer(call["input"] if call else before + reply.text)
    if faults and before and not call:
        data, faults = parse_answer(reply.text)
    faults = faults or value_faults(data, request.answer_schema) or check(data)
    return data, faults


def _refuse_unfinished(reply: Reply, request: ClaudeRequest) -> None:
    """Raise for a stop reason that leaves nothing to examine; the others mean a complete answer."""
    subject = _subject(request)
    match reply.stop_reason:
        case "end_turn" | "stop_sequence":
            return
        case "tool_use" | "pause_turn" if reply.tool(request.answer_name):
            return
        case "max_tokens":
            raise _cut(request, reply)
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


def _only_thought(reply: Reply) -> bool:
    """Whether the answer itself hadn't begun, so that its form can't have made it long."""
    kinds = {block["type"] for block in reply.blocks.values()}
    return bool(kinds) and kinds <= {"thinking", "redacted_thinking"}


def _cut(request: ClaudeRequest, reply: Reply) -> AnswerTruncatedError:
    what, less = "The answer to", "lower the effort, or ask for less in one task"
    if _only_thought(reply):
        what, less = "Thinking about", "or set a lower effort at the task, the agent or the connection"
    return AnswerTruncatedError(
        f"{what} {_subject(request)} was cut at its limit of {request.max_tokens} output tokens.",
        hint=f"Raise max_tokens in the agent's file or in [chassis], {less}.",
        request_id=reply.request_id,
    )


def _every_form_refused(
    request: ClaudeRequest, refusals: Sequence[tuple[Form, RequestRefusedError]]
) -> RequestRefusedError:
    told = "\n".join(f"- {form.name}: {refused.words or refused.message}" for form, refused in refusals)
    last = refusals[-1][1]
    return RequestRefusedError(
        f"Model '{request.model}' refuses every form in which {_subject(request)} can be answered:\n{told}\n",
        hint=_OTHER_MODEL if last.hint == RequestRefusedError.remedy else last.hint,
        status=last.status,
        error_type=last.error_type,
        request_id=last.request_id,
    )


def _invalid(request: ClaudeRequest, faults: list[str], attempts: int, request_id: str) -> AnswerInvalidError:
    lines = "\n".join(f"- {one_line(fault)}" for fault in listed(faults))
    tries = f"{attempts} attempt{'s' if attempts > 1 else ''}"
    return AnswerInvalidError(
        f"The answer to {_subject(request)} can't be used after {tries}:\n{lines}\n",
        hint="Make the instruction or the schema clearer, or set another model at the agent or the task.",
        request_id=request_id,
    )


def _subject(request: ClaudeRequest) -> str:
    return request.subject or f"a request for {request.answer_name}"
