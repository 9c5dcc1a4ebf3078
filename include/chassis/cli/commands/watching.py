"""What commands that watch a run have in common: its end, and being interrupted before it."""

from __future__ import annotations

import shlex
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from chassis.cli.console import safe_line, tell
from chassis.cli.exit_codes import FAILED, INTERRUPTED, SUCCESS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.console import Console

    from chassis.airflow_client import Airflow
    from chassis.cli.report import Report, Row


@contextmanager
def interruptible(airflow: Airflow, dag_id: str, run_id: str) -> Iterator[None]:
    """Ctrl-C ends the watching, not the run: say how to watch on, and exit with 130."""
    try:
        yield
    except KeyboardInterrupt:
        tell(f"\nThe run continues. Follow it: chassis status {dag_id} --run {run_id}")
        tell(f"Live: {airflow.links.airflow_run(dag_id, run_id)}")
        raise typer.Exit(INTERRUPTED) from None


def watch(
    airflow: Airflow, workflow_id: str, run_id: str, console: Console, *, known: Iterable[Row] = ()
) -> Report:
    """Show a run until it has ended; then its report, with results.

    :param known: how tasks stood before: in a pipe only changes from that are told
    """
    from chassis.cli.follow import RunReader, follow, patiently
    from chassis.cli.run_lookup import read_report

    with interruptible(airflow, workflow_id, run_id):
        follow(RunReader(airflow, workflow_id, run_id).look, console, known=known)
        return patiently(lambda: read_report(airflow, workflow_id, run_id, results=True))


def show_end(report: Report, console: Console, rows: Iterable[Row], *, table: bool) -> int:
    """Show how a run ended, with the results of some of its tasks. Returns the exit code.

    :param table: whether to show the status of each task, which who has followed the run line by line has seen
    """
    from chassis.cli.render import print_results, status_view, totals

    if table:
        console.print(status_view(report))
    print_results(console, rows)
    console.print(totals(report))
    if report.view.state == "success":
        return SUCCESS
    for row in report.rows:
        if row.at.state == "failed":
            item = "" if row.at.item is None else f" --item {shlex.quote(safe_line(row.at.item))}"
            where = f"{report.view.workflow_id} {row.task.id}{item} --run {report.view.run_id}"
            # Not wrapped: it is to be copied.
            console.print(f"Log: chassis logs {where}", style="dim", soft_wrap=True)
            if not (
                row.at.error and row.at.error.kind == "LimitSpentError"
            ):  # it said itself what comes first
                console.print(f"Again: chassis retry {where}", style="dim", soft_wrap=True)
    return FAILED
