"""A run as rows and as the ``--json`` document."""

from __future__ import annotations

from typing import Any

import pytest

from chassis.contract.spending import Totals
from chassis.contract.usage import Usage
from chassis.contract.xcoms import TaskError
from tests.unit.cli.made_up_views import done, planning, report, result, row

COUNTS = {"input_tokens": 10, "output_tokens": 5, "cache_read_tokens": 3, "cache_write_tokens": 2, "calls": 1}
NOTHING_UNSURE = {"unpriced_calls": 0, "uncertain_usd": 0.0, "uncertain_tokens": 0, "uncertain_calls": 0}


def cost(usd: float | None) -> Totals:
    return Totals(calls=1, usage=Usage(**COUNTS), cost_usd=usd or 0.0, unpriced_calls=usd is None)


def test_a_helper_or_a_stranger_is_shown_only_when_it_failed_and_last() -> None:
    helper = row("update__items", "success", kind="items")
    assert [each.task.id for each in report(helper, row("report", None)).rows] == ["report"]
    broken = row("plan_error", "failed", kind="other")
    assert [each.task.id for each in report(broken, row("report", None)).rows] == ["report", "plan_error"]


def test_the_document_has_the_contracts_fields_and_the_results() -> None:
    answer = result("**8**", "update is done")
    error = TaskError(kind="TaskBlockedError", message="No access.", hint="Ask.", request_id="r-9")
    found = report(
        row("update", "success", "pricing", 0, name="Update", try_number=1, result=answer, spent=cost(0.5)),
        row("report", "failed", name="Report", depends_on=("verify",), try_number=1, error=error),
        state="running",
        revision=4,
        planning=planning(0.25),
    )
    assert found.document() == {
        "workflow_id": "onboard",
        "revision": 4,
        "dag_run_id": "r1",
        "state": "running",
        "simulated": False,
        "tasks": [
            {
                "id": "update",
                "item": "pricing",
                "name": "Update",
                "state": "success",
                "depends_on": [],
                "try_number": 1,
                "result": {
                    "summary": "update is done",
                    "output": "**8**",
                    "model": "claude",
                    "request_ids": ["r-1"],
                },
                "usage": {**COUNTS, "cost_usd": 0.5, "known_usd": 0.5, **NOTHING_UNSURE},
            },
            {
                "id": "report",
                "item": None,
                "name": "Report",
                "state": "failed",
                "depends_on": ["verify"],
                "try_number": 1,
                "result": None,
                "usage": None,
                "error": {"class": "TaskBlockedError", "message": "No access.", "hint": "Ask."},
            },
        ],
        "usage": {**COUNTS, "cost_usd": 0.5, "known_usd": 0.5, **NOTHING_UNSURE},
        "planning_usage": {
            "input_tokens": 10,
            "output_tokens": 5,
            "cache_read_tokens": 0,
            "cache_write_tokens": 0,
            "calls": 1,
            "cost_usd": 0.25,
            "known_usd": 0.25,
            **NOTHING_UNSURE,
        },
        "total_usage": {
            "input_tokens": 20,
            "output_tokens": 10,
            "cache_read_tokens": 3,
            "cache_write_tokens": 2,
            "calls": 2,
            "cost_usd": 0.75,
            "known_usd": 0.75,
            **NOTHING_UNSURE,
        },
    }


def test_a_result_that_was_taken_over_names_its_run_and_what_is_outdated_says_so() -> None:
    (task,) = report(done(carried_from="r0", outdated=True)).document()["tasks"]
    assert (task["carried_from"], task["outdated"]) == ("r0", True)


@pytest.mark.parametrize(("costs", "total"), [([0.5, 0.25], 0.75), ([0.5, None], None), ([], None)])
def test_the_cost_is_unknown_if_one_of_its_parts_is(costs: list[float | None], total: float | None) -> None:
    rows = (row(f"t{number}", spent=cost(usd)) for number, usd in enumerate(costs))
    assert report(*rows).document()["usage"]["cost_usd"] == total


@pytest.mark.parametrize(
    ("view", "simulated"),
    [({}, False), ({"planning": planning()}, False), ({"planning": planning(simulated=True)}, True)],
)
def test_one_simulated_answer_makes_the_run_simulated(view: dict[str, Any], simulated: bool) -> None:
    assert report(row("t"), **view).simulated is simulated
    assert report(row("t"), row("u", simulated=True), **view).simulated
