"""When a workflow runs by itself: crons and timezones that Airflow accepts.

The cron reader is imported only if a plan has a cron.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, Field, field_validator, model_validator

from chassis.workflow.field_types import Part, fault, not_blank, not_one, one_line_only
from chassis.workflow.names import nearest, shown

Preset = Literal["@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly"]
PRESETS: tuple[str, ...] = get_args(Preset)

_FIELDS = ("minute", "hour", "day", "month", "weekday")
_FIELD = r"[0-9*/,\-#a-zA-Z]+"
_CRON = re.compile(rf"{_FIELD}( {_FIELD}){{4}}")
_LONGEST = 200
"""Characters of a cron. Every reader of the plan parses the cron, and goes through each of its parts."""

_RANDOM = re.compile(r"(^|[ ,])[hr]($|[ ,(/])", re.IGNORECASE)
"""Fields that croniter fills at random or by a hash: the same plan would give another schedule each time."""

_LAST = re.compile(r"[0-7]L", re.IGNORECASE)
"""The last of a weekday, in Quartz's notation."""

_EPOCH = datetime(2024, 1, 1, tzinfo=UTC)
"""Any fixed time: whether a cron ever comes round doesn't depend on it."""


_OTHER_NAMES = {"@midnight": "@daily", "@annually": "@yearly"}
"""Presets that other schedulers call by another name."""

_NO_PLACES = frozenset({"Factory", "localtime", "posixrules"})
"""Files beside those of the timezones: their content differs from machine to machine, or is a placeholder."""

_OFFSET = re.compile(r"(?:UTC|GMT)?([+-])([0-9]{1,2})(?::?([0-9]{2}))?", re.IGNORECASE)

_PLACES = {
    "AEDT": "Australia/Sydney",
    "AEST": "Australia/Sydney",
    "BST": "Europe/London",
    "CDT": "America/Chicago",
    "CEST": "Europe/Berlin",
    "CST": "America/Chicago",
    "EDT": "America/New_York",
    "EEST": "Europe/Helsinki",
    "IST": "Asia/Kolkata",
    "JST": "Asia/Tokyo",
    "KST": "Asia/Seoul",
    "MDT": "America/Denver",
    "MSK": "Europe/Moscow",
    "PDT": "America/Los_Angeles",
    "PST": "America/Los_Angeles",
    "WEST": "Europe/Lisbon",
}
"""A place for abbreviations that people write and that the timezone database doesn't have."""


class Schedule(Part):
    """When a workflow runs by itself: exactly one of cron, preset and asset."""

    cron: str | None = Field(None, description="Five fields: minute, hour, day of month, month, day of week.")
    preset: Preset | None = None
    asset: (
        Annotated[str, Field(max_length=1_500), AfterValidator(one_line_only), AfterValidator(not_blank)]
        | None
    ) = Field(None, description="Name or URI of the Airflow asset whose update starts a run.")
    timezone: str = Field("UTC", description="IANA name of the timezone that cron and preset are meant in.")
    catchup: bool = Field(
        False, description="Whether to make up for runs that were missed since the plan was made."
    )

    @model_validator(mode="before")
    @classmethod
    def _as_people_write_it(cls, data: Any) -> Any:
        """Accept a preset in place of a cron and a cron in place of a preset, and normalise blanks."""
        if isinstance(data, dict):
            written = [data[name] for name in ("cron", "preset") if data.get(name) is not None]
            if len(written) == 1 and isinstance(written[0], str):
                others = {name: value for name, value in data.items() if name not in ("cron", "preset")}
                return others | schedule_of(written[0])
        return data

    @field_validator("cron")
    @classmethod
    def _usable_cron(cls, cron: str | None) -> str | None:
        if cron is not None and (wrong := cron_fault(cron)):
            raise fault("bad_cron", wrong)
        return cron

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, timezone: str) -> str:
        if wrong := timezone_fault(timezone):
            raise fault("unknown_timezone", wrong)
        return timezone

    @model_validator(mode="after")
    def _one_trigger(self) -> Self:
        if wrong := not_one(self, ("cron", "preset", "asset")):
            raise fault("schedule_kind", wrong)
        if self.asset is not None and (self.timezone != "UTC" or self.catchup):
            raise fault("schedule_kind", "has timezone or catchup, which don't go with asset")
        return self


def cron_fault(cron: str) -> str | None:
    """Why Airflow can't run by this cron; None if it can.

    :param cron: as returned by :func:`schedule_of`
    """
    if cron in PRESETS:
        return f'{cron!r} is a preset; write preset: "{cron}"'
    fields = cron.split(" ")
    if len(fields) in (6, 7) and len(cron) <= _LONGEST:
        return f"{shown(cron)} has {len(fields)} fields; leave out seconds and years, as in '0 6 * * 1'"
    if "?" in fields:
        return f"{shown(cron)} has a '?', which Airflow doesn't know; write '*'"
    if len(cron) > _LONGEST or not _CRON.fullmatch(cron) or _RANDOM.search(cron):
        return f"{shown(cron)} must be minute, hour, day, month and weekday, such as '0 6 * * 1'"
    from croniter import CroniterBadDateError, croniter

    for position, (name, field) in enumerate(zip(_FIELDS, fields, strict=True)):
        others = ["*"] * len(_FIELDS)
        others[position] = field
        if not croniter.is_valid(" ".join(others)):
            last = f"; write L{field[0]} for the last one of a month" if _LAST.fullmatch(field) else ""
            return f"{shown(cron)} has {field!r} for the {name}, which Airflow can't run by{last}"
    try:
        croniter(cron, _EPOCH).get_next()
    except CroniterBadDateError:
        return f"{cron!r} names a date that never comes"
    return None


def schedule_of(text: str) -> dict[str, str]:
    """The fields of a schedule that a person wrote on one line: a cron, however spaced, or a preset."""
    words = " ".join(text.split())
    if not words.startswith("@"):
        return {"cron": words}
    preset = words.lower()
    return {"preset": _OTHER_NAMES.get(preset, preset)}


def timezone_fault(timezone: str) -> str | None:
    """The fault in the name of a timezone, with what to write instead; None if it can be used."""
    if timezone == "UTC" or timezone in _timezones():
        return None
    return f"{shown(timezone)} is not a valid timezone; {_right_timezone(timezone.strip())}"


def _right_timezone(written: str) -> str:
    if written.upper() in ("Z", "UTC", "UCT", "GMT"):
        return "write UTC"
    if written in _NO_PLACES or written.startswith(("posix/", "right/")):
        return "write the name of a place in it, such as Europe/Berlin"
    if offset := _OFFSET.fullmatch(written):
        sign, hours, minutes = offset[1], int(offset[2]), int(offset[3] or 0)
        # In these names, the sign is reversed. They range from 14 hours ahead of UTC to 12 behind it.
        fixed = f"Etc/GMT{'-' if sign == '+' else '+'}{hours}"
        if not hours and not minutes:
            return "write UTC"
        if not minutes and fixed in _timezones():
            return (
                f"write {fixed} for always {written}, or a place such as Europe/Berlin, with its summer time"
            )
        return "write the name of a place in it, as Asia/Kolkata for UTC+5:30"
    if place := _PLACES.get(written.upper()):
        return f"write the name of a place in it, such as {place}"
    near = nearest(written, _timezones())
    return (
        f"did you mean {shown(near)}?" if near else "write the name of a place in it, such as Europe/Berlin"
    )


@cache
def _timezones() -> frozenset[str]:
    import zoneinfo

    return frozenset(zoneinfo.available_timezones()) - _NO_PLACES
