"""The records of a run, opened in one way, and the runs that have any: in a folder and on S3."""

from __future__ import annotations

import pytest

from chassis.contract.record_paths import RunPaths
from chassis.contract.spending import RunLimits
from chassis.errors import RecordBrokenError
from chassis.files import Files, open_files
from chassis.ledger.call_identity import CallIdentity
from chassis.ledger.journal import RunLedger
from chassis.records.results import Results
from chassis.records.run_records import RunRecords, recorded_dags, recorded_runs
from chassis.settings import Settings
from tests.integration.s3 import CONN_ID
from tests.unit.ledger.makers import opened

DAG = "add_pet"
RESULT = {"task": "update", "item": None}


@pytest.fixture
def files(root: str) -> Files:
    """The record store, in a folder and on S3."""
    return open_files(root, CONN_ID, what="record store")


def call(files: Files, dag_id: str, run_id: str, at: float = 1.0) -> None:
    assert RunLedger(files, dag_id, run_id).reserve(opened("c", opened_at=at), RunLimits())


def keep_result(files: Files, run_id: str, at: float) -> None:
    Results(files, DAG, run_id, clock=lambda: at).keep("0" * 64, RESULT)


def run_ids(files: Files, dag_id: str = DAG) -> list[str]:
    return [run.run_id for run in recorded_runs(files, dag_id)]


def test_what_one_opens_by_the_settings_another_finds(root: str) -> None:
    settings = Settings(records_root=root, storage_conn_id=CONN_ID)
    mine, theirs = (RunRecords.open(settings, DAG, "r") for _ in range(2))
    assert mine.ledger.reserve(opened("a"), RunLimits())
    mine.results.keep("0" * 64, RESULT)
    identity = CallIdentity(dag_id=DAG, run_id="r", clear_number=0, task_id="update")
    mine.kept_answers(identity).keep("d", {"text": "yes"})
    assert theirs.ledger.totals().open_calls == 1
    assert theirs.results.all() == [RESULT]
    assert theirs.kept_answers(identity).recall("d") == {"text": "yes"}
    assert theirs.amendments.all() == []
    assert theirs.decisions.all() == {}
    assert theirs.transcripts.tries("update") == []


def test_all_records_of_a_run_stand_in_its_folder(files: Files) -> None:
    """So a run is forgotten by deleting one folder."""
    records = RunRecords(files, DAG, "a/../b")
    records.ledger.reserve(opened("a"), RunLimits())
    records.results.keep("0" * 64, RESULT)
    assert files.folders("") == [DAG]
    assert [f"{DAG}/{name}" for name in files.folders(DAG)] == [records.paths.folder]


def test_the_runs_of_each_dag_are_told_by_their_own_ids(files: Files) -> None:
    ids = ["manual__2026-11-22T12:00:00+00:00", "..", "a/b", "x" * 300, "größe"]
    for run_id in ids:
        call(files, DAG, run_id)
    call(files, "other_dag", "theirs")
    assert run_ids(files) == sorted(ids)
    assert run_ids(files, "never_run") == []
    assert recorded_dags(files) == {dag: recorded_runs(files, dag) for dag in (DAG, "other_dag")}


def test_the_newest_run_is_the_one_that_began_last_by_a_call_or_by_a_result(files: Files) -> None:
    for run_id, at in (("z first", 100.0), ("third", 300.0)):
        call(files, DAG, run_id, at)
    keep_result(files, "second", 200.0)
    keep_result(files, "z first", 900.0)
    assert run_ids(files) == ["third", "second", "z first"]
    assert [run.called for run in recorded_runs(files, DAG)] == [True, False, True]


def test_results_of_nobody_knows_which_run_are_left_out(files: Files) -> None:
    keep_result(files, "good", 1.0)
    files.write(RunPaths(DAG, "bad").results_since, b"[]")
    assert run_ids(files) == ["good"]


def test_a_broken_file_of_ids_is_an_error_that_names_it_or_is_skipped(files: Files) -> None:
    call(files, DAG, "good")
    name = RunPaths(DAG, "bad").ids
    files.write(name, b"[]")
    with pytest.raises(RecordBrokenError) as caught:
        recorded_runs(files, DAG)
    assert files.locate(name) in caught.value.message
    assert [run.run_id for run in recorded_runs(files, DAG, skip_broken=True)] == ["good"]


def test_a_run_whose_first_entry_is_broken_is_still_listed(files: Files) -> None:
    call(files, DAG, "broken")
    files.write(f"{RunPaths(DAG, 'broken').ledger}/000001.json", b"{}")
    assert [(run.run_id, run.began_at) for run in recorded_runs(files, DAG)] == [("broken", None)]
