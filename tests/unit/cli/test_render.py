from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from rich.console import Console, RenderableType

from chassis.cli.render import plan_table, print_results, status_view, totals
from chassis.contract.xcoms import TaskError
from chassis.workflow import check_plan
from tests.unit.cli.made_up_views import done, report, row

if TYPE_CHECKING:
    from chassis.cli.report import Row

PLAN = {
    "schema_version": 1,
    "id": "onboard",
    "title": "Onboard",
    "requirement": "Onboard",
    "inputs": {"regions": {"type": "array", "default": ["eu", "us"]}},
    "tasks": [
        {"id": "report", "name": "Report", "instruction": "Report", "depends_on": ["verify", "roll_out"]},
        {
            "id": "update",
            "name": "Update one service",
            "instruction": "{item}",
            "for_each": {"items": ["pricing", "claims"]},
        },
        {
            "id": "verify",
            "name": "Verify",
            "instruction": "{item}",
            "for_each": {"same_as": "update"},
            "depends_on": ["update"],
        },
        {"id": "roll_out", "name": "Roll out", "instruction": "{item}", "for_each": {"input": "regions"}},
    ],
}


def rendered(*what: RenderableType, terminal: bool = False) -> str:
    console = Console(
        file=io.StringIO(), width=100, force_terminal=terminal, markup=False, emoji=False, highlight=False
    )
    for part in what:
        console.print(part)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def results(shown: Row, *, terminal: bool) -> str:
    console = Console(file=io.StringIO(), width=100, force_terminal=terminal, markup=False, emoji=False)
    print_results(console, [shown])
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_the_plan_shows_task_name_items_and_dependencies_in_the_order_in_which_they_can_run() -> None:
    lines = [line.split("  ") for line in rendered(plan_table(check_plan(PLAN))).splitlines()]
    cells = [[cell.strip() for cell in line if cell.strip()] for line in lines]
    assert cells[1] == ["Task", "Name", "For each", "Depends on"]
    assert cells[3:7] == [
        ["update", "Update one service", "pricing, claims"],
        ["verify", "Verify", "same as update", "update"],
        ["roll_out", "Roll out", "input regions"],
        ["report", "Report", "verify, roll_out"],
    ]


def test_the_status_has_a_row_for_each_item_and_counts_them() -> None:
    found = report(
        row("update", "success", "pricing", 0, name="Update"),
        row("update", "deferred", "claims", 1),
        row("update", "up_for_retry", None, 2),
        row("report", None, name="Report", depends_on=("update",)),
        state="running",
    )
    text = rendered(status_view(found))
    lines = [line.split() for line in text.splitlines()]
    assert ["update", "[pricing]", "Update", "success"] in lines
    assert ["update", "[claims]", "Update", "deferred"] in lines
    assert ["update", "[#2]", "Update", "up_for_retry"] in lines
    assert ["report", "Report", "no", "status", "update"] in lines
    assert "1 success · 1 deferred · 1 up_for_retry · 1 no status" in text


@pytest.mark.parametrize("terminal", [True, False])
def test_names_and_results_are_printed_as_text_not_obeyed(terminal: bool) -> None:
    hostile = "[red]\x1b[2J:boom: {{ secret }}"
    found = report(row("add", "success", hostile, 0, name=hostile), state="running")
    text = rendered(status_view(found), terminal=terminal)
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
    carried = done("8", carried_from="planned__manual__1")
    assert "success, carried over" in rendered(status_view(report(carried)))
    assert "carried over from run planned__manual__1" in results(carried, terminal=False)


def test_a_failed_task_shows_reason_and_hint() -> None:
    error = TaskError(kind="TaskBlockedError", message="No access.", hint="Ask for it.")
    failed = row("add", "failed", error=error)
    assert results(failed, terminal=False) == "== add: failed: No access. Ask for it.\n"
    assert "Ask for it." in results(failed, terminal=True)


def test_the_totals_give_outcome_tokens_cost_and_time() -> None:
    expected = "Run success: 1,280 tokens (1,230 in, 230 of these by the cache; 50 out) · $0.0123 · 12.3 s"
    assert totals(report(done(), seconds=12.34)).plain == expected


def test_the_totals_of_a_simulated_run_say_that_nothing_was_paid() -> None:
    assert (
        "$0.0123 · simulated: not Claude, so nothing was paid" in totals(report(done(simulated=True))).plain
    )


def test_the_totals_without_a_finished_call_say_so() -> None:
    assert totals(report(state="failed")).plain == "Run failed: no call to Claude has ended"
