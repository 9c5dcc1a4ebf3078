"""What a running simulator remembers. It lives in the server's event loop; nothing else touches it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Generic, TypeVar

from chassis.local.simulator.model_files import Cast
from chassis.local.simulator.prompt_cache import PromptCache
from chassis.local.simulator.quota import Gate
from chassis.local.simulator.scenario import AnswerRule, FaultRule

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from chassis.local.simulator.claude_request import ClaudeRequest
    from chassis.local.simulator.request_log import RequestLog
    from chassis.local.simulator.scenario import Quota, Scenario


_R = TypeVar("_R", FaultRule, AnswerRule)


class RuleBook(Generic[_R]):
    """Rules in force, oldest first; the first that accepts a request and is not used up applies."""

    def __init__(self, rules: Iterable[_R] = ()) -> None:
        self._rules: list[tuple[_R, list[int]]] = [(rule, [0]) for rule in rules]

    def add(self, *rules: _R) -> None:
        self._rules += [(rule, [0]) for rule in rules]

    def clear(self) -> None:
        self._rules.clear()

    def pick(self, request: ClaudeRequest) -> _R | None:
        """The rule that applies to this request, which counts as one use."""
        for rule, seen in self._rules:
            if (rule.times is not None and seen[0] >= rule.after + rule.times) or not rule.accepts(request):
                continue
            seen[0] += 1
            if seen[0] > rule.after:
                return rule
        return None


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


class State:
    """The log, the rules in force, the models as they are played, the prompt cache, the latency and the quota.

    :ivar stopping: whether the server ends the connections now, and not their clients
    """

    def __init__(self, log: RequestLog, latency: float, quota: Quota, scenarios: Sequence[Scenario]) -> None:
        self.log = log
        self.stopping = False
        self._scenarios = scenarios
        self._seconds = next((s.latency for s in reversed(scenarios) if s.latency is not None), latency)
        self._quota = next((s.quota for s in reversed(scenarios) if s.quota is not None), quota)
        self.latency = Latency(self._seconds)
        self.gate = Gate(self._quota)
        self.reset()

    def reset(self) -> None:
        """Back to the start: the scenarios' rules, latency and quota, nothing remembered."""
        self.latency.seconds = self._seconds
        self.gate.quota = self._quota
        self.gate.forget()
        self.faults: RuleBook[FaultRule] = RuleBook()
        self.answers: RuleBook[AnswerRule] = RuleBook()
        for scenario in self._scenarios:
            self.add(scenario)
        self.cache = PromptCache()
        self.cast = Cast()
        self.log.clear()

    def add(self, scenario: Scenario) -> None:
        """Put a scenario's answers and faults behind those in force, and its latency and quota in their place."""
        self.answers.add(*scenario.answers)
        self.faults.add(*scenario.faults)
        if scenario.latency is not None:
            self.latency.seconds = scenario.latency
        if scenario.quota is not None:
            self.gate.quota = scenario.quota
