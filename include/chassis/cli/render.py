"""How plans, runs and results look. Everything that a person or a model wrote goes through ``text.plain``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from chassis import figures
from chassis.cli import amounts
from chassis.cli.text import one_line, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import Console, RenderableType

    from chassis.cli.report import Report, Row
    from chassis.cli.shape import Shape
    from chassis.cli.spending import Spending
    from chassis.ledger.entries import Totals

SIMULATED = "simulated: not Claude"
_OUTPUT_CHARACTERS = 6_000
_NO_CALL = "no call to Claude has ended"
_LABELS = {
    None: ("waiting", "dim"),
    "scheduled": ("queued", "dim"),
    "queued": ("queued", "cyan"),
    "running": ("running", "cyan"),
    "deferred": ("running", "cyan"),  # the triggerer waits for Claude's answer
    "awaiting_input": ("waits for approval", "yellow"),
    "up_for_retry": ("failed, will retry", "yellow"),
    "up_for_reschedule": ("waiting", "dim"),
    "success": ("done", "green"),
    "failed": ("failed", "bold red"),
    "upstream_failed": ("not run", "red"),
    "skipped": ("skipped", "dim"),
    "removed": ("removed", "dim"),
}


def status_text(state: str | None) -> Text:
    """A task's state in a word or two."""
    label, style = _LABELS.get(state, (plain(state), ""))
    return Text(label, style=style)


def full_name(row: Row) -> str:
    """The task's id, with its item."""
    item = row.item if row.item is not None else (f"#{row.map_index}" if row.map_index >= 0 else None)
    return one_line(row.id if item is None else f"{row.id} [{item}]")


def plan_table(shape: Shape) -> Table:
    """The tasks of a plan."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("Task", "Name", "For each", "Depends on"):
        table.add_column(heading, overflow="fold")
    for task in shape.tasks:
        cells = (task.id, task.name, task.for_each, ", ".join(task.depends_on))
        table.add_row(*(Text(one_line(cell)) for cell in cells))
    return table


def status_table(rows: Sequence[Row]) -> Table:
    """How the tasks of a run stand, one row for each item; what they have spent, once one of them has."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    some_spent = any(row.spent is not None for row in rows)
    for heading in ("Task", "Name", "Status", "Depends on", *(["Spent"] if some_spent else [])):
        table.add_column(heading, overflow="fold")
    for row in rows:
        name, needs = Text(one_line(row.name)), Text(one_line(", ".join(row.depends_on)))
        spent = [Text(_spent_by_task(row))] if some_spent else []
        status = status_text(row.state)
        if row.amendment is not None:
            status.append(", amended", "yellow")
        if row.carried_from:
            status.append(", taken over", "cyan")
        table.add_row(Text(full_name(row)), name, status, needs, *spent)
    return table


def _spent_by_task(row: Row) -> str:
    if row.spent is None or row.carried_from:
        return ""
    limit = row.spending.limits.task.budget_usd if row.spending else None
    tokens = figures.counted(amounts.counted_tokens(row.spent), "token")
    parts = (tokens, amounts.price(row.spent, limit), amounts.uncertain(row.spent, brief=True))
    return ", ".join(filter(None, parts))


def status_view(report: Report, *, live: bool = False) -> Group:
    """The table of a run and a line that counts.

    :param live: whether the line also says what is spent so far; at the end :func:`totals` does
    """
    counts: dict[str, int] = {}
    for row in report.rows:
        label = status_text(row.state).plain
        counts[label] = counts.get(label, 0) + 1
    line = [f"{count} {label}" for label, count in counts.items()]
    if live and report.spent is not None:
        money = _money(report.spent, report.spending)
        line.append(f"{money} ({SIMULATED})" if report.simulated else money)
    return Group(status_table(report.rows), Text(" · ".join(line), style="dim"))


