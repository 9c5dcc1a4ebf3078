"""Schedules as people write them: what is taken, and what is advised where it isn't."""

from __future__ import annotations

import re
from zoneinfo import available_timezones

import pytest
from airflow._shared.timezones.timezone import parse_timezone
from pydantic import ValidationError

from chassis.workflow import Schedule
from chassis.workflow.schedules import timezone_fault
from tests.with_each import with_each


@with_each("field", ["cron", "preset"])
@with_each(
    "written, meant",
    [
        ("@daily", {"preset": "@daily"}),
        (" @Daily ", {"preset": "@daily"}),
        ("@midnight", {"preset": "@daily"}),
        ("@annually", {"preset": "@yearly"}),
        (" 0  6\t* * 1 ", {"cron": "0 6 * * 1"}),
        ("0 0 L * *", {"cron": "0 0 L * *"}),
        ("0 0 * * mon#1", {"cron": "0 0 * * mon#1"}),
    ],
)
def test_a_schedule_is_taken_however_it_is_written(field: str, written: str, meant: dict[str, str]) -> None:
    schedule = Schedule.model_validate({field: written, "timezone": "Europe/Berlin"})
    assert schedule.model_dump(exclude_defaults=True) == meant | {"timezone": "Europe/Berlin"}


def test_both_a_cron_and_a_preset_are_still_one_too_many() -> None:
    with pytest.raises(ValidationError, match="exactly one of cron, preset, asset"):
        Schedule.model_validate({"cron": "0 6 * * 1", "preset": "@daily"})


@with_each(
    "written, advice",
    [
        ("Z", "write UTC"),
        ("utc", "write UTC"),
        ("UTC+0", "write UTC"),
        ("UTC+2", "write Etc/GMT-2 for always UTC+2, or a place such as Europe/Berlin"),
        ("GMT-5", "write Etc/GMT+5 for always GMT-5"),
        ("+02:00", "write Etc/GMT-2 for always +02:00"),
        ("UTC+5:30", "as Asia/Kolkata for UTC+5:30"),
        ("CEST", "such as Europe/Berlin"),
        ("pst", "such as America/Los_Angeles"),
        ("localtime", "such as Europe/Berlin"),
        ("Factory", "such as Europe/Berlin"),
        ("posixrules", "such as Europe/Berlin"),
        ("local time", "such as Europe/Berlin"),
        ("europe/berlin", "did you mean 'Europe/Berlin'?"),
        ("Berlin", "did you mean 'Europe/Berlin'?"),
        ("XYZ", "such as Europe/Berlin"),
    ],
)
def test_a_wrong_timezone_is_answered_by_what_can_be_written(written: str, advice: str) -> None:
    fault = timezone_fault(written)
    assert fault is not None
    assert advice in fault
    named = re.findall(r"[A-Z][A-Za-z]+/[A-Za-z_]+(?:[+-]\d+)?", fault.partition(";")[2])
    assert [name for name in named if timezone_fault(name)] == [], "advice that would be refused"


def test_every_timezone_that_is_taken_is_one_of_airflows() -> None:
    for name in available_timezones():
        if timezone_fault(name) is None:
            parse_timezone(name)
