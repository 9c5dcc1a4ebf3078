"""What a running simulator remembers. It lives in the server's event loop; nothing else touches it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from chassis.simulator.rules import AnswerRule, FaultRule, RuleBook, Scenario
from chassis.simulator.usage import PromptCache

if TYPE_CHECKING:
    from chassis.simulator.log import RequestLog


@dataclass
class State:
    """``latency`` is in seconds before each answer begins."""

    log: RequestLog
    latency: float = 0.0
    faults: RuleBook[FaultRule] = field(default_factory=RuleBook)
    answers: RuleBook[AnswerRule] = field(default_factory=RuleBook)
    cache: PromptCache = field(default_factory=PromptCache)

    def apply(self, scenario: Scenario) -> None:
        """Take a scenario's rules and latency."""
        for fault in scenario.faults:
            self.faults.add(fault)
        for answer in scenario.answers:
            self.answers.add(answer)
        if scenario.latency is not None:
            self.latency = scenario.latency