def print_results(console: Console, rows: Iterable[Row]) -> None:
    """What each finished task gave and why each failed one failed."""
    for row in rows:
        if row.result is not None:
            _print_result(console, row)
        elif row.error is not None:
            _print_error(console, row)


def totals(report: Report) -> Text:
    """Outcome, tokens, cost, limits and time of a run in a line."""
    label, style = _LABELS.get(report.state, (plain(report.state), "cyan"))
    parts = list(_spent_by_run(report)) or [_NO_CALL]
    if report.seconds is not None:
        parts.append(f"{report.seconds:.1f} s")
    return Text(f"Run {label}: ", style=style).append(" · ".join(parts), style="not bold default")


def _spent_by_run(report: Report) -> Iterator[str]:
    total, spent, spending = report.total, report.spent, report.spending
    if total is None or not total.calls:
        return
    usage = total.usage
    cached = usage.cache_read_tokens + usage.cache_write_tokens
    yield f"{usage.input_tokens + cached:,} tokens in ({cached:,} by the cache), {usage.output_tokens:,} out"
    money = _money(total, None)
    if spent is not None and spending is not None and spending.limit_usd is not None:
        # The limit is the run's alone, so what its planning cost stands beside it.
        planning = report.planning_spent
        plan = "" if planning is None else f", and {amounts.price(planning)} for the plan"
        money = f"{_money(spent, spending)}{plan}"
    if report.simulated:
        money = SIMULATED if amounts.is_unpriced(total) else f"{money} if it were real ({SIMULATED})"
    yield money
    if spent is not None and spending is not None:
        if spending.limit_tokens is not None:
            yield f"{spent.tokens:,} of {figures.counted(spending.limit_tokens, 'token')}"
        if spending.limit_calls is not None:
            yield f"{spent.calls:,} of {figures.counted(spending.limit_calls, 'call')}"


def _money(totals: Totals, spending: Spending | None) -> str:
    price = amounts.price(totals, spending.limit_usd if spending else None)
    return ", ".join(filter(None, (price, amounts.uncertain(totals))))


def _print_result(console: Console, row: Row) -> None:
    assert row.result is not None, "only rows with a result come here"
    title, summary = full_name(row), plain(row.result["summary"])
    if row.simulated:
        title += f" ({SIMULATED})"
    if row.carried_from:
        title += f" (taken over from run {one_line(row.carried_from)})"
    output = _shortened(row.result["output"])
    if console.is_terminal:
        body: list[RenderableType] = [Text(summary, style="bold")]
        if output:
            body += [Text(), _markdown(output) if isinstance(row.result["output"], str) else Text(output)]
        console.print(Panel(Group(*body), title=Text(title), title_align="left", border_style="green"))
    else:
        console.print(Text(f"== {title}: {one_line(summary)}"))
        if output:
            console.print(Text(output))


def _print_error(console: Console, row: Row) -> None:
    assert row.error is not None, "only rows with an error come here"
    message, hint = plain(row.error["message"]), plain(row.error["hint"])
    title = f"{full_name(row)}: {status_text(row.state).plain}"
    if console.is_terminal:
        body = Group(Text(message), *([Text(hint, style="yellow")] if hint else []))
        console.print(Panel(body, title=Text(title), title_align="left", border_style="red"))
    else:
        console.print(Text(f"== {title}: {message} {hint}".rstrip()))


def _shortened(output: object) -> str:
    from chassis.prompts import cut

    text = output if isinstance(output, str) else json.dumps(output, indent=2, ensure_ascii=False)
    return plain(cut("" if output is None else text, _OUTPUT_CHARACTERS)).strip()


def _markdown(text: str) -> RenderableType:
    """Markdown without HTML, which Rich would leave out, and without terminal links, which can lie."""
    from markdown_it import MarkdownIt
    from rich.markdown import Markdown

    markdown = Markdown(text, hyperlinks=False)
    parser = MarkdownIt("commonmark", {"html": False}).enable(["strikethrough", "table"])
    markdown.parsed = parser.parse(text)
    return markdown
