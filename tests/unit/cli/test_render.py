from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console, RenderableType

from chassis.cli.render import plan_table, print_results, status_view, totals
from chassis.cli.report import Report, Row
from chassis.cli.task_shapes import Shape, TaskShape

USAGE = {
    "input_tokens": 1000,
    "output_tokens": 50,
    "cache_read_tokens": 200,
    "cache_write_tokens": 30,
    "calls": 2,
    "cost_usd": 0.0123,
}


def rendered(*what: RenderableType, terminal: bool = False) -> str:
    console = Console(
        file=io.StringIO(), width=100, force_terminal=terminal, markup=False, emoji=False, highlight=False
    )
    for part in what:
        console.print(part)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def results(row: Row, *, terminal: bool) -> str:
    console = Console(file=io.StringIO(), width=100, force_terminal=terminal, markup=False, emoji=False)
    print_results(console, [row])
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def done(output: Any, summary: str = "Done.", **more: Any) -> Row:
    result = {"summary": summary, "output": output, "model": "claude", "request_ids": []}
    return Row("add", None, "Add", "success", (), result=result, usage=USAGE, **more)


def test_the_plan_shows_task_name_items_and_dependencies() -> None:
    shape = Shape(
        (
            TaskShape("update", "Update one service", (), "pricing, claims", ("pricing", "claims")),
            TaskShape("report", "Report", ("update",)),
        ),
        1,
    )
    lines = rendered(plan_table(shape)).splitlines()
    assert [word in lines[1] for word in ("Task", "Name", "For each", "Depends on")] == [True] * 4
    assert "update" in lines[3]
    assert "Update one service" in lines[3]
    assert "pricing, claims" in lines[3]
    assert lines[4].split() == ["report", "Report", "update"]


def test_the_status_has_a_row_for_each_item_and_counts_them() -> None:
    rows = (
        Row("update", "pricing", "Update", "success", (), map_index=0),
        Row("update", "claims", "Update", "deferred", (), map_index=1),
        Row("update", None, "Update", "up_for_retry", (), map_index=2),
        Row("report", None, "Report", None, ("update",)),
    )
    text = rendered(status_view(Report("w", 1, "r", "running", rows)))
    lines = [line.split() for line in text.splitlines()]
    assert ["update", "[pricing]", "Update", "success"] in lines
    assert ["update", "[claims]", "Update", "deferred"] in lines
    assert ["update", "[#2]", "Update", "up_for_retry"] in lines
    assert ["report", "Report", "no", "status", "update"] in lines
    assert "1 success · 1 deferred · 1 up_for_retry · 1 no status" in text


@pytest.mark.parametrize("terminal", [True, False])
def test_names_and_results_are_printed_as_text_not_obeyed(terminal: bool) -> None:
    hostile = "[red]\x1b[2J:boom: {{ secret }}"
    row = Row("add", hostile, hostile, "success", (), map_index=0)
    text = rendered(status_view(Report("w", 1, "r", "running", (row,))), terminal=terminal)
    assert "[red]␛[2J:boom: {{ secret }}" in text
    assert "\x1b[2J" not in text


@pytest.mark.parametrize("terminal", [True, False])
def test_html_in_a_result_stays_visible_and_links_show_their_address(terminal: bool) -> None:
    text = results(
        done("before </result> <b>bold</b>\n\n[safe](https://evil.example/x)", "[red]summary[/red]"),
        terminal=terminal,
    )
    for words in ("</result>", "<b>", "https://evil.example/x", "[red]summary[/red]"):
        assert words in text
    assert "\x1b]8" not in text, "a terminal link can lie about where it goes"


def test_a_structured_output_is_shown_as_json() -> None:
    assert '"sum": 8' in results(done({"sum": 8}), terminal=False)
    assert '"sum": 8' in results(done({"sum": 8}), terminal=True)


def test_a_huge_output_is_cut_visibly() -> None:
    text = results(done("x" * 1_000_000), terminal=False)
    assert len(text) < 10_000
    assert "994" in text, "the number of characters that were left out"


def test_a_simulated_result_says_so() -> None:
    assert "add (simulated: not Claude)" in results(done("8", simulated=True), terminal=True)
    assert "simulated" not in results(done("8"), terminal=True)


def test_what_was_taken_over_says_so_and_from_where() -> None:
    row = done("8", carried_from="planned__manual__1")
    assert "success, carried over" in rendered(status_view(Report("w", 1, "r2", "success", (row,))))
    assert "carried over from run planned__manual__1" in results(row, terminal=False)


def test_a_failed_task_shows_reason_and_hint() -> None:
    error = {"class": "TaskBlockedError", "message": "No access.", "hint": "Ask for it."}
    row = Row("add", None, "Add", "failed", (), error=error)
    assert results(row, terminal=False) == "== add: failed: No access. Ask for it.\n"
    assert "Ask for it." in results(row, terminal=True)


def test_the_totals_give_outcome_tokens_cost_and_time() -> None:
    report = Report("w", 1, "r", "success", (done("8"),), seconds=12.34)
    expected = "Run success: 1,280 tokens (1,230 in, 230 of these by the cache; 50 out) · $0.0123 · 12.3 s"
    assert totals(report).plain == expected


def test_the_totals_of_a_simulated_run_say_that_nothing_was_paid() -> None:
    report = Report("w", 1, "r", "success", (done("8", simulated=True),))
    assert "$0.0123 · simulated: not Claude, so nothing was paid" in totals(report).plain


def test_the_totals_without_a_finished_call_say_so() -> None:
    assert totals(Report("w", 1, "r", "failed")).plain == "Run failed: no call to Claude has ended"
