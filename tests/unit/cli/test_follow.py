from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from chassis.cli import follow as follow_module
from chassis.cli.follow import follow
from chassis.cli.report import Report, Row
from chassis.errors.client import AirflowUnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable


def reader(*reports: Report | Exception | None) -> Callable[[], Report | None]:
    """Gives one report after the other; after the last one, the test is wrong."""
    left = list(reports)

    def read() -> Report | None:
        report = left.pop(0)
        if isinstance(report, Exception):
            raise report
        return report

    return read


def report(run_state: str, **states: str | None) -> Report:
    rows = tuple(Row(task, None, task, state, ()) for task, state in states.items())
    return Report("w", 1, "r", run_state, rows)


def console(terminal: bool = False) -> Console:
    return Console(file=io.StringIO(), width=100, force_terminal=terminal, markup=False)


def text_of(console: Console) -> str:
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_in_a_pipe_each_change_is_one_line() -> None:
    out = console()
    end = follow(
        reader(
            None,
            report("running", a=None, b=None),
            report("running", a="running", b=None),
            report("running", a="deferred", b=None),
            report("running", a="success", b="running"),
            report("success", a="success", b="success"),
        ),
        out,
    )
    assert end.state == "success"
    assert text_of(out).splitlines() == ["a: running", "a: success", "b: running", "b: success"]


def test_what_was_known_before_is_not_told_again() -> None:
    out = console()
    known = report("failed", a="success", b="failed").rows[:1]
    follow(
        reader(report("running", a="success", b="running"), report("success", a="success", b="success")),
        out,
        known=known,
    )
    assert text_of(out).splitlines() == ["b: running", "b: success"]


def test_on_a_terminal_the_table_is_live_and_leaves_nothing_behind() -> None:
    out = console(terminal=True)
    follow(reader(report("running", a="running"), report("success", a="success")), out)
    assert "Depends on" in text_of(out)
    assert "\x1b[2K" in text_of(out)


def test_an_api_server_that_restarts_is_waited_for() -> None:
    away = AirflowUnreachableError("away")
    assert follow(reader(away, away, report("success")), console()).state == "success"


def test_an_api_server_that_stays_away_ends_the_watching(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow_module, "_PATIENCE_SECONDS", 0.05)

    def read() -> Report | None:
        raise AirflowUnreachableError("away")

    with pytest.raises(AirflowUnreachableError):
        follow(read, console())
