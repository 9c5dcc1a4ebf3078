"""Dollars, tokens and calls in words. What is not certain, or has no price, is said and never added in silence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chassis.figures import counted, dollars

if TYPE_CHECKING:
    from chassis.contract.spending import Bound, Totals


def counted_tokens(totals: Totals) -> int:
    """Tokens of all four kinds, without those that are only an upper bound."""
    return totals.usage.tokens


def is_unpriced(totals: Totals) -> bool:
    """Whether nothing is known of the cost of what was counted."""
    return totals.unpriced_calls > 0 and not totals.cost_usd


def price(totals: Totals, limit: float | None = None, *, column: bool = False) -> str:
    """What is known of the cost, beside its limit: ``$1.20 of $5.00``.

    :param column: whether it stands in a column, where all have the same number of decimals
    """
    if is_unpriced(totals):
        return "price unknown"
    cost = f"${totals.cost_usd or 0:,.4f}" if column else dollars(totals.cost_usd)
    known = cost + (f" of {dollars(limit, 6)}" if limit is not None else "")
    if not totals.unpriced_calls:
        return known
    return f"{known}, and {counted(totals.unpriced_calls, 'call')} of unknown price"


def uncertain(totals: Totals, *, brief: bool = False) -> str:
    """What may come on top, because nobody saw how calls ended; empty when nothing may."""
    if not totals.uncertain_calls:
        return ""
    most = _at_most(totals.uncertain)
    calls = counted(totals.uncertain_calls, "call")
    return most if brief else f"{most} for {calls} whose end nobody saw"


def in_flight(totals: Totals) -> str:
    """What calls that are open may cost; empty when none is."""
    if not totals.open_calls:
        return ""
    return f"{_at_most(totals.open)} for {counted(totals.open_calls, 'call')} in flight"


def _at_most(bound: Bound) -> str:
    more = dollars(bound.cost_usd) if bound.cost_usd else counted(bound.tokens, "token")
    return f"up to {more} more"


def document(totals: Totals | None) -> dict[str, Any]:
    """What was spent, in ``--json`` documents; None stands for nothing that is known of.

    ``cost_usd`` is None when a call's price isn't known, and ``known_usd`` the rest. Neither holds the uncertain part.
    """
    from chassis.contract.spending import Totals

    found = totals or Totals()
    return {
        **found.usage.model_dump(mode="json"),
        "cost_usd": None if totals is None or found.unpriced_calls else found.cost_usd,
        "known_usd": found.cost_usd,
        "unpriced_calls": found.unpriced_calls,
        "uncertain_usd": found.uncertain.cost_usd or 0.0,
        "uncertain_tokens": found.uncertain.tokens,
        "uncertain_calls": found.uncertain_calls,
    }
