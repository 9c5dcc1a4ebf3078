"""Asks one model, for ten cents at most, what only AWS can answer about Claude on Bedrock.

Chassis was built against a simulator, which proves nothing about AWS. This check tests its assumptions with a real
account: which forms of an answer the model takes, whether the cache works, which request versions are known, and how
Bedrock words its refusals. Each finding appears beside what was expected.

Invariant that must not be relaxed: no call is made whose upper bound exceeds what is left of :data:`MOST_USD`. A call
whose end nobody saw counts at its bound.
"""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from chassis.claude.answer_forms import ASKED_FOR, CONSTRAINED, FORCED_TOOL, Form
from chassis.claude.answer_schema import parse_answer, value_faults
from chassis.claude.models import facts_of
from chassis.claude.prices import cost_usd
from chassis.claude.reply import BYTES_PER_TOKEN, Reply, call_once
from chassis.claude.request import ClaudeRequest, Message, text_block
from chassis.contract.usage import Usage
from chassis.errors import (
    ClaudeError,
    CongestedError,
    NoAnswerError,
    PriceUnknownError,
    RequestRefusedError,
    StreamBrokenError,
    ThrottledError,
)

if TYPE_CHECKING:
    from chassis.claude.client import BedrockClient

MOST_USD = 0.10
"""Maximum cost of one check in US dollars, at list prices."""
_SCHEMA = {
    "type": "object",
    "properties": {"river": {"type": "string"}},
    "required": ["river"],
    "additionalProperties": False,
}
VERSIONS = ("bedrock-2023-05-31", "2026-10-21")

_HIDDEN_TOKENS = 1_000
"""Maximum number of input tokens that Bedrock adds for tools and schemas; no request shows them."""
_ANSWER_TOKENS, _THOUGHTFUL_TOKENS = 300, 1_000
_LEAST_BYTES_PER_TOKEN = 4.6
"""For the text that fills the cache, so that it isn't too short: English prose has fewer bytes per token."""
_THROTTLING = "Bedrock's words when it throttles"
_LINE = "The quick brown fox jumps over the lazy dog while seven wizards brew a potion of old ink. "

Answer = Literal["yes", "no", "unclear", "not asked"]
Judge = Callable[[Reply], tuple[Answer, str]]


