"""What people changed for a task of a run: recorded, applied field by field, taken back when nothing came of it."""

from __future__ import annotations

from typing import Any

import pytest

from chassis.errors import RecordBrokenError
from chassis.files import Files, open_files
from chassis.records.amendments import Amended, Amendments, Change
from tests.integration.s3 import CONN_ID

DAG, RUN = "onboard", "manual__2026-11-22T12:00:00+00:00"


@pytest.fixture
def files(root: str) -> Files:
    return open_files(root, CONN_ID, what="record store")


@pytest.fixture
def amendments(files: Files) -> Amendments:
    return Amendments(files, DAG, RUN)


def a_change(**fields: Any) -> Change:
    who = {"reason": "wrong name", "by": "Ada", "by_id": "7", "at": "2026-11-22T12:00:00+00:00"}
    return Change(**{"task_id": "update", "items": ("claims",), **who, **fields})


def test_without_amendments_a_task_goes_by_its_plan(amendments: Amendments) -> None:
    assert amendments.of("update", "claims") == Amended()
    assert amendments.all() == []


def test_a_later_amendment_wins_field_by_field(files: Files, amendments: Amendments) -> None:
    amendments.add(a_change(instruction="first", inputs={"product": "cat", "count": 1}))
    amendments.add(a_change(inputs={"product": "dog"}))
    amendments.add(a_change(instruction="third", inputs={"list": ["a", "b"]}))
    assert Amendments(files, DAG, RUN).of("update", "claims") == Amended(
        instruction="third", inputs={"product": "dog", "count": 1, "list": ["a", "b"]}, numbers=(1, 2, 3)
    )


def test_an_amendment_is_for_one_item_of_one_task_of_one_run(files: Files, amendments: Amendments) -> None:
    amendments.add(a_change(instruction="new"))
    for task_id, item in (("update", None), ("update", "pricing"), ("verify", "claims")):
        assert amendments.of(task_id, item) == Amended()
    assert Amendments(files, DAG, "another").of("update", "claims") == Amended()
    amendments.add(a_change(items=(), task_id="report", instruction="of the report"))
    assert amendments.of("report").numbers == (2,)


def test_an_amendment_of_several_items_is_one_entry_and_holds_for_each(
    files: Files, amendments: Amendments
) -> None:
    number = amendments.add(a_change(items=("claims", "pricing"), instruction="of both"))
    amendments.add(a_change(items=("pricing",), inputs={"product": "cat"}))
    assert amendments.of("update", "claims") == Amended(instruction="of both", numbers=(1,))
    assert amendments.of("update", "pricing") == Amended(
        instruction="of both", inputs={"product": "cat"}, numbers=(1, 2)
    )
    assert amendments.of("update", "availability") == Amended()
    assert amendments.of("update") == Amended()
    amendments.withdraw(number)
    assert amendments.of("update", "claims") == Amended()
    assert amendments.of("update", "pricing").numbers == (2,)


def test_a_withdrawn_amendment_counts_no_more_and_is_told(amendments: Amendments) -> None:
    amendments.add(a_change(instruction="first"))
    second = amendments.add(a_change(instruction="second"))
    amendments.withdraw(second)
    assert amendments.of("update", "claims") == Amended(instruction="first", numbers=(1,))
    assert [(each.number, each.withdrawn) for each in amendments.all()] == [(1, False), (2, True)]
    assert amendments.add(a_change(instruction="third")) == 4
    assert amendments.of("update", "claims").instruction == "third"


def test_a_saved_amendment_names_its_revision(amendments: Amendments) -> None:
    number = amendments.add(a_change(instruction="new"))
    amendments.saved(number, 7)
    assert [each.saved_revision for each in amendments.all()] == [7]
    assert amendments.of("update", "claims").numbers == (number,)


def test_an_entry_of_a_later_chassis_that_says_more_is_applied(files: Files, amendments: Amendments) -> None:
    entry = a_change(instruction="new").model_dump_json()[:-1] + ', "approved_by": "Eve"}'
    files.create("onboard/manual__2026-11-22T12%3A00%3A00%2B00%3A00/amendments/000001.json", entry.encode())
    assert amendments.of("update", "claims").instruction == "new"


@pytest.mark.parametrize(
    "entry", [b"{}", b'{"kind": "unknown", "number": 1}', b'{"task_id": "update"}', b"["]
)
def test_a_task_never_runs_by_half_an_amendment(files: Files, amendments: Amendments, entry: bytes) -> None:
    amendments.add(a_change(instruction="new"))
    files.create("onboard/manual__2026-11-22T12%3A00%3A00%2B00%3A00/amendments/000002.json", entry)
    with pytest.raises(RecordBrokenError, match="amendments"):
        amendments.of("update", "claims")
