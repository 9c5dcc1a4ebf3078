"""Kept results: found by who is told the same, and by nobody once the task was done anew. In a folder and on S3."""

from __future__ import annotations

from typing import Any

import pytest

from chassis.files import Files, open_files
from chassis.ledger.book import RunLedger
from chassis.ledger.identity import run_folder
from chassis.ledger.limits import RunLimits
from chassis.records.results import Results, newest_runs
from tests.integration.s3 import CONN_ID
from tests.unit.ledger.makers import opened

DAG, RUN = "onboard", "manual__2026-11-22T12:00:00+00:00"
ONE, OTHER = "1" * 64, "2" * 64


@pytest.fixture
def files(root: str) -> Files:
    return open_files(root, CONN_ID, what="record store")


@pytest.fixture
def results(files: Files) -> Results:
    return Results(files, DAG, RUN)


def a_result(task: str = "update", item: str | None = "claims", **fields: Any) -> dict[str, Any]:
    return {"task": task, "item": item, "summary": "Done.", "output": {"n": 1.5, "t": "ü\u2028"}, **fields}


def test_a_result_is_found_again_by_its_fingerprint(files: Files, results: Results) -> None:
    results.keep(ONE, a_result())
    assert Results(files, DAG, RUN).find(ONE, "update", "claims") == a_result()


@pytest.mark.parametrize(
    ("run", "fingerprint", "task", "item"),
    [
        (RUN, OTHER, "update", "claims"),
        (RUN, ONE, "updat", "claims"),
        (RUN, ONE, "update", "pricing"),
        (RUN, ONE, "update", None),
        ("another run", ONE, "update", "claims"),
    ],
)
def test_nobody_else_finds_it(
    files: Files, results: Results, run: str, fingerprint: str, task: str, item: str | None
) -> None:
    results.keep(ONE, a_result())
    assert Results(files, DAG, run).find(fingerprint, task, item) is None


def test_only_the_newest_result_of_a_task_counts(results: Results) -> None:
    results.keep(ONE, a_result())
    results.keep(OTHER, a_result(summary="Done anew."))
    assert results.find(ONE, "update", "claims") is None
    found = results.find(OTHER, "update", "claims")
    assert found is not None
    assert found["summary"] == "Done anew."


def test_a_forgotten_result_is_not_found_until_there_is_another(
    results: Results, caplog: pytest.LogCaptureFixture
) -> None:
    results.forget("update", "claims")
    results.keep(ONE, a_result())
    results.forget("update", "claims")
    assert results.find(ONE, "update", "claims") is None
    assert results.all() == []
    assert caplog.text == "", "nothing is wrong with it"
    results.keep(ONE, a_result())
    assert results.find(ONE, "update", "claims") == a_result()


@pytest.mark.parametrize("damage", [b"", b"{}", b"not JSON", "cut", "edited", "renamed"])
def test_a_damaged_result_counts_as_none_and_is_told(
    files: Files, results: Results, caplog: pytest.LogCaptureFixture, damage: bytes | str
) -> None:
    results.keep(ONE, a_result())
    (name,) = files.names(f"{run_folder(DAG, RUN)}/results/update")
    whole = files.read(name)
    harm = {
        "cut": whole[:-5],
        "edited": whole.replace(b"Done", b"Gone"),
        "renamed": whole.replace(b"1" * 64, b"2" * 64),
    }
    files.write(name, harm[damage] if isinstance(damage, str) else damage)
    assert results.find(ONE, "update", "claims") is None
    assert results.find(OTHER, "update", "claims") is None
    assert results.all() == []
    assert "is no kept result" in caplog.text


def test_all_results_of_a_run_are_listed_by_task_and_item(results: Results) -> None:
    kept = [a_result("b", None), a_result("a", "y"), a_result("a", "x"), a_result("a", None)]
    for number, result in enumerate(kept):
        results.keep(f"{number:064}", result)
    assert [(each["task"], each["item"]) for each in results.all()] == [
        ("a", None),
        ("a", "x"),
        ("a", "y"),
        ("b", None),
    ]
    assert results.all()[-1] == kept[0]


def test_the_newest_run_is_the_one_that_began_last_by_a_call_or_by_a_result(files: Files) -> None:
    assert newest_runs(files, DAG) == []
    for run_id, begun in (("z first", 100.0), ("third", 300.0)):
        assert RunLedger(files, DAG, run_id).reserve(opened("c", opened_at=begun), RunLimits())
    Results(files, DAG, "second", clock=lambda: 200.0).keep(ONE, a_result())
    Results(files, DAG, "z first", clock=lambda: 900.0).keep(ONE, a_result())
    Results(files, "another workflow", "fourth", clock=lambda: 400.0).keep(ONE, a_result())
    assert newest_runs(files, DAG) == ["third", "second", "z first"]


def test_a_run_whose_records_are_broken_is_left_out(files: Files) -> None:
    Results(files, DAG, "good", clock=lambda: 1.0).keep(ONE, a_result())
    Results(files, DAG, "bad", clock=lambda: 2.0).keep(ONE, a_result())
    files.write(f"{run_folder(DAG, 'bad')}/results.json", b"[]")
    assert newest_runs(files, DAG) == ["good"]
