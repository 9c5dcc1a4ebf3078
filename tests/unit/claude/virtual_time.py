"""An event loop whose time jumps to the next timer, and a model of a quota to call in it."""

from __future__ import annotations

import asyncio
import random
import selectors
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from chassis.claude.pace import Pace

T = TypeVar("T")


class _Jumping(selectors.SelectSelector):
    """Never sleeps: what the loop wants to wait is added to its time."""

    def __init__(self) -> None:
        super().__init__()
        self.passed = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise RuntimeError("Nothing will ever happen here: every task waits, and no timer runs.")
        self.passed += max(0.0, timeout)
        return super().select(0)


class _VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.passed


def run(work: Callable[[], Awaitable[T]]) -> T:
    """What ``work`` returns, in no real time."""

    async def main() -> T:
        return await work()

    with asyncio.Runner(loop_factory=_VirtualLoop) as runner:
        return runner.run(main())


@dataclass
class Quota:
    """A server that admits ``rate`` calls in any ``window`` seconds and ``width`` at once, and refuses the others.

    :ivar latency: seconds that an answer takes, from the least to the most
    :ivar delay: seconds from here to there and back, from the least to the most
    """

    rate: int = 1_000_000
    width: int = 1_000_000
    window: float = 1.0
    latency: tuple[float, float] = (1.0, 1.0)
    delay: tuple[float, float] = (0.005, 0.02)
    retry_after: float | None = None
    refused: int = 0
    accepted: int = 0
    peak: int = 0
    chance: random.Random = field(default_factory=lambda: random.Random(1))
    _inside: int = 0
    _admitted: deque[float] = field(default_factory=deque)

    async def call(self) -> bool:
        """Whether the call was answered; False when it was refused."""
        there, back = self.chance.uniform(*self.delay) / 2, self.chance.uniform(*self.delay) / 2
        await asyncio.sleep(there)
        now = asyncio.get_running_loop().time()
        while self._admitted and self._admitted[0] <= now - self.window:
            self._admitted.popleft()
        admitted = len(self._admitted) < self.rate and self._inside < self.width
        if admitted:
            self.accepted += 1
            self._admitted.append(now)
            self._inside += 1
            self.peak = max(self.peak, self._inside)
            try:
                await asyncio.sleep(self.chance.uniform(*self.latency))
            finally:
                self._inside -= 1
        else:
            self.refused += 1
        await asyncio.sleep(back)
        return admitted

    def least_makespan(self, calls: int) -> float:
        """Seconds that ``calls`` take when each begins as early as the quota allows, at the mean latency."""
        latency = sum(self.latency) / 2
        starts: list[float] = []
        for number in range(calls):
            after_rate = starts[number - self.rate] + self.window if number >= self.rate else 0.0
            after_width = starts[number - self.width] + latency if number >= self.width else 0.0
            starts.append(max(after_rate, after_width))
        return starts[-1] + latency


async def make_call(pace: Pace, quota: Quota) -> int:
    """One call through the pace, again until it is answered; how often it was refused."""
    refusals = 0
    while True:
        await pace.acquire()
        try:
            answered = await quota.call()
        except asyncio.CancelledError:
            pace.release()
            raise
        if answered:
            pace.release(answered=True)
            return refusals
        pace.release(throttled=True, retry_after=quota.retry_after)
        refusals += 1


async def makespan(pace: Pace, quota: Quota, calls: int) -> float:
    """Seconds that ``calls`` take which all want to begin at once."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    await asyncio.gather(*(make_call(pace, quota) for _ in range(calls)))
    return loop.time() - started
