"""How the pages say what they know: states, moments, amounts. Filters of the templates."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup

from chassis.figures import counted, dollars, duration

NOTHING = "–"

STATES = {
    "success": "success",
    "failed": "failed",
    "running": "running",
    "queued": "queued",
    "scheduled": "scheduled",
    "deferred": "asking Claude",
    "awaiting_input": "waits for a person",
    "up_for_retry": "waits for a retry",
    "up_for_reschedule": "looks again soon",
    "upstream_failed": "not started: something before it failed",
    "skipped": "skipped",
    "removed": "no longer in the plan",
    "restarting": "restarting",
}
"""What Airflow's states mean here. Every other state is called what Airflow calls it."""


def state_words(state: str | None) -> str:
    """A task instance's or a run's state, for people."""
    return "not started" if state is None else STATES.get(state, state.replace("_", " "))


def moment(value: datetime | str | None) -> Markup | str:
    """A moment: in UTC as it stands here; ``chassis.js`` puts it into the time zone that Airflow shows."""
    if value is None or value == "":
        return NOTHING
    when = datetime.fromisoformat(value) if isinstance(value, str) else value
    when = when.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(
        when.isoformat(timespec="seconds"), when.strftime("%Y-%m-%d %H:%M UTC")
    )


def usd(value: float | None) -> str:
    """Dollars; a dash for what has no price."""
    return NOTHING if value is None else dollars(value)


def number(value: int | None) -> str:
    """A count, with commas."""
    return NOTHING if value is None else f"{value:,}"


def seconds(value: float | None) -> str:
    """How long something took."""
    return NOTHING if value is None else duration(value)


FILTERS: dict[str, Any] = {
    "counted": counted,
    "moment": moment,
    "number": number,
    "seconds": seconds,
    "state_words": state_words,
    "usd": usd,
}
