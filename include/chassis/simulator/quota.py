"""The account's quota: how many requests are admitted in a second, and how many are answered at once."""

from __future__ import annotations

import time
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING

from chassis.simulator.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chassis.simulator.rules import Quota

_WINDOW = 1.0  # seconds


class Gate:
    """Lets requests in while the quota has room, and refuses the others at once.

    A refused request counts for nothing: neither in the window nor as being answered.

    :ivar quota: may be changed at any time; requests that are in already stay
    """

    def __init__(self, quota: Quota, clock: Callable[[], float] = time.monotonic) -> None:
        self.quota = quota
        self._clock = clock
        self._admitted: deque[float] = deque()
        self._inside = 0

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Hold a place while a request is answered.

        :raises ApiError: 429, there is none
        """
        now = self._clock()
        while self._admitted and self._admitted[0] <= now - _WINDOW:
            self._admitted.popleft()
        rate, most = self.quota.requests_per_second, self.quota.in_flight
        if (rate is not None and len(self._admitted) >= rate) or (most is not None and self._inside >= most):
            raise ApiError(
                429,
                "ThrottlingException",
                "Too many requests, please wait before trying again.",
                retry_after=self.quota.retry_after,
            )
        self._admitted.append(now)
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1
