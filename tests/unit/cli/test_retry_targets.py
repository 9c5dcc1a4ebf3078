from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chassis.cli.report import Report, Row
from chassis.cli.retry_targets import find_targets, retry
from chassis.errors.client import UsageError
from tests.unit.fake_airflow import FakeAirflow, FakeDag, FakeRun, instance

if TYPE_CHECKING:
    from chassis.airflow_client import Airflow


def row(task_id: str, state: str | None, item: str | None = None, index: int = -1) -> Row:
    return Row(task_id, item, task_id, state, (), try_number=1, map_index=index)


ROWS = (
    row("discover", "success"),
    row("update", "success", "pricing", 0),
    row("update", "failed", "claims", 1),
    row("update", "failed", "documents", 2),
    row("verify", "success", "pricing", 0),
    row("verify", "upstream_failed", "claims", 1),
    row("verify", "upstream_failed", "documents", 2),
    row("report", "upstream_failed"),
)
REPORT = Report("onboard", 1, "r1", "failed", ROWS)
AFTER_CLAIMS = [
    instance("update", "failed", 1),
    instance("verify", "upstream_failed", 1),
    instance("report", "upstream_failed"),
]


def test_an_item_is_found_by_its_name() -> None:
    assert find_targets(REPORT, "update", "claims") == [ROWS[2]]


def test_without_an_item_every_failed_one_is_meant() -> None:
    assert find_targets(REPORT, "update", None) == [ROWS[2], ROWS[3]]
    assert find_targets(REPORT, "verify", None) == [ROWS[5], ROWS[6]]
    assert find_targets(REPORT, "report", None) == [ROWS[7]]


@pytest.mark.parametrize(
    ("task", "item", "message", "hint"),
    [
        ("updat", None, "There is no task 'updat' in run r1", "Did you mean 'update'?"),
        ("zzz", None, "There is no task 'zzz'", "It has: discover, report, update, verify."),
        ("update", "claim", "There is no item 'claim' in task 'update'", "Did you mean 'claims'?"),
        ("report", "claims", "Task 'report' has no items", "--item"),
    ],
)
def test_what_is_unknown_is_answered_with_the_nearest_name(
    task: str, item: str | None, message: str, hint: str
) -> None:
    with pytest.raises(UsageError) as caught:
        find_targets(REPORT, task, item)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_a_mapped_task_without_a_failed_item_needs_the_item() -> None:
    report = Report("onboard", 1, "r1", "success", (row("update", "success", "pricing", 0),))
    with pytest.raises(UsageError, match=r"update \[pricing\]"):
        find_targets(report, "update", None)


def test_exactly_the_chosen_instances_are_sent_to_airflow(fake: FakeAirflow, airflow: Airflow) -> None:
    fake.dags["onboard"] = FakeDag(runs={"r1": FakeRun("failed", downstream=AFTER_CLAIMS)})
    cleared = retry(airflow, REPORT, [ROWS[2]], downstream=False)
    assert cleared == [("update", 1), ("verify", 1), ("report", -1)]
    looked, sent = fake.sent("POST", "/clearTaskInstances")
    assert looked == {
        "dag_run_id": "r1",
        "task_ids": [["update", 1]],
        "only_failed": False,
        "include_downstream": True,
        "dry_run": True,
    }
    assert sent == {
        "dag_run_id": "r1",
        "task_ids": [["update", 1], ["verify", 1], "report"],
        "only_failed": False,
        "dry_run": False,
        "prevent_running_task": True,
    }


def test_a_run_goes_on_by_the_newest_version_only_when_it_is_asked_to(
    fake: FakeAirflow, airflow: Airflow
) -> None:
    fake.dags["onboard"] = FakeDag(runs={"r1": FakeRun("failed", downstream=AFTER_CLAIMS)})
    retry(airflow, REPORT, [ROWS[2]], downstream=False)
    retry(airflow, REPORT, [ROWS[2]], downstream=False, latest=True)
    _, pinned, _, moved = fake.sent("POST", "/clearTaskInstances")
    assert moved == {**pinned, "run_on_latest_version": True}
    assert "run_on_latest_version" not in pinned


def test_a_task_that_runs_is_not_torn_down(fake: FakeAirflow, airflow: Airflow) -> None:
    fake.dags["onboard"] = FakeDag(runs={"r1": FakeRun("failed", downstream=AFTER_CLAIMS, running=True)})
    with pytest.raises(UsageError, match="is running now, so nothing was retried"):
        retry(airflow, REPORT, [ROWS[2]], downstream=False)


@pytest.mark.parametrize(("given", "there"), [("caf\u00e9", "cafe\u0301"), ("cafe\u0301", "caf\u00e9")])
def test_an_item_is_known_by_either_of_unicodes_forms(given: str, there: str) -> None:
    rows = tuple(Row("a", item, "A", "failed", (), 1, index) for index, item in enumerate((there, "cafe")))
    assert find_targets(Report("w", 1, "r", "failed", rows), "a", given) == [rows[0]]


def test_of_two_items_that_differ_in_form_alone_the_typed_one_is_meant() -> None:
    rows = tuple(
        Row("a", item, "A", "failed", (), 1, index) for index, item in enumerate(("cafe\u0301", "caf\u00e9"))
    )
    assert find_targets(Report("w", 1, "r", "failed", rows), "a", "caf\u00e9") == [rows[1]]
