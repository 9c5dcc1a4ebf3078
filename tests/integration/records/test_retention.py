"""Old transcripts are deleted, and nothing else is, on both kinds of store."""

from __future__ import annotations

import time
from collections.abc import Iterable

import pytest

from chassis.contract.record_paths import RunPaths
from chassis.errors import StoreError
from chassis.files import Files, open_files
from chassis.records.amendments import Amendments, Change
from chassis.records.retention import Swept, delete_transcripts
from chassis.records.transcripts import Transcripts, Turn
from tests.integration.s3 import CONN_ID

RUNS = [("onboard", "manual__2026-11-22T12:00:00+00:00"), ("onboard", "r2"), ("plan_workflow", "r1")]


@pytest.fixture
def files(root: str) -> Files:
    """Records of three runs: transcripts, and what is to stay."""
    files = open_files(root, CONN_ID, what="record store")
    for dag, run in RUNS:
        for number in (1, 2):
            turn = Turn(
                call=f"c{number}",
                task_id="update",
                item="claims",
                try_number=number,
                model="m",
                at="2026-11-22T12:00:00+00:00",
                outcome="answered",
            )
            Transcripts(files, dag, run).write(turn, 1)
        change = Change(task_id="update", reason="r", by="Ada", by_id="7", at="2026-11-22T12:00:00+00:00")
        Amendments(files, dag, run).add(change)
        files.create(f"{RunPaths(dag, run).folder}/ledger/000001.json", b"{}")
        files.create(f"{RunPaths(dag, run).folder}/run.json", b"{}")
    return files


def left(files: Files) -> list[str]:
    return files.older("onboard", time.time() + 60) + files.older("plan_workflow", time.time() + 60)


def test_what_is_too_old_goes_in_every_run_and_the_rest_of_the_records_stays(files: Files) -> None:
    before = left(files)
    assert delete_transcripts(files, before=time.time() + 60, seconds=60) == Swept(6, 3, complete=True)
    assert left(files) == [name for name in before if "/transcripts/" not in name]
    assert Transcripts(files, *RUNS[0]).tries("update", "claims") == []
    assert delete_transcripts(files, before=time.time() + 60, seconds=60) == Swept(0, 0, complete=True)


def test_what_is_young_enough_stays(files: Files) -> None:
    before = left(files)
    assert delete_transcripts(files, before=time.time() - 3_600, seconds=60) == Swept(0, 0, complete=True)
    assert left(files) == before


def test_when_time_is_up_the_rest_is_left_for_the_next_time(files: Files) -> None:
    ticks = iter([0.0, 1.0, 11.0])
    swept = delete_transcripts(files, before=time.time() + 60, seconds=10, clock=lambda: next(ticks))
    assert swept == Swept(2, 1, complete=False)
    assert delete_transcripts(files, before=time.time() + 60, seconds=60) == Swept(4, 2, complete=True)


def test_a_store_that_keeps_what_is_deleted_is_told_and_not_believed(files: Files) -> None:
    """As S3 does where deleting is forbidden."""

    def keeping(names: Iterable[str]) -> None:
        """Nothing is said, and nothing is done."""

    files.delete = keeping  # type: ignore[method-assign]
    with pytest.raises(StoreError, match=r"keeps 2 of 2 transcripts in .*onboard.*0 others are deleted"):
        delete_transcripts(files, before=time.time() + 60, seconds=60)


def test_an_empty_store_needs_nothing(root: str) -> None:
    files = open_files(root, CONN_ID, what="record store")
    assert delete_transcripts(files, before=time.time(), seconds=60) == Swept(0, 0, complete=True)
