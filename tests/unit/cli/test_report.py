from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from chassis.cli.report import Report, Row, make_rows, read_report, with_results
from chassis.cli.spending import SpendingReader
from chassis.cli.task_shapes import Shape, TaskShape
from tests.unit.fake_airflow import FakeAirflow, FakeDag, FakeRun, instance

if TYPE_CHECKING:
    from chassis.airflow_client import Airflow

FAN = TaskShape("update", "Update", (), "each item")
KNOWN_FAN = TaskShape("update", "Update", (), "pricing, claims", ("pricing", "claims"))
STEP = TaskShape("verify", "Verify", ("update",), "each item")
JOIN = TaskShape("report", "Report", ("verify",))
USAGE = {"input_tokens": 10, "output_tokens": 5, "cache_read_tokens": 3, "cache_write_tokens": 2, "calls": 1}
NOTHING_UNSURE = {"unpriced_calls": 0, "uncertain_usd": 0.0, "uncertain_tokens": 0, "uncertain_calls": 0}
PLANNING = {"usage": {**USAGE, "calls": 2}, "cost_usd": 0.25, "simulated": False}


def result(task: str, item: str | None = None, **more: Any) -> dict[str, Any]:
    return {
        "task": task,
        "item": item,
        "status": "completed",
        "summary": f"{task} is done",
        "output": "**8**",
        "usage": USAGE,
        "cost_usd": 0.5,
        "model": "claude",
        "request_ids": ["r-1"],
        "simulated": False,
        **more,
    }


def finished(airflow: Airflow, report: Report) -> Report:
    """The report with results."""
    return with_results(airflow, report, SpendingReader(airflow, "onboard", "r1"))


def rows_of(*tasks: TaskShape, instances: list[dict[str, Any]]) -> list[tuple[str, str | None, str | None]]:
    return [(row.id, row.item, row.state) for row in make_rows(Shape(tasks, None), instances)]


def test_items_that_are_known_have_rows_before_airflow_has_instances() -> None:
    assert rows_of(KNOWN_FAN, JOIN, instances=[]) == [
        ("update", "pricing", None),
        ("update", "claims", None),
        ("report", None, None),
    ]


def test_an_unexpanded_mapped_task_shows_its_state_for_each_item() -> None:
    found = [instance("update", "upstream_failed")]
    assert rows_of(KNOWN_FAN, instances=found) == [
        ("update", "pricing", "upstream_failed"),
        ("update", "claims", "upstream_failed"),
    ]


def test_items_are_named_by_the_plan_before_airflow_renders_their_labels() -> None:
    found = [instance("update", None, 1), instance("update", "running", 0)]
    assert rows_of(KNOWN_FAN, instances=found) == [
        ("update", "pricing", "running"),
        ("update", "claims", None),
    ]


def test_what_has_ended_keeps_the_item_that_it_was_done_for_when_the_list_changes() -> None:
    found = [
        instance("update", "success", 0, rendered_map_index="billing"),
        instance("update", None, 1, rendered_map_index="pricing"),
    ]
    assert rows_of(KNOWN_FAN, instances=found) == [
        ("update", "billing", "success"),
        ("update", "claims", None),
    ]


class TestOutdated:
    TASKS = (
        TaskShape("update", "Update", (), "each item", group="update"),
        TaskShape("verify", "Verify", ("update",), "each item", group="update"),
        TaskShape("report", "Report", ("verify",)),
    )

    def outdated(self, **again: int) -> list[tuple[str, int]]:
        """The rows marked in a run whose tasks took a minute each, one after the other.

        :param again: for an instance that ran again, the minute in which it ended
        """
        minutes = {("update", 0): 1, ("update", 1): 1, ("verify", 0): 3, ("verify", 1): 3, ("report", -1): 5}
        found = []
        for (task_id, index), minute in minutes.items():
            end = again.get(f"{task_id}_{index}", minute)
            times = {
                "start_date": f"2026-03-01T06:{end - 1:02}:00+00:00",
                "end_date": f"2026-03-01T06:{end:02}:00+00:00",
            }
            found.append(instance(task_id, "success", index, **times))
        rows = make_rows(Shape(self.TASKS, None), found)
        return [(row.id, row.map_index) for row in rows if row.outdated]

    def test_nothing_is_in_a_run_that_went_through_once(self) -> None:
        assert self.outdated() == []

    def test_an_items_next_step_and_what_joins_it_are_when_the_item_alone_ran_again(self) -> None:
        assert self.outdated(update_0=20) == [("verify", 0), ("report", -1)]


def test_an_item_that_is_gone_stays_visible_with_what_it_spent() -> None:
    found = [
        instance("update", "success", 0, rendered_map_index="z"),
        instance("update", "removed", 1, rendered_map_index="c"),
    ]
    assert rows_of(FAN, instances=found) == [("update", "z", "success"), ("update", "c", "removed")]


def test_an_item_that_never_ran_is_named_by_its_sibling() -> None:
    found = [
        instance("update", "failed", 0, rendered_map_index="pricing"),
        instance("update", "success", 1, rendered_map_index="claims"),
        instance("verify", "upstream_failed", 0),
        instance("verify", "success", 1, rendered_map_index="claims"),
    ]
    assert ("verify", "pricing", "upstream_failed") in rows_of(FAN, STEP, instances=found)


def test_siblings_that_disagree_name_nothing() -> None:
    other = TaskShape("other", "Other", (), "each item")
    found = [
        instance("update", "success", 0, rendered_map_index="pricing"),
        instance("other", "success", 0, rendered_map_index="eu"),
        instance("verify", None, 0),
    ]
    assert ("verify", None, None) in rows_of(FAN, other, STEP, instances=found)


