"""How plans, runs and results look. What a person or a model wrote is made safe for a terminal first."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

from rich.console import Group
from rich.panel import Panel
from rich.text import Text

from chassis import figures
from chassis.cli import amounts
from chassis.cli.console import safe_line, safe_text
from chassis.cli.listing import Listing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.console import Console, RenderableType

    from chassis.cli.report import Report, Row
    from chassis.contract.spending import Spending, Totals
    from chassis.workflow import WorkflowSpec

SIMULATED = "simulated: not Claude"
_OUTPUT_CHARACTERS = 6_000
_MOST_NAMES = 10
"""Items of an amendment that its line names; ``--json`` has all."""
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


def plan_table(spec: WorkflowSpec) -> Listing:
    """The tasks of a plan, each after those that it depends on."""
    from chassis.workflow import TaskGraph

    graph = TaskGraph(spec.tasks)
    listing = Listing("Task", "Name", "For each", "Depends on")
    for task in (graph.tasks[task_id] for task_id in graph.order):
        items = task.for_each.words if task.for_each else ""
        listing.add(*map(safe_line, (task.id, task.name, items, ", ".join(task.depends_on))))
    return listing


def status_view(report: Report, *, live: bool = False) -> Group:
    """The tasks of a run, one row for each item, and a line that counts them.

    :param live: whether the line also says what is spent so far; at the end :func:`totals` does
    """
    some_spent = any(row.at.spent is not None for row in report.rows)
    listing = Listing("Task", "Name", "Status", "Depends on", *(["Spent"] if some_spent else []))
    spending = report.view.spending
    task_limit = spending.limits.task.budget_usd if spending else None
    counts: Counter[str] = Counter()
    for row in report.rows:
        at, status = row.at, status_text(row.at.state)
        counts[status.plain] += 1
        if at.amendment is not None:
            status.append(", amended", "yellow")
        if at.carried_from:
            status.append(", carried over", "cyan")
        if at.outdated:
            status.append(", outdated", "yellow")
        spent = [_spent_by_task(row, task_limit)] if some_spent else []
        depends_on = safe_line(", ".join(row.task.depends_on))
        listing.add(row.label, safe_line(row.task.name), status, depends_on, *spent)
    line = [f"{count} {label}" for label, count in counts.items()]
    if live and report.spent is not None:
        money = _money(report.spent, spending)
        line.append(f"{money} ({SIMULATED})" if report.simulated else money)
    return Group(listing, Text(" · ".join(line), style="dim"))


def _spent_by_task(row: Row, limit_usd: float | None) -> str:
    if row.at.spent is None or row.at.carried_from:
        return ""
    tokens = figures.counted(amounts.counted_tokens(row.at.spent), "token")
    price = amounts.price(row.at.spent, limit_usd, column=True)
    return ", ".join(filter(None, (tokens, price, amounts.uncertain(row.at.spent, brief=True))))


def amendment_lines(report: Report) -> Iterator[str]:
    """Each amendment that counts in a line: of what, by whom, when, and why."""
    for each in report.view.amendments:
        if each["withdrawn"]:
            continue
        items = each["items"]
        more = f" and {len(items) - _MOST_NAMES} more" if len(items) > _MOST_NAMES else ""
        task = f"{each['task_id']} [{', '.join(items[:_MOST_NAMES])}{more}]" if items else each["task_id"]
        parts = ["instruction"] if each["instruction"] is not None else []
        parts += [f"input {name}" for name in each["inputs"]]
        saved = "" if each["saved_revision"] is None else f" (revision {each['saved_revision']})"
        yield safe_line(
            f"Amendment {each['number']}: {task}, {', '.join(parts)}{saved}. "
            f"{each['by']}, {figures.minute(each['at'])} UTC: {each['reason']}"
        )


def print_results(console: Console, rows: Iterable[Row]) -> None:
    """What each finished task gave and why each failed one failed."""
    for row in rows:
        if row.at.result is not None:
            _print_result(console, row)
        elif row.at.error is not None:
            _print_error(console, row)


def totals(report: Report) -> Text:
    """Outcome, tokens, cost, limits and time of a run in a line; what its planning took stands beside it."""
    state = status_text(report.view.state)
    parts = list(_sums(report)) or [_NO_CALL]
    if report.view.seconds is not None:
        parts.append(f"{report.view.seconds:.1f} s")
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
    usage, spending = spent.usage, report.view.spending
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
    result = row.at.result
    assert result is not None, "only rows with a result come here"
    title, summary = row.label, safe_text(result.summary)
    if row.at.simulated:
        title += f" ({SIMULATED})"
    if row.at.carried_from:
        title += f" (carried over from run {safe_line(row.at.carried_from)})"
    output = _shortened(result.output)
    if console.is_terminal:
        body: list[RenderableType] = [Text(summary, style="bold")]
        if output:
            body += [Text(), _markdown(output) if isinstance(result.output, str) else Text(output)]
        console.print(Panel(Group(*body), title=Text(title), title_align="left", border_style="green"))
    else:
        console.print(f"== {title}: {safe_line(summary)}")
        if output:
            console.print(output)


def _print_error(console: Console, row: Row) -> None:
    assert row.at.error is not None, "only rows with an error come here"
    message, hint = safe_text(row.at.error.message), safe_text(row.at.error.hint)
    title = f"{row.label}: {status_text(row.at.state).plain}"
    if console.is_terminal:
        body = Group(Text(message), *([Text(hint, style="yellow")] if hint else []))
        console.print(Panel(body, title=Text(title), title_align="left", border_style="red"))
    else:
        console.print(f"== {title}: {message} {hint}".rstrip())


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
