"""What becomes of a call that failed: whether it is made again here, after which wait, or is left to Airflow.

Here is repeated only what was not paid for: of an answer that has begun, Bedrock may charge what came. So a throttling
in the middle of a stream slows the pace like any other, and the next attempt is Airflow's, whose retries are counted.

Three kinds of refusal want different patience. A *quota* of a minute opens again within the minute: the pace, which all
calls of the connection share, finds out when. A *congestion* of Bedrock itself lasts minutes, and is none of this
account's making: each call comes back later and later, at a random moment. A *quota of the day* opens on no day that
is worth waiting for: nothing is repeated, and for a minute those that wait behind it are told the same without asking.
"""

from __future__ import annotations

import asyncio
import random
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chassis.claude.pace import LONGEST_WAIT
from chassis.errors import (
    CongestedError,
    DailyQuotaError,
    ServiceFaultError,
    ThrottledError,
    UnreachableError,
)

if TYPE_CHECKING:
    from chassis.claude.pace import Pace
    from chassis.errors import ClaudeError

THROTTLE_PATIENCE, CONGESTION_PATIENCE = 120.0, 300.0
"""Seconds that a call stays here while it is refused and no other call of its pace is served: after that the wait is
Airflow's. While others are served, the quota is merely used up, and each has its turn."""
_LEAST_REFUSALS, _MOST_REFUSALS = 3, 60
"""Refusals that a call takes at least, as it stands in line between them, which may be long; and at most, as one that
others overtake again and again may be too big for the quota."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 8.0
_FIRST_ABSENCE, _LONGEST_ABSENCE = 1.0, 20.0
"""Seconds for which a call stays away from a congestion, doubling."""
_SPENT_FOR = 60.0
"""Seconds for which a spent daily quota is believed without asking: who got a higher one clears the tasks soon."""

SLOWING = (ThrottledError, CongestedError)
"""Refusals that say that calls come too fast: the pace is told."""


@dataclass
class Patience:
    """Of one call: how often it was made again here, and since when it has been refused.

    :ivar pace: the pace that the call keeps
    :ivar quick_retries: how often a passing fault is repeated at once
    """

    pace: Pace
    quick_retries: int
    _quick: int = 0
    _refusals: int = 0
    _refused_since: float | None = None

    def pause(self, error: ClaudeError) -> float | None:
        """Seconds until the call is made again here; None when that is not for this place to do."""
        begun = bool(error.usage)
        if begun or (error.retry_after is not None and error.retry_after > LONGEST_WAIT):
            return None
        if isinstance(error, ThrottledError):
            # A quota refuses at once. The pace itself makes the next attempt wait, for all calls of the connection.
            return 0.0 if self._bears_refusal(self.pace.unserved, THROTTLE_PATIENCE) else None
        if isinstance(error, CongestedError):
            # What is in flight may be refused yet: Bedrock may hold calls for long before it does.
            return (
                self._absence(error)
                if self._bears_refusal(self.pace.unanswered, CONGESTION_PATIENCE)
                else None
            )
        if isinstance(error, ServiceFaultError | UnreachableError) and self._quick < self.quick_retries:
            self._quick += 1
            backoff = min(_FIRST_PAUSE * 2 ** (self._quick - 1), _LONGEST_PAUSE)
            return error.retry_after if error.retry_after is not None else _about(backoff, 0.75)
        return None

    def _bears_refusal(self, unserved: float, patience: float) -> bool:
        now = _now()
        if self._refused_since is None:
            self._refused_since = now
        self._refusals += 1
        starved = min(now - self._refused_since, unserved)
        return self._refusals < _LEAST_REFUSALS or (starved < patience and self._refusals < _MOST_REFUSALS)

    def _absence(self, error: CongestedError) -> float:
        if error.retry_after is not None:
            return 0.0  # for so long the pace lets no call begin
        return _about(min(_FIRST_ABSENCE * 2 ** (self._refusals - 1), _LONGEST_ABSENCE), 0.5)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _about(seconds: float, least: float) -> float:
    """So many seconds, or a random share of them, so that calls that failed together don't come back together."""
    return seconds * random.uniform(least, 1.0)  # noqa: S311


_spent: weakref.WeakKeyDictionary[Pace, tuple[float, dict[str, Any]]] = weakref.WeakKeyDictionary()


def remember_spent_day(pace: Pace, error: DailyQuotaError) -> None:
    """Let the calls of the pace's connection and model know for a minute that the quota of the day is spent."""
    _spent[pace] = (_now() + _SPENT_FOR, error.describe())


def check_day(pace: Pace) -> None:
    """Spare a call that would be refused.

    :raises DailyQuotaError: another call has just been told that the quota of the day is spent
    """
    until, facts = _spent.get(pace, (0.0, {}))
    if _now() < until:
        raise DailyQuotaError.restore(facts)


def explain_reservation(error: ThrottledError, input_tokens: int, max_tokens: int) -> None:
    """Have the hint name what Bedrock reserves for this very call: a smaller quota refuses it for ever.

    Left as it is where requests are counted and not tokens.

    :param input_tokens: upper bound of the prompt's tokens
    """
    if "too many requests" in error.message.lower():
        return
    error.hint = (
        f"When this call begins, Bedrock reserves up to {input_tokens:,} tokens for its input and {max_tokens:,} for "
        "max_tokens; a quota of fewer tokens a minute refuses it every time. Lower max_tokens (in the agent's file or "
        "[chassis]), context_chars or the slots of the pool, or ask AWS for a higher quota."
    )