def test_an_item_whose_name_is_its_index_keeps_it_once_it_ran() -> None:
    assert rows_of(FAN, instances=[instance("update", "success", 0)]) == [("update", "0", "success")]
    assert rows_of(FAN, instances=[instance("update", "queued", 0)]) == [("update", None, "queued")]


def test_a_helper_is_shown_only_when_it_failed() -> None:
    assert rows_of(JOIN, instances=[instance("update__items", "success"), instance("report", None)]) == [
        ("report", None, None)
    ]
    assert ("plan_error", None, "failed") in rows_of(JOIN, instances=[instance("plan_error", "failed")])


def test_the_document_has_the_contracts_fields_and_the_results(fake: FakeAirflow, airflow: Airflow) -> None:
    found = [instance("update", "success", 0), instance("report", "failed")]
    run = FakeRun("failed", [found])
    run.xcoms[("update", 0, "return_value")] = result("update", "pricing")
    run.xcoms[("report", -1, "error")] = {
        "class": "TaskBlockedError",
        "message": "No access.",
        "hint": "Ask.",
    }
    fake.dags["onboard"] = FakeDag(runs={"r1": run})
    shape = Shape((FAN, JOIN), 4)
    report = read_report(airflow, "onboard", "r1", shape, planning=PLANNING)
    assert report is not None
    document = finished(airflow, report).document()
    assert document == {
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
                "usage": {**USAGE, "cost_usd": 0.5, "known_usd": 0.5, **NOTHING_UNSURE},
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
        "usage": {**USAGE, "cost_usd": 0.5, "known_usd": 0.5, **NOTHING_UNSURE},
        "planning_usage": {**USAGE, "calls": 2, "cost_usd": 0.25, "known_usd": 0.25, **NOTHING_UNSURE},
        "total_usage": {
            "input_tokens": 20,
            "output_tokens": 10,
            "cache_read_tokens": 6,
            "cache_write_tokens": 4,
            "calls": 3,
            "cost_usd": 0.75,
            "known_usd": 0.75,
            **NOTHING_UNSURE,
        },
    }


def test_a_result_that_was_taken_over_names_its_run(fake: FakeAirflow, airflow: Airflow) -> None:
    value = result("report", carried_from="r0", usage=dict.fromkeys(USAGE, 0), cost_usd=0.0)
    run = FakeRun(snapshots=[[instance("report", "success")]], xcoms={("report", -1, "return_value"): value})
    fake.dags["onboard"] = FakeDag(runs={"r1": run})
    report = read_report(airflow, "onboard", "r1", Shape((TaskShape("report", "Report", ()),), 1))
    assert report is not None
    (task,) = finished(airflow, report).document()["tasks"]
    assert task["carried_from"] == "r0"
    assert task["usage"]["calls"] == 0


def test_another_tasks_dict_is_no_result_of_claude(fake: FakeAirflow, airflow: Airflow) -> None:
    value = {"summary": "of a hand-written DAG"}
    run = FakeRun(snapshots=[[instance("report", "success")]], xcoms={("report", -1, "return_value"): value})
    fake.dags["own"] = FakeDag(runs={"r1": run})
    report = read_report(airflow, "own", "r1", Shape((TaskShape("report", "Report", ()),), None))
    assert report is not None
    assert finished(airflow, report).rows[0].result is None


def test_a_task_that_could_not_say_why_it_failed_is_explained_by_its_log(
    fake: FakeAirflow, airflow: Airflow
) -> None:
    run = FakeRun("failed", [[instance("report", "failed")]])
    detail = {"exc_type": "AirflowTaskTimeout", "exc_value": "Timeout, PID: 7"}
    run.logs[("report", -1)] = [
        {"level": "error", "event": "Task failed with exception", "error_detail": [detail]},
        {"level": "info", "event": "::endgroup::"},
    ]
    fake.dags["onboard"] = FakeDag(runs={"r1": run})
    report = read_report(airflow, "onboard", "r1", Shape((JOIN,), None))
    assert report is not None
    (row,) = finished(airflow, report).rows
    assert row.error == {
        "class": "TaskFailedError",
        "message": "Task report failed: AirflowTaskTimeout: Timeout, PID: 7",
        "hint": "",
    }


def test_no_run_is_no_report(fake: FakeAirflow, airflow: Airflow) -> None:
    fake.dags["onboard"] = FakeDag()
    assert read_report(airflow, "onboard", "r1", Shape((), None)) is None


@pytest.mark.parametrize(("costs", "total"), [([0.5, 0.25], 0.75), ([0.5, None], None), ([], None)])
def test_the_cost_is_unknown_if_one_of_its_parts_is(costs: list[float | None], total: float | None) -> None:
    rows = tuple(Row("t", None, "t", "success", (), usage={**USAGE, "cost_usd": cost}) for cost in costs)
    assert Report("w", 1, "r", "success", rows).document()["usage"]["cost_usd"] == total


def test_one_simulated_answer_makes_the_run_simulated() -> None:
    rows = (Row("t", None, "t", "success", ()), Row("u", None, "u", "success", (), simulated=True))
    assert Report("w", 1, "r", "success", rows).simulated
    assert Report("w", 1, "r", "success", planning={**PLANNING, "simulated": True}).simulated
    assert not Report("w", 1, "r", "success", rows[:1], planning=PLANNING).simulated
