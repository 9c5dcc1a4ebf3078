"""What tasks and their run have spent, as each task leaves it at its end: an XCom named ``spending``.

It counts over all tries and clears, failed calls included, because it is read from the run's ledger. Airflow drops a
task's XComs when the task runs again, so what an earlier try spent is missing until that ends, unless this process has
seen it, or another task has ended since.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from chassis.contract.names import SPENDING
from chassis.contract.spending import Bound, Spending, Totals
from chassis.contract.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from chassis.airflow_client import Airflow
    from chassis.cli.report import Row

_ENDED = frozenset({"success", "failed", "up_for_retry", "removed"})


class SpendingReader:
    """Reads what the tasks of one run leave: once for each end of a task, however often it is asked.

    :param most: readings in one look at a run that goes on; the rest follows with the next looks
    """

    def __init__(self, airflow: Airflow, workflow_id: str, run_id: str, *, most: int = 20) -> None:
        self._airflow = airflow
        self._workflow_id = workflow_id
        self._run_id = run_id
        self._most = most
        self._read: dict[tuple[str, int], _Reading] = {}

    def fill(self, rows: Iterable[Row], *, every: bool = False) -> tuple[Row, ...]:
        """The rows with what their tasks have spent.

        :param every: whether to read all that is there, for the last time
        """
        left = None if every else self._most
        filled = []
        for row in rows:
            key, end = (row.id, row.map_index), (row.state, row.try_number)
            known = self._read.get(key)
            if row.state in _ENDED and (known is None or known.end != end) and left != 0:
                left = None if left is None else left - 1
                known = self._read[key] = _Reading(
                    end, self._look(row) or (known.spending if known else None)
                )
            filled.append(row if known is None else replace(row, spending=known.spending))
        return tuple(filled)

    def _look(self, row: Row) -> Spending | None:
        value = self._airflow.xcom(
            self._workflow_id, self._run_id, row.id, map_index=row.map_index, key=SPENDING
        )
        return Spending.of(value)


@dataclass(frozen=True)
class _Reading:
    """What was found at a task's end: its state and try."""

    end: tuple[str | None, int]
    spending: Spending | None


def latest(found: Iterable[Spending]) -> Spending | None:
    """Whoever ended last: what has been spent only grows, but for calls that turn out to have ended after all."""
    return max(
        found,
        key=lambda one: (
            one.run.tokens - one.run.uncertain.tokens,
            one.run.calls,
            one.run.uncertain.tokens,
            -one.run.open_calls,
        ),
        default=None,
    )


def spent_by_result(usage: Mapping[str, Any], cost_usd: float | None) -> Totals:
    """What the answers of a result alone have cost: of a task that left no XCom ``spending``."""
    counts = Usage(**{name: usage.get(name, 0) for name in Usage.model_fields})
    unpriced = counts.calls if cost_usd is None else 0
    return Totals(calls=counts.calls, usage=counts, cost_usd=cost_usd or 0.0, unpriced_calls=unpriced)


def settled(totals: Totals) -> Totals:
    """The same once the run has ended: nobody saw how the calls ended that were open at the last look."""
    return totals.model_copy(
        update={
            "calls": totals.calls + totals.open_calls,
            "uncertain_calls": totals.uncertain_calls + totals.open_calls,
            "uncertain": Bound(
                tokens=totals.uncertain.tokens + totals.open.tokens,
                cost_usd=round((totals.uncertain.cost_usd or 0) + (totals.open.cost_usd or 0), 9),
            ),
            "open_calls": 0,
            "open": Bound(),
        }
    )
