"""What a running simulator remembers. It lives in the server's event loop; nothing else touches it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chassis.local.simulator.latency import Latency
from chassis.local.simulator.model_files import Cast
from chassis.local.simulator.prompt_cache import PromptCache
from chassis.local.simulator.quota import Gate
from chassis.local.simulator.scenario import AnswerRule, FaultRule, Quota, RuleBook, Scenario

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chassis.local.simulator.request_log import RequestLog


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
