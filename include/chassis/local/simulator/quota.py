"""The account's quotas: requests in a second, requests at once, and a model's tokens in a minute and in a day.

Tokens are counted as AWS documents it: a call reserves its whole prompt and ``max_tokens`` when it begins, and is
settled when it ends, by what it took; output counts five times then, and what the cache gave isn't counted. So a call
whose reservation is more than the quota is refused for ever. How AWS lets a spent quota grow again isn't documented;
here it is a window that slides.
"""

from __future__ import annotations

import time
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from chassis.local.simulator.simulator_errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chassis.local.simulator.scenario import Quota
    from chassis.local.simulator.wire_message import TokenCount

_SECOND, _MINUTE, _DAY = 1.0, 60.0, 86_400.0
_OUTPUT_WEIGHT = 5  # Claude 3.7 and later


@dataclass
class Place:
    """A call that was let in. ``tokens`` are those that it counts for: reserved at first, then what it took."""

    started: float
    tokens: int
    open: bool = True

    def settle(self, count: TokenCount) -> None:
        """Note what the answer took. Without that, the call ends as one that took nothing."""
        self.tokens = count.input + count.cache_write + _OUTPUT_WEIGHT * count.output
        self.open = False


@dataclass
class _Spent:
    """The calls of one model, oldest first."""

    places: deque[Place] = field(default_factory=deque)

    def within(self, seconds: float, now: float) -> int:
        """Tokens that count in the time before now; an open call counts however long it takes."""
        return sum(place.tokens for place in self.places if place.open or place.started > now - seconds)

    def forget(self, now: float) -> None:
        while self.places and not self.places[0].open and self.places[0].started <= now - _DAY:
            self.places.popleft()


class Gate:
    """Lets requests in while the quota has room, and refuses the others at once.

    A refused request counts for nothing: neither in a window nor as being answered.

    :ivar quota: may be changed at any time; requests that are in already stay
    """

    def __init__(self, quota: Quota, clock: Callable[[], float] = time.monotonic) -> None:
        self.quota = quota
        self._clock = clock
        self._inside = 0
        self.forget()

    def forget(self) -> None:
        """Begin anew: nothing has been asked for yet, but what is in flight counts among the requests at once."""
        self._admitted: deque[float] = deque()
        self._spent: dict[str, _Spent] = {}

    @contextmanager
    def admitted(self, model: str, reserved: int) -> Iterator[Place]:
        """Hold a place while a request is answered.

        :param model: id or profile; each has token quotas of its own
        :param reserved: tokens of the prompt, cached ones too, and ``max_tokens``
        :raises ApiError: 429, there is none
        """
        now = self._clock()
        spent = self._spent.setdefault(model, _Spent())
        spent.forget(now)
        if what := self._missing(spent, reserved, now):
            message = f"Too many {what}, please wait before trying again."
            raise ApiError(429, "ThrottlingException", message, retry_after=self.quota.retry_after)
        place = Place(now, reserved)
        spent.places.append(place)
        self._admitted.append(now)
        self._inside += 1
        try:
            yield place
        finally:
            self._inside -= 1
            if place.open:
                place.tokens, place.open = 0, False

    def _missing(self, spent: _Spent, reserved: int, now: float) -> str | None:
        """What there is too much of; None when there is room."""
        while self._admitted and self._admitted[0] <= now - _SECOND:
            self._admitted.popleft()
        quota = self.quota
        if _full(quota.requests_per_second, len(self._admitted) + 1) or _full(
            quota.in_flight, self._inside + 1
        ):
            return "requests"
        if _full(quota.tokens_per_minute, spent.within(_MINUTE, now) + reserved):
            return "tokens"
        if _full(quota.tokens_per_day, spent.within(_DAY, now) + reserved):
            return "tokens per day"
        return None


def _full(limit: int | None, wanted: int) -> bool:
    return limit is not None and wanted > limit
