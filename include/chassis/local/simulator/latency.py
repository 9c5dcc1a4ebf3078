"""The time that an answer takes."""

from __future__ import annotations

import asyncio
import contextlib


class Latency:
    """Seconds before each answer begins. A change counts for the answers that wait already, too."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._changed = asyncio.Event()

    @property
    def seconds(self) -> float:
        return self._seconds

    @seconds.setter
    def seconds(self, seconds: float) -> None:
        self._seconds = seconds
        self._changed.set()
        self._changed = asyncio.Event()

    async def wait(self) -> None:
        """Return when the time is over, counted from this call."""
        clock = asyncio.get_running_loop().time
        started = clock()
        while (left := started + self._seconds - clock()) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._changed.wait()
