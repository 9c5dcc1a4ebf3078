"""An estimate compared with what a run may spend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chassis.contract.spending import least
from chassis.figures import counted, dollars
from chassis.ui.words import usd_about

if TYPE_CHECKING:
    from chassis.estimate import Estimate
    from chassis.settings import Settings
    from chassis.workflow import WorkflowSpec


@dataclass(frozen=True)
class BudgetView:
    """What a run may spend, and whether that is enough.

    :ivar usd: US dollars that it may spend; None: no limit
    :ivar short: a sentence for each limit below the expected use of a run
    :ivar tight: a note if all limits cover the expected use but not the maximum; may be empty
    """

    usd: float | None = None
    short: tuple[str, ...] = ()
    tight: str = ""


def hold_against(estimate: Estimate | None, spec: WorkflowSpec | None, settings: Settings) -> BudgetView:
    """Compare the limits of a plan and of the deployment with an estimate of a run."""
    if spec is None:
        return BudgetView()
    limits = spec.limits
    usd = least(limits.budget_usd, settings.run_budget_usd)
    if estimate is None:
        return BudgetView(usd)
    tokens = least(limits.max_tokens, settings.run_max_tokens)
    calls = least(limits.max_calls, settings.run_max_calls)
    about = "at least" if estimate.open_ended else "about"
    short = []
    if usd is not None and estimate.usd_expected is not None and usd < estimate.usd_expected:
        short.append(
            f"A run costs {about} {usd_about(estimate.usd_expected)}, but its budget is {dollars(usd)}."
        )
    if tokens is not None and tokens < estimate.tokens_expected:
        short.append(f"A run uses {about} {estimate.tokens_expected:,} tokens, but its limit is {tokens:,}.")
    if calls is not None and calls < estimate.calls:
        short.append(f"A run makes at least {counted(estimate.calls, 'call')}, but its limit is {calls:,}.")
    if short:
        short[-1] += " It will stop before all tasks are done."
    enough = usd is None or estimate.usd_at_most is None or estimate.usd_at_most <= usd
    tight = "" if enough or short else "The budget covers the expected cost, but not the maximum."
    return BudgetView(usd, tuple(short), tight)
