"""Spending and its limits: sums over calls, the limits of a run, and the XCom ``spending``, which has both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from chassis.contract.usage import Usage
from chassis.workflow.spec import Limits, SpendLimits

if TYPE_CHECKING:
    from chassis.settings import Settings

Number = TypeVar("Number", int, float)


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)


class Bound(_Data):
    """An upper bound of what calls may cost."""

    tokens: int = Field(0, ge=0, description="Tokens: the prompt, and all the output that was allowed.")
    cost_usd: float | None = Field(0.0, ge=0, description="US dollars; None when the price isn't known.")


class Totals(_Data):
    """What calls have spent together. Of ``uncertain`` and ``open``, ``cost_usd`` is the part of known price."""

    calls: int = Field(0, ge=0, description="Ended calls that were, or may have been, carried out.")
    usage: Usage = Field(default_factory=Usage, description="What was counted.")
    cost_usd: float = Field(0.0, ge=0, description="List price of what was counted, in US dollars.")
    unpriced_calls: int = Field(
        0, ge=0, description="Calls of a model without a known price: not in cost_usd."
    )
    simulated_calls: int = Field(0, ge=0, description="Calls that the simulator answered instead of Claude.")
    uncertain_calls: int = Field(0, ge=0, description="Calls that may have cost more than was counted.")
    uncertain: Bound = Field(default_factory=Bound, description="Upper bound of that.")
    open_calls: int = Field(0, ge=0, description="Calls in flight.")
    open: Bound = Field(default_factory=Bound, description="Upper bound of what those will cost.")

    @property
    def tokens(self) -> int:
        """Tokens that count against a limit: all four kinds, and the uncertain ones."""
        return self.usage.tokens + self.uncertain.tokens

    @property
    def known_usd(self) -> float | None:
        """US dollars counted; None if there were calls and none has a known price."""
        return None if self.unpriced_calls and not self.cost_usd else self.cost_usd

    @property
    def spent_usd(self) -> float:
        """US dollars that count against a limit: known and uncertain."""
        return round(self.cost_usd + (self.uncertain.cost_usd or 0), 9)

    def __add__(self, other: Totals) -> Totals:
        return Totals(
            calls=self.calls + other.calls,
            usage=self.usage + other.usage,
            cost_usd=round(self.cost_usd + other.cost_usd, 9),
            unpriced_calls=self.unpriced_calls + other.unpriced_calls,
            simulated_calls=self.simulated_calls + other.simulated_calls,
            uncertain_calls=self.uncertain_calls + other.uncertain_calls,
            uncertain=_sum(self.uncertain, other.uncertain),
            open_calls=self.open_calls + other.open_calls,
            open=_sum(self.open, other.open),
        )


def _sum(one: Bound, other: Bound) -> Bound:
    cost = round((one.cost_usd or 0) + (other.cost_usd or 0), 9)
    return Bound(tokens=one.tokens + other.tokens, cost_usd=cost)


class RunLimits(BaseModel):
    """Every limit that applies to a run's calls."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    run: SpendLimits = Field(default_factory=SpendLimits, description="What the plan lets the run spend.")
    task: SpendLimits = Field(
        default_factory=SpendLimits, description="What the plan lets each task, or item, spend."
    )
    deployment: SpendLimits = Field(
        default_factory=SpendLimits,
        description="What the settings run_budget_usd, run_max_tokens and run_max_calls let any run spend.",
    )
    max_parallel: int = Field(16, ge=1, description="Calls of the run that may be open at a time.")
    in_dag_file: bool = Field(False, description="Whether a DAG's author gave them, and no plan.")

    @classmethod
    def of(cls, limits: Limits | None, settings: Settings, *, in_dag_file: bool = False) -> RunLimits:
        """The limits of a plan, within the deployment's.

        :param limits: None for a run without a plan: the planner's own
        :param in_dag_file: whether they are those of a hand-written DAG
        """
        plan = limits or Limits()
        return cls(
            run=_spending(plan),
            task=plan.per_task,
            deployment=SpendLimits(
                budget_usd=settings.run_budget_usd,
                max_tokens=settings.run_max_tokens,
                max_calls=settings.run_max_calls,
            ),
            max_parallel=plan.max_parallel,
            in_dag_file=in_dag_file,
        )

    def document(self) -> dict[str, Any]:
        """The limits that are set, as JSON."""
        return self.model_dump(mode="json", exclude_none=True, exclude={"in_dag_file"})


def _spending(limits: SpendLimits) -> SpendLimits:
    return SpendLimits(budget_usd=limits.budget_usd, max_tokens=limits.max_tokens, max_calls=limits.max_calls)


class Spent(BaseModel):
    """What a task and its run have spent by the end of the task, over all tries and clears."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    task: Totals
    run: Totals

    @classmethod
    def of(cls, value: Any) -> Self | None:
        """The content of an XCom; None if it isn't of this kind."""
        try:
            return cls.model_validate(value)
        except ValidationError:
            return None


class Spending(Spent):
    """The XCom: what was spent, and the limits. For a thousand tasks, read :class:`Spent`, which takes a tenth of the
    time.
    """

    limits: RunLimits
    prices: str = Field("", description="Which list the dollars are from, in words.")

    def document(self) -> dict[str, Any]:
        """The XCom, as JSON."""
        parts = {"task": self.task.model_dump(mode="json"), "run": self.run.model_dump(mode="json")}
        return {**parts, "limits": self.limits.document(), "prices": self.prices}

    @property
    def limit_usd(self) -> float | None:
        """US dollars that the run may spend: the lower of the plan's and the deployment's limit."""
        return least(self.limits.run.budget_usd, self.limits.deployment.budget_usd)

    @property
    def limit_tokens(self) -> int | None:
        """Tokens that the run may use, likewise."""
        return least(self.limits.run.max_tokens, self.limits.deployment.max_tokens)

    @property
    def limit_calls(self) -> int | None:
        """Calls that the run may make, likewise."""
        return least(self.limits.run.max_calls, self.limits.deployment.max_calls)


def least(*limits: Number | None) -> Number | None:
    """The strictest of several limits; None if there is none."""
    return min((limit for limit in limits if limit is not None), default=None)
