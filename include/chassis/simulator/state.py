"""What a running simulator remembers. It lives in the server's event loop; nothing else touches it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chassis.simulator.latency import Latency
from chassis.simulator.rules import AnswerRule, FaultRule, RuleBook, Scenario
from chassis.simulator.usage import PromptCache

if TYPE_CHECKING:
    from chassis.simulator.log import RequestLog


class State:
    """The log, the rules in force, the prompt cache and the latency."""

    def __init__(self, log: RequestLog, latency: float, scenario: Scenario | None) -> None:
        self.log = log
        self._scenario = scenario or Scenario()
        self._seconds = latency if self._scenario.latency is None else self._scenario.latency
        self.latency = Latency(self._seconds)
        self.reset()

    def reset(self) -> None:
        """Back to the start: the scenario's rules and latency, nothing remembered."""
        self.latency.seconds = self._seconds
        self.faults: RuleBook[FaultRule] = RuleBook(self._scenario.faults)
        self.answers: RuleBook[AnswerRule] = RuleBook(self._scenario.answers)
        self.cache = PromptCache()
        self.log.clear()
