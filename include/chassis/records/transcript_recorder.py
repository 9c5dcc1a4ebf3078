"""Writes the transcript of a try while its calls are made, without delaying them.

The event loop hands over each ended call, and dedicated threads mask and write it. Masking a long prompt takes tenths
of a second, and a slow store takes seconds; neither may delay the process's calls or the ledger's file operations. If
writing fails, Chassis only logs that: the answer was paid for and is used.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Literal

from chassis.errors import ChassisError
from chassis.records.masking import masked, masked_data
from chassis.records.transcripts import Turn

if TYPE_CHECKING:
    from chassis.ledger.call_identity import CallIdentity
    from chassis.ledger.exchanges import Exchange
    from chassis.records.transcripts import Transcripts

log = logging.getLogger(__name__)

MOST_CHARS = 1_000_000
"""Characters of a turn that are kept, the answer before the prompt; the rest is cut, visibly."""
PATIENCE = 5.0
"""Seconds that the end of a task waits for its transcript. A slower store may get it later, or never."""

_NEVER_CUT = 64
_THREADS = 4
_pools: dict[int, ThreadPoolExecutor] = {}


class TranscriptRecorder:
    """Records the calls of one try: the ``recorder`` of its ``PaidCalls``."""

    def __init__(
        self, transcripts: Transcripts, identity: CallIdentity, kind: Literal["task", "plan"]
    ) -> None:
        self._transcripts = transcripts
        self._identity = identity
        self._kind = kind
        self._waiting: deque[tuple[Exchange, list[Any], float]] = deque()
        self._in_order = threading.Lock()
        self._writes: list[Future[None]] = []
        self._number = 0
        self._before: _Said | None = None

    def __call__(self, exchange: Exchange) -> None:
        # The conversation continues in this same list of messages.
        self._waiting.append((exchange, list(exchange.payload["messages"]), time.time()))
        try:
            self._writes.append(_pool().submit(self._write_next))
        except RuntimeError:
            log.warning("A transcript is not kept: the process is about to end.")

    async def settled(self) -> None:
        """Wait until everything is written, for :data:`PATIENCE` at most."""
        writes = [asyncio.wrap_future(write) for write in self._writes]
        if writes:
            await asyncio.wait(writes, timeout=PATIENCE)

    def _write_next(self) -> None:
        with self._in_order:
            exchange, messages, ended = self._waiting.popleft()
            said = _Said.of(exchange.payload, messages)
            try:
                turn = self._turn(exchange, said, ended)
                self._number = self._transcripts.write(turn, self._number + 1)
            except ChassisError as error:
                log.warning("A transcript is not kept: %s", error)
            except Exception as error:  # noqa: BLE001  a transcript is never worth a paid answer
                # The error's message could contain a part of the prompt.
                log.warning("A transcript is not kept: %s.", type(error).__name__)
            else:
                # If this file is missing, later ones must not leave out what it would have held.
                self._before = said

    def _turn(self, exchange: Exchange, said: _Said, ended: float) -> Turn:
        closed, reply, who = exchange.closed, exchange.reply, self._identity
        began = ended if exchange.recalled else closed.closed_at - closed.seconds
        new, room = said.since(self._before), _Room(MOST_CHARS)
        return Turn(
            call=closed.call,
            task_id=who.task_id,
            item=who.item,
            map_index=who.map_index,
            try_number=who.try_number,
            clear_number=who.clear_number,
            kind=self._kind,
            model=exchange.payload["model"],
            at=datetime.fromtimestamp(began, UTC).isoformat(timespec="milliseconds"),
            seconds=closed.seconds,
            outcome=closed.outcome,
            error=closed.error,
            error_message=room.fit(masked(exchange.error_message)),
            request_id=closed.request_id,
            simulated=closed.simulated,
            usage=closed.usage,
            cost_usd=closed.cost_usd,
            recalled=exchange.recalled,
            answer=tuple(room.fit(masked_data(list(reply.blocks.values())))),
            stop_reason=reply.stop_reason,
            system=tuple(room.fit(masked_data(new.system))),
            messages=tuple(room.fit(masked_data(new.messages))),
            messages_before=len(said.messages) - len(new.messages),
            answer_schema=room.fit(masked_data(new.schema)),
            cut_chars=room.cut,
        )


@dataclass(frozen=True)
class _Said:
    """What one call sent."""

    system: list[str]
    messages: list[dict[str, Any]]
    schema: dict[str, Any] | None

    @classmethod
    def of(cls, payload: dict[str, Any], messages: list[dict[str, Any]]) -> _Said:
        tool: dict[str, Any] = next(iter(payload.get("tools", ())), {})
        constraint = payload.get("output_config", {}).get("format", {}).get("schema")
        system = [block["text"] for block in payload.get("system", ())]
        return cls(system, messages, tool.get("input_schema", constraint))

    def since(self, before: _Said | None) -> _Said:
        """The part that the previous call didn't send: a conversation repeats the very same messages."""
        if before is None:
            return self
        pairs = zip(self.messages, before.messages, strict=False)
        common = sum(1 for _ in takewhile(lambda pair: pair[0] is pair[1], pairs))
        return _Said(
            [] if self.system == before.system else self.system,
            self.messages[common:],
            None if self.schema == before.schema else self.schema,
        )


class _Room:
    """Cuts what exceeds a turn's limit, and says so at the cut.

    :ivar cut: characters that were left out
    """

    def __init__(self, chars: int) -> None:
        self._left = chars
        self.cut = 0

    def fit(self, value: Any) -> Any:
        """JSON-safe data with its strings cut to the room that is left, first come, first served."""
        if isinstance(value, dict):
            return {name: self.fit(part) for name, part in value.items()}
        if isinstance(value, list):
            return [self.fit(part) for part in value]
        return self._fit_text(value) if isinstance(value, str) else value

    def _fit_text(self, text: str) -> str:
        kept = max(self._left, _NEVER_CUT)
        self._left -= min(len(text), kept)
        if len(text) <= kept:
            return text
        self.cut += len(text) - kept
        return f"{text[:kept]}\n[… {len(text) - kept} more characters are not kept in this transcript]"


def _pool() -> ThreadPoolExecutor:
    """The threads of this process; a parent's don't exist in a forked child."""
    if os.getpid() not in _pools:
        _pools[os.getpid()] = ThreadPoolExecutor(_THREADS, "transcripts")
    return _pools[os.getpid()]
