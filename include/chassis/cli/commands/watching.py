"""What commands that watch a run have in common: its end, and being interrupted before it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer
from rich.text import Text

from chassis.cli.console import FAILED, INTERRUPTED, SUCCESS, safe_line, tell

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from rich.console import Console

    from chassis.airflow_client import Airflow
    from chassis.cli.report import Report, Row
    from chassis.cli.task_shapes import Shape


@contextmanager
def interruptible(airflow: Airflow, dag_id: str, run_id: str) -> Iterator[None]:
    """Ctrl-C ends the watching, not the run: say how to go on watching, and exit with 130."""
    try:
        yield
    except KeyboardInterrupt:
        tell(f"\nThe run goes on. How it stands: chassis status {dag_id} --run {run_id}")
        tell(f"Live: {run_page(airflow, dag_id, run_id)}")
        raise typer.Exit(INTERRUPTED) from None


def watch(
    airflow: Airflow,
    workflow_id: str,
    run_id: str,
    shape: Shape,
    console: Console,
    *,
    planning: Mapping[str, Any] | None,
    known: Iterable[Row] = (),
) -> Report:
    """Show a run until it has ended; then its report, with results.

    :param known: how tasks stood before: in a pipe only changes from that are told
    """
    from chassis.cli.follow import follow
    from chassis.cli.report import read_report, with_results
    from chassis.cli.spending import SpendingReader

    reader = SpendingReader(airflow, workflow_id, run_id)
    live = reader if console.is_terminal else None  # a pipe is shown states only, until the end
    with interruptible(airflow, workflow_id, run_id):
        report = follow(
            lambda: read_report(airflow, workflow_id, run_id, shape, planning=planning, reader=live),
            console,
            known=known,
        )
        return with_results(airflow, report, reader)


def run_page(airflow: Airflow, dag_id: str, run_id: str) -> str:
    """Address of a run's page in Airflow."""
    from chassis.contract.addresses import Links

    return Links(airflow.url).airflow_run(dag_id, run_id)


def show_end(report: Report, console: Console, rows: Iterable[Row], *, table: bool) -> int:
    """Show how a run ended, with the results of some of its tasks. Returns the exit code.

    :param table: whether to show how each task stands, which who has followed the run line by line has seen
    """
    from chassis.cli.render import print_results, status_view, totals

    if table:
        console.print(status_view(report))
    print_results(console, rows)
    console.print(totals(report))
    if report.state == "success":
        return SUCCESS
    for row in report.rows:
        if row.state == "failed":
            item = "" if row.item is None else f" --item {_quoted(row.item)}"
            where = f"{report.workflow_id} {row.id}{item} --run {report.dag_run_id}"
            # Not wrapped: it is to be copied.
            console.print(Text(f"Log: chassis logs {where}", style="dim"), soft_wrap=True)
            if not (row.error and row.error["class"] == "LimitSpentError"):  # it said itself what comes first
                console.print(Text(f"Again: chassis retry {where}", style="dim"), soft_wrap=True)
    return FAILED


def _quoted(item: str) -> str:
    import shlex

    return shlex.quote(safe_line(item))
