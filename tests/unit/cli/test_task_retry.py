from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chassis.cli.task_retry import find_targets, retry
from chassis.errors.client import UsageError
from tests.unit.cli.made_up_views import report, row
from tests.unit.fake_airflow import FakeAirflow, FakeDag, FakeRun, instance

if TYPE_CHECKING:
    from chassis.airflow_client import Airflow


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
REPORT = report(*ROWS, state="failed")
AFTER_CLAIMS = [
    instance("update", "failed", 1),
    instance("verify", "upstream_failed", 1),
    instance("report", "upstream_failed"),
]


def targets(task_id: str, item: str | None = None) -> list[tuple[str, int]]:
    return [each.instance for each in find_targets(REPORT, task_id, item)]


def test_an_item_is_found_by_its_name() -> None:
    assert targets("update", "claims") == [("update", 1)]


def test_without_an_item_every_failed_one_is_meant() -> None:
    assert targets("update") == [("update", 1), ("update", 2)]
    assert targets("verify") == [("verify", 1), ("verify", 2)]
    assert targets("report") == [("report", -1)]


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
    found = report(row("update", "success", "pricing", 0))
    with pytest.raises(UsageError, match=r"update \[pricing\]"):
        find_targets(found, "update", None)


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
    rows = [row("a", "failed", item, index) for index, item in enumerate((there, "cafe"))]
    (found,) = find_targets(report(*rows), "a", given)
    assert found.at == rows[0].at


def test_of_two_items_that_differ_in_form_alone_the_typed_one_is_meant() -> None:
    rows = [row("a", "failed", item, index) for index, item in enumerate(("cafe\u0301", "caf\u00e9"))]
    (found,) = find_targets(report(*rows), "a", "caf\u00e9")
    assert found.at == rows[1].at
