"""The one way to make a task's calls to Claude: recall, limit, pace, record, keep.

First look for an answer that an earlier try of the task kept before it died. Otherwise wait until the run's limits and
the connection's pace allow the call, record it in the ledger with an upper bound of its cost, and make it. Keep its
answer before anything is done with it, then record its cost.

Only a call that was in flight when its process was killed can be paid for twice, because nobody has its answer. The
ledger then counts both calls, the lost one at its upper bound.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import time
import uuid
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from chassis.claude.answer_forms import refuses_a_form
from chassis.claude.models import SILENCE_WHILE_THINKING
from chassis.claude.prices import cost_usd
from chassis.claude.reply import BYTES_PER_TOKEN, Reply, call_once
from chassis.claude.waves import patience_ends, prefixes_of, turn
from chassis.contract.spending import Bound
from chassis.contract.usage import Usage
from chassis.crashpoints import ANSWER_KEPT, reached
from chassis.errors import (
    ClaudeError,
    DailyQuotaError,
    NoAnswerError,
    StoreError,
    StreamBrokenError,
    ThrottledError,
)
from chassis.ledger.entries import Closed, Opened
from chassis.ledger.exchanges import Exchange
from chassis.ledger.kept_answers import KeptAnswers, payload_digest
from chassis.ledger.patience import (
    SLOWING,
    Patience,
    check_day,
    explain_reservation,
    remember_spent_day,
)
from chassis.ledger.run_gate import finished, patiently
from chassis.telemetry import CallFacts, call_span

if TYPE_CHECKING:
    from collections.abc import Callable

    from chassis.claude.client import BedrockClient
    from chassis.claude.pace import Pace
    from chassis.contract.spending import RunLimits
    from chassis.ledger.call_identity import CallIdentity
    from chassis.ledger.exchanges import Recorder
    from chassis.ledger.run_gate import RunGate
    from chassis.telemetry import CallRecord

log = logging.getLogger(__name__)

_SLOWEST = 10.0
"""Least tokens per second that an answer is assumed to come with. A call that is still open after that time is lost."""


@dataclass(kw_only=True)
class PaidCalls:
    """Makes the calls of one try of one task; :meth:`ask` is the ``ask`` of ``converse``.

    :ivar model_behind: the model whose price counts, if the payload's model has none; None for the payload's
    :ivar timeout_seconds: how long this try may take from now on; after that, none of its calls counts as open
    :ivar recorder: receives each call that has ended and each recalled answer; None for no recorder
    """

    client: BedrockClient
    identity: CallIdentity
    gate: RunGate
    pace: Pace
    limits: RunLimits
    timeout_seconds: float
    subject: str
    kind: Literal["task", "plan"]
    model_behind: str | None = None
    trace_content: bool = False
    recorder: Recorder | None = None
    answers: KeptAnswers = field(init=False)
    _owner: str = field(default_factory=lambda: uuid.uuid4().hex, init=False)
    _begun: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.answers = KeptAnswers(self.gate.files, self.identity)
        self._deadline = time.time() + self.timeout_seconds

    async def ask(self, payload: dict[str, Any]) -> Reply:
        """Return the complete answer to ``payload``: a kept one, or that of a new call.

        :raises LimitSpentError: a limit of the run or of the task is spent
        :raises PriceUnknownError: a limit in dollars can't be enforced, because the model has no known price
        :raises StoreError: the record store stayed out of reach, so the call was not made
        :raises DailyQuotaError: the daily quota is spent; this call or another one was just refused
        :raises ClaudeError: no usable answer; ``usage`` holds what was counted until then
        """
        digest = await asyncio.to_thread(payload_digest, payload)
        if (kept := await self._recall(digest, payload)) is not None:
            return kept
        bound = await asyncio.to_thread(_bound, self._priced(payload), int(payload["max_tokens"]))
        if not self._begun:
            await self.gate.begin(self.identity, self._owner)
            self._begun = True
        patience = Patience(self.pace, self.client.quick_retries)
        prefixes = await asyncio.to_thread(prefixes_of, self.client.conn_id, payload)
        until = patience_ends()
        while True:
            async with turn(prefixes, until) as begun:
                opened = await self.gate.enter(partial(self._opened, payload, bound), self.limits, self.pace)
                try:
                    return await self._call(opened, payload, digest, begun)
                except ClaudeError as error:
                    if refuses_a_form(error):
                        begun()  # Nobody will write what the others wait for: they are refused as well, at once.
                    if isinstance(error, DailyQuotaError):
                        remember_spent_day(self.pace, error)
                    pause = patience.pause(error)
                    if pause is None:
                        if isinstance(error, ThrottledError):
                            explain_reservation(error, _input_bound(payload), int(payload["max_tokens"]))
                        raise
                    log.info("%s: %s Again in %.1f s.", self.subject, error.message, pause)
            await asyncio.sleep(pause)

    async def _recall(self, digest: str, payload: dict[str, Any]) -> Reply | None:
        kept = await patiently(partial(self.answers.recall, digest))
        if kept is None:
            return None
        closed = Closed.model_validate(kept["closed"])
        # The try that kept it may have died before it closed the entry. Closing twice is safe.
        await self.gate.close(closed)
        reply = Reply.from_data(kept["reply"])
        self._record(Exchange(payload=payload, reply=reply, closed=closed, recalled=True))
        log.info(
            "%s: an earlier try was answered (request %s); not asked again.", self.subject, reply.request_id
        )
        return reply

    def _opened(self, payload: dict[str, Any], bound: Bound) -> Opened:
        check_day(self.pace)
        now = time.time()
        longest = SILENCE_WHILE_THINKING + int(payload["max_tokens"]) / _SLOWEST
        return Opened(
            call=uuid.uuid4().hex,
            task_id=self.identity.task_id,
            item=self.identity.item,
            clear_number=self.identity.clear_number,
            try_number=self.identity.try_number,
            owner=self._owner,
            model=payload["model"],
            opened_at=now,
            until=min(now + longest, self._deadline),
            bound=bound,
        )

    async def _call(
        self, opened: Opened, payload: dict[str, Any], digest: str, begun: Callable[[], None]
    ) -> Reply:
        reply = Reply()
        started = time.monotonic()
        with call_span(
            self._facts(opened.model), payload=payload, trace_content=self.trace_content
        ) as record:
            try:
                await call_once(self.client, payload, subject=self.subject, reply=reply, begun=begun)
            except BaseException as error:
                wait = error.retry_after if isinstance(error, SLOWING) else None
                self.pace.release(throttled=isinstance(error, SLOWING), retry_after=wait)
                closed = _closed(opened, reply, started, error, self._priced(payload))
                _report(record, closed, reply)
                try:
                    await self._close_failed(closed)
                finally:
                    words = error.message if isinstance(error, ClaudeError) else ""
                    self._record(Exchange(payload=payload, reply=reply, closed=closed, error_message=words))
                raise
            self.pace.release(answered=True)
            closed = _closed(opened, reply, started, None, self._priced(payload))
            _report(record, closed, reply)
        try:
            await finished(self._keep(digest, closed, reply))
        finally:
            self._record(Exchange(payload=payload, reply=reply, closed=closed))
        return reply

    def _record(self, exchange: Exchange) -> None:
        if self.recorder is not None:
            self.recorder(exchange)

    async def _keep(self, digest: str, closed: Closed, reply: Reply) -> None:
        """Keep the answer, then close its entry. If the store stays out of reach, use the answer anyway: it is paid
        for.
        """
        kept = {"closed": closed.model_dump(mode="json"), "reply": reply.to_data()}
        try:
            await patiently(partial(self.answers.keep, digest, kept))
            reached(ANSWER_KEPT)
            await self.gate.close(closed)
        except StoreError as error:
            log.warning("%s: the answer is used, but could not be recorded: %s", self.subject, error)

    async def _close_failed(self, closed: Closed) -> None:
        try:
            await self.gate.close(closed)
        except StoreError as error:
            log.warning("%s: the end of a call could not be recorded: %s", self.subject, error)

    def _priced(self, payload: dict[str, Any]) -> dict[str, Any]:
        """The payload with the model whose price counts."""
        return payload if self.model_behind is None else payload | {"model": self.model_behind}

    def _facts(self, model: str) -> CallFacts:
        return CallFacts(
            dag_id=self.identity.dag_id,
            run_id=self.identity.run_id,
            task_id=self.identity.task_id,
            item=self.identity.item,
            try_number=self.identity.try_number,
            model=model,
            conn_id=self.client.conn_id,
            kind=self.kind,
        )


def _bound(payload: dict[str, Any], written: int) -> Bound:
    """The most that a call may cost: its whole prompt as a cache write, and ``written`` output tokens."""
    read = _input_bound(payload)
    cost = cost_usd(payload["model"], Usage(cache_write_tokens=read, output_tokens=written))
    return Bound(tokens=read + written, cost_usd=cost)


def _input_bound(payload: dict[str, Any]) -> int:
    """The most tokens that the prompt may have."""
    return math.ceil(len(json.dumps(payload, ensure_ascii=False).encode()) / BYTES_PER_TOKEN)


def _uncertain(opened: Opened, reply: Reply, error: BaseException | None, payload: dict[str, Any]) -> Bound:
    """What a call may have cost beyond what was counted."""
    if reply.begun:
        return Bound() if reply.input_counted else _bound(payload, written=0)
    # The call was sent, and neither an answer nor a refusal came: nobody knows whether it was carried out.
    unknown = isinstance(error, asyncio.CancelledError | NoAnswerError | StreamBrokenError)
    return opened.bound if unknown else Bound()


def _closed(
    opened: Opened, reply: Reply, started: float, error: BaseException | None, payload: dict[str, Any]
) -> Closed:
    cancelled = isinstance(error, asyncio.CancelledError)
    usage = reply.usage
    return Closed(
        call=opened.call,
        outcome="answered" if error is None else "cancelled" if cancelled else "failed",
        closed_at=time.time(),
        usage=usage,
        cost_usd=cost_usd(payload["model"], usage),
        uncertain=_uncertain(opened, reply, error, payload),
        request_id=reply.request_id or getattr(error, "request_id", ""),
        error="" if error is None else type(error).__name__,
        simulated=reply.simulated,
        seconds=round(time.monotonic() - started, 3),
    )


def _report(record: CallRecord, closed: Closed, reply: Reply) -> None:
    record.finish(
        closed.usage,
        closed.cost_usd,
        "failed" if closed.outcome == "lost" else closed.outcome,
        closed.error,
        request_id=closed.request_id,
        simulated=closed.simulated,
        answer=reply.text,
    )