class Finding(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    question: str
    answer: Answer
    detail: str = Field("", description="What Bedrock said, or what was counted.")
    expected: str = Field("", description="What Chassis takes for true before it asks; empty: nothing.")
    status: int | None = Field(None, description="HTTP status of a refusal; 200: it came inside a stream.")
    error: str = Field("", description="Bedrock's name of a refusal, and what Chassis takes it for.")
    retry_after: float | None = Field(None, description="Seconds in a refusal's retry-after header.")
    request_id: str = ""
    usage: Usage = Usage()
    usd: float = Field(0.0, description="List price; of a call whose end nobody saw, its upper bound.")


class TooDearError(Exception):
    """A call's upper bound exceeds what is left."""


@dataclass
class Purse:
    """Counts what was spent of :data:`MOST_USD`, and the calls.

    :ivar known: the name under which to look up the model's price
    """

    known: str
    spent: float = 0.0
    calls: int = 0

    def __post_init__(self) -> None:
        if cost_usd(self.known, Usage()) is None:
            raise PriceUnknownError(
                f"The price of model {self.known!r} isn't known, so ${MOST_USD:.2f} can't be held; nothing was sent."
            )

    def bound(self, payload: dict[str, Any]) -> float:
        """The most a call can cost: its whole prompt written to the cache, and all the output that it allows."""
        read = math.ceil(len(json.dumps(payload).encode()) / BYTES_PER_TOKEN) + _HIDDEN_TOKENS
        return (
            cost_usd(self.known, Usage(cache_write_tokens=read, output_tokens=payload["max_tokens"])) or 0.0
        )

    async def pay(self, client: BedrockClient, payload: dict[str, Any]) -> Reply:
        """Make the call.

        :raises TooDearError: it could cost more than is left, and wasn't made
        :raises ClaudeError: no answer; its cost is counted
        """
        bound = self.bound(payload)
        if self.spent + bound > MOST_USD:
            raise TooDearError(f"it could cost ${bound:.4f}, and ${MOST_USD - self.spent:.4f} is left")
        self.calls += 1
        before = self.spent
        self.spent += bound  # however this call ends, until its real cost is known
        reply = Reply()
        try:
            await call_once(client, payload, subject="live check", reply=reply)
        except ClaudeError as error:
            if not isinstance(error, NoAnswerError | StreamBrokenError) and not reply.begun:
                self.spent = before
            raise
        cost = cost_usd(self.known, reply.usage)
        if cost is not None and reply.input_counted:
            self.spent = before + cost
        return reply


@dataclass
class LiveCheck:
    """Asks the questions, one after the other.

    :ivar known: the name under which to look up the model's price and facts
    :ivar tell: called with each finding as soon as it is known
    :ivar failure: why the first call failed, if it did; then nothing else was asked
    """

    client: BedrockClient
    model: str
    known: str
    version: str
    tell: Callable[[Finding], None] = lambda _: None
    findings: list[Finding] = field(default_factory=list)
    simulated: bool = False
    failure: ClaudeError | None = None

    def __post_init__(self) -> None:
        self.purse = Purse(self.known)
        self.facts = facts_of(self.known)

    async def run(self) -> None:
        """Ask everything that the budget allows; :attr:`findings` has the results."""
        reply = await self._put("a call with one token is answered, streamed", self._small(), expected="yes")
        if reply is None:
            return
        self.simulated = reply.simulated
        self._add("a stream's answer has a request id", "yes" if reply.request_id else "no", expected="yes")
        wrong = self._small(messages=[{"role": "nobody", "content": "Say OK."}])
        await self._put("a wrong request is refused, free", wrong, expected="yes", refusal="yes")
        await self._ask_versions()
        for form in (CONSTRAINED, FORCED_TOOL, ASKED_FOR):
            await self._ask_form(form)
        await self._ask_options()
        await self._ask_cache()
        self._conclude_throttling()

    async def _ask_versions(self) -> None:
        for version in VERSIONS:
            question = f"the request version {version} is taken"
            if version == self.version:
                self._add(question, "yes", detail="the connection's: every call here has it")
            else:
                await self._put(question, self._small(extra_body={"anthropic_version": version}))

    async def _ask_form(self, form: Form) -> None:
        request = ClaudeRequest(
            model=self.model,
            max_tokens=_THOUGHTFUL_TOKENS if self.facts.may_think() else _ANSWER_TOKENS,
            system=("You answer shortly.",),
            messages=(Message(role="user", content=(text_block("Which river flows through Paris?"),)),),
            answer_schema=_SCHEMA,
        )
        payload = {
            "model": self.model,
            "max_tokens": request.max_tokens,
            "system": [text_block(part) for part in request.system],
            "messages": form.opening(request),
            **form.fields(request),
        }

        def judge(reply: Reply) -> tuple[Answer, str]:
            call = reply.tool(request.answer_name)
            data, faults = parse_answer(call["input"] if call else reply.text)
            faults = faults or value_faults(data, request.answer_schema)
            if not faults:
                return "yes", ""
            return ("unclear", "it was cut") if reply.stop_reason == "max_tokens" else ("no", faults[0])

        await self._put(f"an answer comes by {form.name}", payload, judge=judge)

    async def _ask_options(self) -> None:
        can = "yes" if "low" in self.facts.efforts else "no"
        await self._put("effort low is taken", self._small(output_config={"effort": "low"}), expected=can)
        kind, can = self.facts.off or "disabled", "yes" if self.facts.off else "no"
        await self._put(f"thinking {kind} is taken", self._small(thinking={"type": kind}), expected=can)

    async def _ask_cache(self) -> None:
        least = self.facts.cache_minimum
        lines = math.ceil(least * _LEAST_BYTES_PER_TOKEN / len(_LINE))
        # A unique beginning, so that none of it is in the cache yet.
        prefix = text_block(f"Check {uuid.uuid4().hex}. " + _LINE * lines, cached=True)
        payload = self._small(messages=[{"role": "user", "content": [prefix, text_block("Say OK.")]}])

        def counts(kind: str) -> Judge:
            def judge(reply: Reply) -> tuple[Answer, str]:
                count, output = getattr(reply.usage, kind), reply.usage.output_tokens
                return "yes" if count else "no", f"{count:,} tokens of {reply.usage.tokens - output:,}"

            return judge

        name, written = (
            f"a prefix above {least:,} tokens is written to the cache",
            counts("cache_write_tokens"),
        )
        if await self._put(name, payload, expected="yes", judge=written) is not None:
            read = counts("cache_read_tokens")
            await self._put("it is read by the next call", payload, expected="yes", judge=read)

    def _conclude_throttling(self) -> None:
        """Ten cents can't provoke throttling: a call that could exceed any quota could also cost that much."""
        if not any(finding.question == _THROTTLING for finding in self.findings):
            self._add(_THROTTLING, "not asked", detail="nothing was throttled meanwhile")

    def _small(self, **more: Any) -> dict[str, Any]:
        messages = [{"role": "user", "content": [text_block("Say OK.")]}]
        return {"model": self.model, "max_tokens": 1, "messages": messages, **more}

    async def _put(
        self,
        question: str,
        payload: dict[str, Any],
        *,
        expected: str = "",
        judge: Judge | None = None,
        refusal: Answer = "no",
    ) -> Reply | None:
        """Ask one question.

        :param judge: reads the answer; None: any answer means yes, or no if ``refusal`` is yes
        :param refusal: what a refusal of the request means
        """
        before = self.purse.spent
        try:
            reply = await self.purse.pay(self.client, payload)
        except TooDearError as error:
            self._add(question, "not asked", detail=str(error), expected=expected)
            return None
        except ClaudeError as error:
            self._take_error(question, error, expected, refusal, self.purse.spent - before)
            return None
        came: Answer = "no" if refusal == "yes" else "yes"
        answer, detail = judge(reply) if judge else (came, f"stop reason {reply.stop_reason}")
        usd = self.purse.spent - before
        found = {"expected": expected, "request_id": reply.request_id, "usage": reply.usage, "usd": usd}
        self._add(question, answer, detail=detail, **found)
        return reply

    def _take_error(
        self, question: str, error: ClaudeError, expected: str, refusal: Answer, usd: float
    ) -> None:
        if not self.findings:
            self.failure = error
        found = {
            "detail": error.words or (error.message if not error.status else ""),
            "expected": expected,
            "status": error.status,
            "error": " as ".join(filter(None, [error.error_type, type(error).__name__])),
            "retry_after": error.retry_after,
            "request_id": error.request_id,
            "usage": Usage(**error.usage),
            "usd": usd,
        }
        self._add(question, refusal if isinstance(error, RequestRefusedError) else "unclear", **found)
        if isinstance(error, ThrottledError | CongestedError):
            self._add(_THROTTLING, "yes", **found)

    def _add(self, question: str, answer: Answer, **facts: Any) -> None:
        self.findings.append(Finding(question=question, answer=answer, **facts))
        self.tell(self.findings[-1])
