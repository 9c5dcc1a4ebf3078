"""What happens after a call fails: repeat it here, and after what wait, or leave it to Airflow.

Only calls that cost nothing are repeated here: once an answer has started, Bedrock may charge for what came. So
throttling in the middle of a stream slows the pace as usual, but the next attempt is Airflow's, whose retries are
counted.

Three kinds of refusal need different patience:

- A *quota* per minute opens again within the minute. The pace, which all calls of the connection share, finds out when.
- *Congestion* of Bedrock lasts minutes, and this account doesn't cause it. Each call comes back later and later, at a
  random moment.
- A *daily quota* isn't worth waiting for. Nothing is repeated, and for a minute the calls that wait behind it fail the
  same way without asking.
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
"""Seconds that a call stays here while it is refused and no other call of its pace is served; then the wait is
Airflow's. While others are served, the quota is merely used up, and each call gets its turn."""
_LEAST_REFUSALS, _MOST_REFUSALS = 3, 60
"""The least refusals before giving up, because a call queues between them, maybe for long; and the most, because a call
that others keep overtaking may be too big for the quota."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 8.0
_FIRST_ABSENCE, _LONGEST_ABSENCE = 1.0, 20.0
"""Seconds that a call stays away during congestion, doubling."""
_SPENT_FOR = 60.0
"""Seconds for which a spent daily quota is believed without asking. Short, because whoever gets a higher quota clears
the tasks soon."""

SLOWING = (ThrottledError, CongestedError)
"""Refusals that mean that calls come too fast. They are reported to the pace."""


@dataclass
class Patience:
    """One call's retries so far, and how long it has been refused.

    :ivar pace: the pace that the call keeps
    :ivar quick_retries: how often a passing fault is repeated at once
    """

    pace: Pace
    quick_retries: int
    _quick: int = 0
    _refusals: int = 0
    _refused_since: float | None = None

    def pause(self, error: ClaudeError) -> float | None:
        """Seconds until the call is repeated here; None to leave it to Airflow."""
        begun = bool(error.usage)
        if begun or (error.retry_after is not None and error.retry_after > LONGEST_WAIT):
            return None
        if isinstance(error, ThrottledError):
            # A quota refuses at once. The pace itself delays the next attempt, for all calls of the connection.
            return 0.0 if self._bears_refusal(self.pace.unserved, THROTTLE_PATIENCE) else None
        if isinstance(error, CongestedError):
            # Calls in flight may still be refused: Bedrock may hold calls for long before it refuses them.
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
            return 0.0  # for so long the pace lets no call start
        return _about(min(_FIRST_ABSENCE * 2 ** (self._refusals - 1), _LONGEST_ABSENCE), 0.5)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _about(seconds: float, least: float) -> float:
    """About that many seconds, at random, so that calls that failed together don't come back together."""
    return seconds * random.uniform(least, 1.0)  # noqa: S311


_spent: weakref.WeakKeyDictionary[Pace, tuple[float, dict[str, Any]]] = weakref.WeakKeyDictionary()


def remember_spent_day(pace: Pace, error: DailyQuotaError) -> None:
    """Tell the calls of the pace's connection and model, for a minute, that the daily quota is spent."""
    _spent[pace] = (_now() + _SPENT_FOR, error.describe())


def check_day(pace: Pace) -> None:
    """Spare a call that would be refused.

    :raises DailyQuotaError: another call was just refused because the daily quota is spent
    """
    until, facts = _spent.get(pace, (0.0, {}))
    if _now() < until:
        raise DailyQuotaError.restore(facts)


def explain_reservation(error: ThrottledError, input_tokens: int, max_tokens: int) -> None:
    """Name in the hint what Bedrock reserves for this call: a smaller quota always refuses it.

    Leaves the hint alone if the quota counts requests, not tokens.

    :param input_tokens: upper bound of the prompt's tokens
    """
    if "too many requests" in error.message.lower():
        return
    error.hint = (
        f"When this call begins, Bedrock reserves up to {input_tokens:,} tokens for its input and {max_tokens:,} for "
        "max_tokens; a quota of fewer tokens a minute refuses it every time. Lower max_tokens (in the agent's file or "
        "[chassis]), context_chars or the slots of the pool, or ask AWS for a higher quota."
    )
