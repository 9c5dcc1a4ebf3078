"""Crons and timezones that Airflow can run by. What reads them is imported when a plan has a schedule."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import cache

from chassis.workflow.names import shown, suggestion

_FIELDS = ("minute", "hour", "day", "month", "weekday")
_FIELD = r"[0-9*/,\-#a-zA-Z]+"
_CRON = re.compile(rf"{_FIELD}( {_FIELD}){{4}}")
_LONGEST = 200
"""Characters of a cron. Whoever reads one goes through each of its parts, and every reader of the plan does."""

_RANDOM = re.compile(r"(^|[ ,])[hr]($|[ ,(/])", re.IGNORECASE)
"""Fields that croniter fills at random or by a hash: the same plan would give another schedule each time."""

_EPOCH = datetime(2024, 1, 1, tzinfo=UTC)
"""Any fixed time: whether a cron ever comes round doesn't depend on it."""


def cron_fault(cron: str, presets: tuple[str, ...]) -> str | None:
    """What keeps Airflow from running by this cron; None when nothing does."""
    if cron in presets:
        return f'{cron!r} is a preset; write preset: "{cron}"'
    if len(cron) > _LONGEST or not _CRON.fullmatch(cron) or _RANDOM.search(cron):
        return f"{shown(cron)} must be minute, hour, day, month and weekday, such as '0 6 * * 1'"
    from croniter import CroniterBadDateError, croniter

    for position, (name, field) in enumerate(zip(_FIELDS, cron.split(" "), strict=True)):
        others = ["*"] * len(_FIELDS)
        others[position] = field
        if not croniter.is_valid(" ".join(others)):
            return f"{shown(cron)} has {field!r} for the {name}, which is not possible"
    try:
        croniter(cron, _EPOCH).get_next()
    except CroniterBadDateError:
        return f"{cron!r} names a date that never comes"
    return None


def schedule_of(text: str) -> dict[str, str]:
    """The fields of a schedule that a person wrote on one line: a cron, however it is spaced, or a preset."""
    words = " ".join(text.split())
    return {"preset": words.lower()} if words.startswith("@") else {"cron": words}


def timezone_fault(timezone: str) -> str | None:
    """What is wrong with the name of a timezone, with the nearest right one; None when it is known."""
    if timezone == "UTC" or timezone in _timezones():
        return None
    return f"{shown(timezone)} is no IANA timezone{suggestion(timezone, _timezones())}"


@cache
def _timezones() -> frozenset[str]:
    import zoneinfo

    return frozenset(zoneinfo.available_timezones())
