"""Watching a run until it ends: a live table on a terminal, a line for each change in a pipe."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from rich.live import Live

from chassis.cli.render import status_text, status_view
from chassis.cli.report import FINISHED, Report
from chassis.errors.client import AirflowUnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from rich.console import Console

    from chassis.airflow_client import Airflow
    from chassis.cli.report import Row
    from chassis.contract.run_view import RunView

T = TypeVar("T")

_POLL_SECONDS = 0.5
_PATIENCE_SECONDS = 60.0


class RunReader:
    """Reads a run again and again: all of it at first, then only what changed."""

    def __init__(self, airflow: Airflow, workflow_id: str, run_id: str) -> None:
        self._airflow = airflow
        self._run = (workflow_id, run_id)
        self._view: RunView | None = None

    def look(self) -> Report | None:
        """How the run stands now, without results; None as long as there is no such run."""
        news = self._airflow.run_view(*self._run, since=self._view.since if self._view else "")
        if news is None:
            return None
        self._view = self._view.joined(news) if self._view else news
        return Report(self._view)


def follow(read: Callable[[], Report | None], console: Console, *, known: Iterable[Row] = ()) -> Report:
    """Watch a run until it has ended.

    :param read: how the run stands now; None as long as there is no such run
    :param console: where to show it
    :param known: how tasks stood before: in a pipe only changes from that are told
    :raises AirflowUnreachableError: Airflow hasn't answered for a minute
    """
    with _display(console, known) as show:
        while True:
            started = time.monotonic()
            report = patiently(read)
            if report is not None:
                show(report)
                if report.view.state in FINISHED:
                    return report
            # A run of a thousand items takes long to read: leave the server four fifths of its time.
            time.sleep(max(_POLL_SECONDS, 4 * (time.monotonic() - started)))


def patiently(read: Callable[[], T]) -> T:
    """What ``read`` gives, also when Airflow's API server is away for a moment, such as for its restart."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return read()
        except AirflowUnreachableError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_POLL_SECONDS)


@contextmanager
def _display(console: Console, known: Iterable[Row]) -> Iterator[Callable[[Report], None]]:
    if console.is_terminal:
        with Live(console=console, transient=True, refresh_per_second=8) as live:
            yield lambda report: live.update(status_view(report, live=True))
    else:
        yield _Lines(console, known).show


_SAME = {"scheduled": None, "queued": None, "deferred": "running"}
"""States that are no news after another one: Airflow's own steps on the way to a call, and back from it."""


class _Lines:
    """Prints a line for each change of a task's state that says something new."""

    def __init__(self, console: Console, known: Iterable[Row]) -> None:
        self._console = console
        self._phases = {self._key(row): self._phase(row) for row in known}

    @staticmethod
    def _key(row: Row) -> tuple[str, int, str | None]:
        return (*row.instance, row.at.item)

    @staticmethod
    def _phase(row: Row) -> str | None:
        return _SAME.get(row.at.state, row.at.state) if row.at.state else None

    def show(self, report: Report) -> None:
        for row in report.rows:
            phase = self._phase(row)
            if phase is not None and self._phases.get(self._key(row)) != phase:
                self._phases[self._key(row)] = phase
                self._console.print(f"{row.label}: {status_text(row.at.state).plain}")
