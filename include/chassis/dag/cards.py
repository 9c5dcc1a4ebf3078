"""What a task leaves for the board: a few words and figures, so that a refresh of the board reads no results."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from chassis.errors import ChassisError
from chassis.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow.sdk import Context

CARD_KEY = "card"
"""XCom key of a task's card, pushed before it ends, whether it succeeds or fails."""

_LONGEST_LINE = 200


def card_of(
    *,
    result: Mapping[str, Any] | None = None,
    error: ChassisError | None = None,
    spending: Mapping[str, Any] | None = None,
    map_index: int = -1,
) -> dict[str, Any]:
    """A task's card. What it spent is over all its tries, as in the XCom ``spending``.

    ``line`` is the start of the result's summary, or of the error; ``usd`` is None where no price is known, and
    ``run_usd`` and ``run_tokens`` are what the whole run had spent by then, None where nobody can tell, and
    ``budget_usd`` what it may spend, None for no limit.

    :param result: the task's XCom
    :param spending: the XCom ``spending``; None for a task that made no call
    :param map_index: the task's place among the items; with ``item`` it tells what a place was done for
    """
    result = result or {}
    task = (spending or {}).get("task") or {}
    run = (spending or {}).get("run") or {}
    said = str(error.message if error is not None else result.get("summary", result.get("workflow_id", "")))
    return {
        "line": one_line(said.strip().partition("\n")[0], _LONGEST_LINE),
        "usd": _usd(task),
        "tokens": _tokens(task),
        "calls": int(task.get("calls", 0)),
        "run_usd": _usd(run) if run else None,
        "run_tokens": _tokens(run) if run else None,
        "budget_usd": _budget((spending or {}).get("limits") or {}),
        "simulated": bool(task.get("simulated_calls") or result.get("simulated")),
        "carried_from": str(result.get("carried_from") or ""),
        "amendment": result.get("amendment"),
        "item": result.get("item"),
        "map_index": map_index,
    }


@contextmanager
def card_on_error(context: Context) -> Iterator[None]:
    """Leave a card for an error of Chassis's own that comes before any call, or where none is made."""
    try:
        yield
    except ChassisError as error:
        context["ti"].xcom_push(CARD_KEY, card_of(error=error))
        raise


def _usd(totals: Mapping[str, Any]) -> float | None:
    """What is known to have been spent; None when there were calls and none has a price."""
    usd = float(totals.get("cost_usd") or 0.0)
    return None if totals.get("unpriced_calls") and not usd else usd


def _budget(limits: Mapping[str, Any]) -> float | None:
    """What the run may spend: the least of its own limit and the deployment's; None for no limit."""
    given = ((limits.get(whose) or {}).get("budget_usd") for whose in ("run", "deployment"))
    return min((usd for usd in given if usd is not None), default=None)


def _tokens(totals: Mapping[str, Any]) -> int:
    usage = totals.get("usage") or {}
    kinds = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
    return sum(int(usage.get(kind) or 0) for kind in kinds)
