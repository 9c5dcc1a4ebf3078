"""How plans, runs and results look. Everything that a person or a model wrote goes through ``text.plain``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from rich.console import Group
from rich.panel import Panel
from rich.text import Text

from chassis import figures
from chassis.cli import amounts
from chassis.cli.console import safe_line, safe_text
from chassis.cli.listing import Listing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import Console, RenderableType

    from chassis.cli.report import Report, Row
    from chassis.cli.task_shapes import Shape
    from chassis.contract.spending import Spending, Totals

SIMULATED = "simulated: not Claude"
_OUTPUT_CHARACTERS = 6_000
_NO_CALL = "no call to Claude has ended"
_STYLES = {
    "queued": "cyan",
    "running": "cyan",
    "deferred": "cyan",  # the triggerer waits for Claude's answer
    "awaiting_input": "yellow",
    "up_for_retry": "yellow",
    "success": "green",
    "failed": "bold red",
    "upstream_failed": "red",
}
_NO_STATUS = "no status"
"""What Airflow calls a task instance that has no state yet."""


def status_text(state: str | None) -> Text:
    """A task's or a run's state, by Airflow's own name."""
    return Text(_NO_STATUS if state is None else safe_text(state), style=_STYLES.get(state or "", "dim"))


def full_name(row: Row) -> str:
    """The task's id, with its item."""
    item = row.item if row.item is not None else (f"#{row.map_index}" if row.map_index >= 0 else None)
    return safe_line(row.id if item is None else f"{row.id} [{item}]")


def plan_table(shape: Shape) -> Listing:
    """The tasks of a plan."""
    listing = Listing("Task", "Name", "For each", "Depends on")
    for task in shape.tasks:
        cells = (task.id, task.name, task.for_each, ", ".join(task.depends_on))
        listing.add(*map(safe_line, cells))
    return listing


def status_table(rows: Sequence[Row]) -> Listing:
    """How the tasks of a run stand, one row for each item; what they have spent, once one of them has."""
    some_spent = any(row.spent is not None for row in rows)
    listing = Listing("Task", "Name", "Status", "Depends on", *(["Spent"] if some_spent else []))
    for row in rows:
        status = status_text(row.state)
        if row.amendment is not None:
            status.append(", amended", "yellow")
        if row.carried_from:
            status.append(", carried over", "cyan")
        if row.outdated:
            status.append(", outdated", "yellow")
        spent = [_spent_by_task(row)] if some_spent else []
        listing.add(full_name(row), safe_line(row.name), status, safe_line(", ".join(row.depends_on)), *spent)
    return listing


def _spent_by_task(row: Row) -> str:
    if row.spent is None or row.carried_from:
        return ""
    limit = row.spending.limits.task.budget_usd if row.spending else None
    tokens = figures.counted(amounts.counted_tokens(row.spent), "token")
    parts = (tokens, amounts.price(row.spent, limit, column=True), amounts.uncertain(row.spent, brief=True))
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
    """Outcome, tokens, cost, limits and time of a run in a line; what its planning took stands beside it."""
    state = status_text(report.state)
    parts = list(_sums(report)) or [_NO_CALL]
    if report.seconds is not None:
        parts.append(f"{report.seconds:.1f} s")
    return Text(f"Run {state.plain}: ", style=state.style).append(" · ".join(parts), style="not bold default")


def _sums(report: Report) -> Iterator[str]:
    """The run, its planning, and both together: the rows of the tasks add up to the first of them."""
    spent, planning, together = report.spent, report.planning_spent, report.total
    if together is None or not together.calls:
        return
    if spent is None or not spent.calls:
        yield _NO_CALL
    else:
        yield from _spent_by_run(report, spent)
    if planning is not None and planning.calls:
        yield f"planning: {_tokens_and_price(report, planning)}"
        if spent is not None and spent.calls:
            yield f"together: {_tokens_and_price(report, together)}"
    if report.simulated:
        yield f"{SIMULATED}, so nothing was paid"


def _spent_by_run(report: Report, spent: Totals) -> Iterator[str]:
    usage, spending = spent.usage, report.spending
    cached = usage.cache_read_tokens + usage.cache_write_tokens
    of_these = f", {cached:,} of these by the cache" if cached else ""
    tokens = figures.counted(amounts.counted_tokens(spent), "token")
    yield f"{tokens} ({usage.input_tokens + cached:,} in{of_these}; {usage.output_tokens:,} out)"
    if price := _price(report, spent, spending):
        yield price
    if spending is not None:
        if spending.limit_tokens is not None:
            yield f"{spent.tokens:,} of {figures.counted(spending.limit_tokens, 'token')}"
        if spending.limit_calls is not None:
            yield f"{spent.calls:,} of {figures.counted(spending.limit_calls, 'call')}"


def _tokens_and_price(report: Report, spent: Totals) -> str:
    tokens = figures.counted(amounts.counted_tokens(spent), "token")
    return ", ".join(filter(None, (tokens, _price(report, spent, None))))


def _price(report: Report, spent: Totals, spending: Spending | None) -> str:
    """The price; nothing where it is unknown because nobody asks one."""
    return "" if report.simulated and amounts.is_unpriced(spent) else _money(spent, spending)


def _money(totals: Totals, spending: Spending | None) -> str:
    price = amounts.price(totals, spending.limit_usd if spending else None)
    return ", ".join(filter(None, (price, amounts.uncertain(totals))))


def _print_result(console: Console, row: Row) -> None:
    assert row.result is not None, "only rows with a result come here"
    title, summary = full_name(row), safe_text(row.result["summary"])
    if row.simulated:
        title += f" ({SIMULATED})"
    if row.carried_from:
        title += f" (carried over from run {safe_line(row.carried_from)})"
    output = _shortened(row.result["output"])
    if console.is_terminal:
        body: list[RenderableType] = [Text(summary, style="bold")]
        if output:
            body += [Text(), _markdown(output) if isinstance(row.result["output"], str) else Text(output)]
        console.print(Panel(Group(*body), title=Text(title), title_align="left", border_style="green"))
    else:
        console.print(Text(f"== {title}: {safe_line(summary)}"))
        if output:
            console.print(Text(output))


def _print_error(console: Console, row: Row) -> None:
    assert row.error is not None, "only rows with an error come here"
    message, hint = safe_text(row.error["message"]), safe_text(row.error["hint"])
    title = f"{full_name(row)}: {status_text(row.state).plain}"
    if console.is_terminal:
        body = Group(Text(message), *([Text(hint, style="yellow")] if hint else []))
        console.print(Panel(body, title=Text(title), title_align="left", border_style="red"))
    else:
        console.print(Text(f"== {title}: {message} {hint}".rstrip()))


def _shortened(output: object) -> str:
    from chassis.prompts import cut

    text = output if isinstance(output, str) else json.dumps(output, indent=2, ensure_ascii=False)
    return safe_text(cut("" if output is None else text, _OUTPUT_CHARACTERS)).strip()


def _markdown(text: str) -> RenderableType:
    """Markdown without HTML, which Rich would leave out, and without terminal links, which can lie."""
    from markdown_it import MarkdownIt
    from rich.markdown import Markdown

    markdown = Markdown(text, hyperlinks=False)
    parser = MarkdownIt("commonmark", {"html": False}).enable(["strikethrough", "table"])
    markdown.parsed = parser.parse(text)
    return markdown
