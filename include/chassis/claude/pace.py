"""How many calls one process may have in flight to one model, and how fast they may start.

Bedrock's quotas (requests per second or minute, and concurrent requests) aren't told to this process. Bedrock refuses
what exceeds them with 429, which costs only time. A :class:`Pace` learns both from the refusals, so that hundreds of
waiting calls go out about as fast as the quota allows, and few of them are refused.

It has two limits: the *width* (calls in flight) and the *rate* (calls a second, evenly spaced). Until the first
refusal, the width is the maximum, and the rate keeps doubling while it holds calls up. A refusal lowers the limit that
it met to a little less than what had been admitted. From there, that limit returns, stays for a while, tries a little
more and, if nothing is refused, doubles again: nearly the curve of TCP CUBIC.

Invariants that must not be relaxed:

- A slot is given back however its task ends, even if the task forgets it. A task cancelled while waiting has none; a
  task cancelled at the moment of getting one gives it back.
- Refusals of calls that started before a limit was lowered don't lower it again: they are one burst.
- Tasks are served in the order in which they wait.

A pace belongs to one event loop and needs no lock. Nothing is stored: each process finds its limits again, at the cost
of a refusal or two.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import weakref
from collections import deque
from dataclasses import dataclass
from itertools import takewhile

log = logging.getLogger(__name__)

LONGEST_WAIT = 20.0
"""Longest ``retry-after``, in seconds, for which calls wait here; Airflow handles a longer one."""

_FIRST_RATE = 8.0
"""Calls a second to start with. As many may also start at once then, so that a small run isn't held up."""
_LEAST_RATE, _MOST_RATE = 0.2, 1000.0
_LOWERED = 0.9
"""A limit is lowered to this share of what was admitted. The higher it is, the slower two processes even out."""
_BEYOND = 0.1
"""How far above what was admitted a limit is tried, as a share, before it doubles."""
_RETURN = 4.0
"""Seconds of use until a lowered limit is back at what was admitted. After twice as long, it is well beyond."""
_LONGEST_RETURN = 12.0
_RETURN_OF_PAUSE = 5.0
"""The same if a refusal pauses all calls, in lengths of that pause, which then costs a tenth of the time."""
_DOUBLING = 0.5
"""Seconds of use in which a limit doubles that wasn't met yet, or has grown well beyond where it was met."""
_WINDOW = 1.05
"""Seconds over which calls are counted: one, plus how much closer together they may arrive than they were sent."""
_SETTLED = 1.0
"""Seconds after which a call in flight counts as admitted: a refusal comes sooner."""
_REMEMBERED = 10.0
"""Seconds for which an admitted call shows what the quota allows."""
_LATENESS = 0.02
"""Seconds that a timer may be late without lowering the rate."""
_LOOK_AGAIN = 0.25
"""Seconds between checks whether a limit that holds calls up has grown."""
_QUIET = 60.0
"""Seconds between log lines."""
_MOST_PACES = 64


@dataclass
class _Limit:
    """An unknown limit, found by meeting it.

    :ivar span: seconds for which the server keeps refusing after the limit was met
    :ivar start: its first value, or what it was last lowered to
    :ivar knee: what was admitted when it was last met; None until then
    :ivar age: seconds of use since it was lowered
    :ivar known: seconds of use since the knee was found
    :ivar slowness: seconds of use until it is back at the knee
    """

    start: float
    least: float
    most: float
    span: float
    knee: float | None = None
    age: float = 0.0
    known: float = 0.0
    slowness: float = _RETURN

    @property
    def value(self) -> float:
        if self.knee is None:
            found = self.start * 2 ** min(self.age / _DOUBLING, 32)
        elif (returned := self.age / self.slowness) <= 1:
            found = self.knee - (self.knee - self.start) * (1 - returned) ** 3
        elif returned <= 2:
            found = self.knee * (1 + _BEYOND * (returned - 1) ** 3)
        else:
            found = self.knee * (1 + _BEYOND) * 2 ** min((self.age - 2 * self.slowness) / _DOUBLING, 32)
        return min(self.most, max(self.least, found))

    def lower(self, admitted: float, slowness: float) -> None:
        """The limit was met: go below what was admitted, but by half at most."""
        now = self.value
        self.start = max(self.least, now / 2, _LOWERED * min(admitted, now))
        if self.knee is None or self.known > self.span:
            self.knee, self.known = self.start / _LOWERED, 0.0
        self.age, self.slowness = 0.0, slowness

    def use(self, seconds: float) -> None:
        """Grow by the time for which it was in use."""
        self.age += seconds
        self.known += seconds


