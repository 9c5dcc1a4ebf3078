"""Template filters that format states, moments and amounts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup

from chassis.figures import counted, dollars, duration

NOTHING = "–"
_TEN_CENTS = 0.1


def state_words(state: str | None) -> str:
    """A task instance's or a run's state, by Airflow's own name."""
    return "no status" if state is None else state


def moment(value: datetime | str | None) -> Markup | str:
    """A moment in UTC; ``chassis.js`` converts it to the time zone that Airflow shows."""
    if value is None or value == "":
        return NOTHING
    when = datetime.fromisoformat(value) if isinstance(value, str) else value
    when = when.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(
        when.isoformat(timespec="seconds"), when.strftime("%Y-%m-%d %H:%M UTC")
    )


def usd(value: float | None) -> str:
    """Dollars; a dash if there is no price."""
    return NOTHING if value is None else dollars(value)


def usd_column(value: float | None) -> str:
    """Dollars in a column, all with the same number of decimals; a dash if there is no price."""
    return NOTHING if value is None else f"${value:,.4f}"


def usd_about(value: float | None) -> str:
    """Estimated dollars, with no more decimals than an estimate deserves."""
    return NOTHING if value is None else f"${value:,.2f}" if value >= _TEN_CENTS else f"${value:,.4f}"


def upper_first(text: str) -> str:
    """The text with its first letter as a capital."""
    return text[:1].upper() + text[1:]


def number(value: int | None) -> str:
    """A count, with commas."""
    return NOTHING if value is None else f"{value:,}"


def seconds(value: float | None) -> str:
    """A duration."""
    return NOTHING if value is None else duration(value)


FILTERS: dict[str, Any] = {
    "counted": counted,
    "moment": moment,
    "number": number,
    "seconds": seconds,
    "state_words": state_words,
    "upper_first": upper_first,
    "usd": usd,
    "usd_about": usd_about,
    "usd_column": usd_column,
}
