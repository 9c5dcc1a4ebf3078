"""A run's limits, and whether a call may start.

A call may start only while what is spent, plus what open calls may yet spend, is below each limit. Each open call has
an upper bound, so only the call that was opened last can exceed a limit.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal

from chassis.errors import LimitSpentError, PriceUnknownError
from chassis.ledger.sums import NANOS, nanos

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chassis.contract.spending import RunLimits
    from chassis.ledger.entries import Opened
    from chassis.ledger.sums import Fold, Sums
    from chassis.workflow import SpendLimits

log = logging.getLogger(__name__)

LimitName = Literal["budget_usd", "max_tokens", "max_calls"]


@dataclass(slots=True)
class _Limit:
    """One limit, and what counts against it: billionths of a dollar, tokens, or calls."""

    scope: Literal["run", "task"]
    name: LimitName
    setting: str
    limit: float
    most: int
    known: int
    uncertain: int
    open: int


def may_start(opening: Opened, limits: RunLimits, fold: Fold, now: float, workflow_id: str) -> bool:
    """Whether a call may start now. False: not yet, because of calls that are open.

    :param now: seconds since 1970
    :raises LimitSpentError: ended calls alone have spent a limit, so waiting doesn't help
    :raises PriceUnknownError: a limit in dollars can't be enforced, and there is none in tokens
    """
    run = fold.sums(now)
    found = list(_limits(limits, run, fold.sums(now, opening.task_key)))
    for one in found:
        if one.known + one.uncertain >= one.most:
            raise _spent(one, opening, workflow_id, in_dag_file=limits.in_dag_file)
    if opening.bound.cost_usd is None:
        _check_unpriced(opening, limits, workflow_id)
    return run.open_calls < limits.max_parallel and all(
        one.known + one.uncertain + one.open < one.most for one in found
    )


def _limits(limits: RunLimits, run: Sums, task: Sums) -> Iterator[_Limit]:
    yield from _of("run", "", limits.run, run)
    yield from _of("run", "run_", limits.deployment, run)
    yield from _of("task", "", limits.task, task)


def _of(scope: Literal["run", "task"], prefix: str, limits: SpendLimits, sums: Sums) -> Iterator[_Limit]:
    def one(name: LimitName, limit: float, *counts: int) -> _Limit:
        return _Limit(scope, name, f"{prefix}{name}" if prefix else "", limit, *counts)

    if (usd := limits.budget_usd) is not None:
        yield one("budget_usd", usd, nanos(usd), sums.cost_nanos, sums.uncertain_nanos, sums.open_nanos)
    if (tokens := limits.max_tokens) is not None:
        yield one("max_tokens", tokens, tokens, sums.tokens, sums.uncertain_tokens, sums.open_tokens)
    if (calls := limits.max_calls) is not None:
        uncounted = sums.calls - sums.counted_calls
        yield one("max_calls", calls, calls, sums.counted_calls, uncounted, sums.open_calls)


def _spent(one: _Limit, opening: Opened, workflow_id: str, *, in_dag_file: bool) -> LimitSpentError:
    unit = NANOS if one.name == "budget_usd" else 1
    return LimitSpentError(
        scope=one.scope,
        limit_name=one.name,
        limit=one.limit,
        spent=(one.known + one.uncertain) / unit,
        uncertain=one.uncertain / unit,
        workflow_id=workflow_id,
        task_id=opening.task_id,
        item=opening.item,
        setting=one.setting,
        in_dag_file=in_dag_file,
    )


def _check_unpriced(opening: Opened, limits: RunLimits, workflow_id: str) -> None:
    """A token limit of the same run or task stands in for a limit in dollars."""
    in_tokens = limits.run.max_tokens or limits.deployment.max_tokens
    for owner, given, held in (
        ("the run's budget_usd", limits.run.budget_usd, in_tokens),
        ("[chassis] run_budget_usd", limits.deployment.budget_usd, in_tokens),
        ("the task's budget_usd", limits.task.budget_usd, limits.task.max_tokens or in_tokens),
    ):
        if given is None:
            continue
        if not held:
            where = (
                "max_tokens in the DAG's file"
                if limits.in_dag_file
                else f"chassis limits {workflow_id} --max-tokens N"
            )
            raise PriceUnknownError(
                f"The price of model {opening.model!r} isn't known, so {owner} of ${given:,.2f} can't be held; "
                "the call was not made.",
                hint="Name the model behind it as model_behind in the Airflow connection, add a limit in tokens "
                f"({where}), name a model whose price is known, or update genai-prices.",
            )
        _warn_unpriced(opening.model, owner)


@cache
def _warn_unpriced(model: str, owner: str) -> None:
    """Warn once per process, not at each of hundreds of calls."""
    log.warning("The price of model %r isn't known: %s isn't held, the limit in tokens is.", model, owner)