@dataclass
class _Call:
    """A call that has a slot.

    :ivar beside: other calls in flight when it started
    :ivar before: other calls that started in the second before
    :ivar at_width: whether it took the last slot
    :ivar at_rate: whether it started as soon as the rate allowed, or the rate was not met yet and grew
    """

    number: int
    began: float
    beside: int
    before: int
    at_width: bool
    at_rate: bool


class Pace:
    """Starts calls to one model, in order, about as fast as its quota allows.

    The task that acquires a slot must release it.

    :param most: maximum number of calls in flight
    :param name: what the calls go to, for the log
    """

    def __init__(self, most: int, name: str = "Bedrock") -> None:
        self._name = name
        self._width = _Limit(start=most, least=1, most=most, span=0.0)
        self._rate = _Limit(start=_FIRST_RATE, least=_LEAST_RATE, most=_MOST_RATE, span=_WINDOW)
        self._waiting: deque[tuple[asyncio.Task[object], asyncio.Future[None]]] = deque()
        self._flying: dict[asyncio.Task[object], _Call] = {}
        self._begun: deque[_Call] = deque()
        self._admitted: deque[tuple[float, _Call]] = deque()
        self._count = self._lowered_at = 0
        self._latency = _RETURN
        self._next = self._paused_until = self._told = self._answered = float("-inf")
        self._looked = _now()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def width(self) -> int:
        """Calls that may be in flight now."""
        return int(self._width.value)

    @property
    def rate(self) -> float:
        """Calls that may start per second now."""
        return self._rate.value

    @property
    def in_flight(self) -> int:
        """Slots taken."""
        return len(self._flying)

    @property
    def waiting(self) -> int:
        """Tasks that wait for a slot."""
        return len(self._waiting)

    @property
    def unanswered(self) -> float:
        """Seconds since the server last answered a call."""
        return _now() - self._answered

    @property
    def unserved(self) -> float:
        """The same, but 0 while a call is in flight that a quota would have refused by now."""
        now = _now()
        served = any(now - call.began >= _SETTLED for call in self._flying.values())
        return 0.0 if served else self.unanswered

    def allow(self, most: int) -> None:
        """Change the maximum number of calls in flight."""
        if most != self._width.most:
            self._width.most = most
            if self._width.knee is None:
                self._width.start = most
            self._serve()

    async def acquire(self) -> None:
        """Wait for a slot.

        :raises RuntimeError: this task has one already
        """
        task = _task()
        if task in self._flying:
            raise RuntimeError("This task has a slot already.")
        self._look(_now())  # until now, this task's wait held nobody up
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((task, turn))
        self._serve()
        try:
            await turn
        except asyncio.CancelledError:
            if task in self._flying:
                self.release()
            else:
                with contextlib.suppress(ValueError):  # whoever served the others may have removed it already
                    self._waiting.remove((task, turn))
                self._serve()
            raise

    def release(
        self, *, throttled: bool = False, retry_after: float | None = None, answered: bool = False
    ) -> None:
        """Give the slot back and say what happened to the call.

        With neither ``throttled`` nor ``answered``, it wasn't made, or failed for a reason that says nothing about
        quotas.

        :param throttled: the server refused it because of a quota
        :param retry_after: seconds that the server asked to wait; no call starts until then
        :param answered: the server answered it
        :raises RuntimeError: this task has no slot
        """
        task = _task()
        if task not in self._flying:
            raise RuntimeError("This task has no slot.")
        task.remove_done_callback(self._reclaim)
        self._end(task, throttled, retry_after or 0.0, answered)

    def _reclaim(self, task: asyncio.Task[object]) -> None:
        if task in self._flying:
            self._end(task, False, 0.0, False)

    def _end(self, task: asyncio.Task[object], throttled: bool, retry_after: float, answered: bool) -> None:
        now = _now()
        self._look(now)  # while the call still counts
        call = self._flying.pop(task)
        if throttled:
            self._forget(call)
            pause = min(retry_after, LONGEST_WAIT)
            self._paused_until = max(self._paused_until, now + pause)
            self._slow_down(now, call, pause)
        elif answered or now - call.began >= _SETTLED:
            self._admitted.append((now, call))
            self._answered = now if answered else self._answered
            self._latency += (now - call.began - self._latency) / 8
        else:
            self._forget(call)
            self._next -= 1 / self.rate
        self._serve()

    def _serve(self) -> None:
        """Start waiting calls in order until one must wait; then schedule the next look."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting:
            task, turn = self._waiting[0]
            now = _now()
            self._look(now)
            if not turn.done():
                if (wait := self._wait(now)) > 0:
                    self._timer = asyncio.get_running_loop().call_later(min(wait, _LOOK_AGAIN), self._serve)
                    return
                self._flying[task] = self._begin(now)
                task.add_done_callback(self._reclaim)
                turn.set_result(None)
            self._waiting.popleft()

    def _wait(self, now: float) -> float:
        """Seconds until the next call may start, as far as known."""
        if len(self._flying) >= self.width:
            return _LOOK_AGAIN
        return max(self._opening(), self._paused_until) - now

    def _opening(self) -> float:
        """When the rate allows the next call: some time after the last one, and not too many in a second."""
        most = math.ceil(self.rate)
        if len(self._begun) < most:
            return self._next
        return max(self._next, self._begun[-most].began + _WINDOW)

    def _begin(self, now: float) -> _Call:
        spacing, met = 1 / self.rate, self._rate.knee is not None
        at_rate = not met or now - self._opening() < spacing
        # Until a quota is met, a second's calls may go out at once.
        self._next = max(self._next, now - (_LATENESS if met else 1.0 - spacing)) + spacing
        self._count += 1
        beside = len(self._flying)
        call = _Call(self._count, now, beside, self._lately(now), beside + 1 >= self.width, at_rate)
        self._begun.append(call)
        return call

    def _lately(self, now: float) -> int:
        return sum(1 for _ in takewhile(lambda call: call.began > now - _WINDOW, reversed(self._begun)))

    def _look(self, now: float) -> None:
        """Grow the limits by the time for which they were in use, and forget old calls."""
        passed, self._looked = min(now - self._looked, _WINDOW), now
        full = len(self._flying) >= self.width
        held_up = bool(self._waiting) and now >= self._paused_until
        if full or len(self._flying) >= self._width.value / 2:
            self._width.use(passed)
        if (held_up and not full) or self._lately(now) >= self._rate.value / 2:
            self._rate.use(passed)
        while self._begun and self._begun[0].began < now - 2 * _WINDOW:  # twice, to know when it opened
            self._begun.popleft()
        while self._admitted and self._admitted[0][0] < now - _REMEMBERED:
            self._admitted.popleft()

    def _forget(self, call: _Call) -> None:
        """Remove a call that the server didn't count: later calls had one fewer beside and before them."""
        with contextlib.suppress(ValueError):
            self._begun.remove(call)
        for later in self._flying.values():
            if later.number > call.number:
                later.beside -= 1
                later.before -= later.began - call.began < _WINDOW

    def _slow_down(self, now: float, call: _Call, pause: float) -> None:
        if call.number <= self._lowered_at:
            return
        self._lowered_at = self._count
        of_width, of_rate = self._met(now, call)
        if of_width:
            self._width.lower(call.beside, min(_LONGEST_RETURN, max(_RETURN, self._latency)))
        if of_rate:
            self._rate.lower(call.before, max(_RETURN, _RETURN_OF_PAUSE * pause))
        if now - self._told >= _QUIET:
            self._told = now
            log.info("%s: slowed down to %d at once, %.1f a second.", self._name, self.width, self.rate)

    def _met(self, now: float, call: _Call) -> tuple[bool, bool]:
        """Whether the server refused the width, and whether it refused the rate."""
        shown = [admitted for _, admitted in self._admitted]
        shown += [other for other in self._flying.values() if now - other.began >= _SETTLED]
        wider = any(other.beside > call.beside for other in shown)
        faster = any(other.before > call.before for other in shown)
        if wider or faster:
            # What was admitted recently isn't what is refused. If that rules out both, the quota covers more than a
            # second, or was lowered, and others use it too: only time helps.
            return not wider, wider
        if call.at_width != call.at_rate:
            return call.at_width, call.at_rate
        return True, True


def _now() -> float:
    return asyncio.get_running_loop().time()


def _task() -> asyncio.Task[object]:
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("A pace serves tasks only.")
    return task


_paces: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str, str], Pace]] = (
    weakref.WeakKeyDictionary()
)


def pace_for(key: tuple[str, str], most: int) -> Pace:
    """The pace of a connection and a model in the running event loop: the same one for all calls.

    :param key: the connection's id and the model's
    :param most: maximum number of calls in flight; the latest value applies
    """
    paces = _paces.setdefault(asyncio.get_running_loop(), {})
    pace = paces.get(key)
    if pace is None:
        idle = [other for other, found in paces.items() if not found.in_flight and not found.waiting]
        for other in idle[: max(0, len(paces) + 1 - _MOST_PACES)]:
            del paces[other]
        pace = paces[key] = Pace(most, f"Connection '{key[0]}', model '{key[1]}'")
    pace.allow(most)
    return pace
