"""What a running simulator remembers. It lives in the server's event loop; nothing else touches it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chassis.local.simulator.latency import Latency
from chassis.local.simulator.model_files import Cast
from chassis.local.simulator.prompt_cache import PromptCache
from chassis.local.simulator.quota import Gate
from chassis.local.simulator.scenario import AnswerRule, FaultRule, Quota, RuleBook, Scenario

if TYPE_CHECKING:
    from chassis.local.simulator.request_log import RequestLog


class State:
    """The log, the rules in force, the models as they are played, the prompt cache, the latency and the quota.

    :ivar stopping: whether the server ends the connections now, and not their clients
    """

    def __init__(self, log: RequestLog, latency: float, quota: Quota, scenario: Scenario | None) -> None:
        self.log = log
        self.stopping = False
        self._scenario = scenario or Scenario()
        self._seconds = latency if self._scenario.latency is None else self._scenario.latency
        self._quota = self._scenario.quota or quota
        self.latency = Latency(self._seconds)
        self.gate = Gate(self._quota)
        self.reset()

    def reset(self) -> None:
        """Back to the start: the scenario's rules, latency and quota, nothing remembered."""
        self.latency.seconds = self._seconds
        self.gate.quota = self._quota
        self.gate.forget()
        self.faults: RuleBook[FaultRule] = RuleBook(self._scenario.faults)
        self.answers: RuleBook[AnswerRule] = RuleBook(self._scenario.answers)
        self.cache = PromptCache()
        self.cast = Cast()
        self.log.clear()
