"""The ledger and the kept answers, in a folder and on S3: what one process writes, another reads."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

import pytest

from chassis.contract.record_paths import RunPaths
from chassis.contract.spending import RunLimits, Totals
from chassis.errors import LimitSpentError, RecordBrokenError, StoreError
from chassis.files import open_files
from chassis.ledger import journal
from chassis.ledger.call_identity import CallIdentity
from chassis.ledger.entries import entry_text
from chassis.ledger.journal import RunLedger
from chassis.ledger.kept_answers import KeptAnswers, payload_digest
from tests.integration.s3 import CONN_ID, connection_to
from tests.unit.ledger.makers import DAG, RUN, answered, opened, run_limits

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from chassis.files import Files

LEDGER = RunPaths(DAG, RUN).ledger
FREE = RunLimits(max_parallel=1000)


@pytest.fixture
def files(root: str) -> Files:
    """The record store, in a folder and on S3."""
    return open_files(root, CONN_ID, what="record store")


def ledger(files: Files) -> RunLedger:
    return RunLedger(files, DAG, RUN, clock=lambda: 0.0)


def test_what_one_process_notes_another_finds(files: Files) -> None:
    mine, other = ledger(files), ledger(files)
    assert other.totals() == Totals()
    assert mine.reserve(opened("a"), FREE)
    assert other.totals().open_calls == 1
    mine.close(answered("a", 0.25))
    assert other.totals() == mine.totals() == ledger(files).totals()
    assert other.totals(("deploy", None)).cost_usd == 0.25


def test_a_limit_holds_for_whoever_comes_next(files: Files) -> None:
    limits = run_limits(budget_usd=0.5)
    ledger(files).reserve(opened("a"), limits)
    ledger(files).close(answered("a", 0.5))
    with pytest.raises(LimitSpentError, match=r"\$0\.50"):
        ledger(files).reserve(opened("b"), limits)


def test_one_ledger_goes_on_from_anothers_entries(files: Files) -> None:
    turns = [ledger(files) for _ in range(4)]
    for number in range(12):
        assert turns[number % 4].reserve(opened(str(number), f"task_{number}"), FREE)
    assert len(files.names(LEDGER)) == 12
    assert all(turn.totals().open_calls == 12 for turn in turns)


def test_an_entry_edited_by_hand_is_an_error_that_names_its_place(files: Files, root: str) -> None:
    ledger(files).reserve(opened("a"), FREE)
    files.write(f"{LEDGER}/000001.json", b'{"kind": "opened"}')
    with pytest.raises(RecordBrokenError) as caught:
        ledger(files).reserve(opened("b"), FREE)
    assert f"{root}/{LEDGER}/000001.json" in caught.value.message


def test_an_answer_is_recalled_by_the_next_try(files: Files) -> None:
    identity = CallIdentity(dag_id=DAG, run_id=RUN, clear_number=1, task_id="update", item="größe/1")
    digest = payload_digest({"messages": ["What?"]})
    assert KeptAnswers(files, identity).recall(digest) is None
    KeptAnswers(files, identity).keep(digest, {"text": "ä" * 100_000})
    KeptAnswers(files, identity).keep(digest, {"text": "another"})
    retry = KeptAnswers(files, identity.model_copy(update={"try_number": 2}))
    assert retry.recall(digest) == {"text": "ä" * 100_000}
    cleared = KeptAnswers(files, identity.model_copy(update={"clear_number": 2}))
    assert cleared.recall(digest) is None


def test_answers_and_entries_of_a_run_stand_in_one_folder(files: Files) -> None:
    """So a run is forgotten by deleting one folder."""
    ledger(files).reserve(opened("a"), FREE)
    identity = CallIdentity(dag_id=DAG, run_id=RUN, clear_number=0, task_id="update")
    KeptAnswers(files, identity).keep("d", {})
    assert files.folders(DAG) == [RunPaths(DAG, RUN).folder.partition("/")[2]]
    assert files.folders(RunPaths(DAG, RUN).folder) == ["answers", "ledger"]


def test_a_forked_process_goes_on_with_the_ledger_of_its_parent(files: Files) -> None:
    mine = ledger(files)
    mine.reserve(opened("a"), FREE)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            mine.close(answered("a"))
            code = 0 if mine.reserve(opened("b"), FREE) else 2
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert (mine.totals().calls, mine.totals().open_calls) == (1, 1)


@pytest.fixture
def out_of_reach(monkeypatch: pytest.MonkeyPatch, s3_root: str) -> Files:
    nowhere = connection_to("http://127.0.0.1:9", config_kwargs={"retries": {"max_attempts": 0}})
    for name, value in nowhere.items():
        monkeypatch.setenv(name, value)
    return open_files(s3_root, CONN_ID, what="record store")


@pytest.mark.parametrize(
    "use",
    [
        lambda mine: mine.totals(),
        lambda mine: mine.reserve(opened("a"), FREE),
        lambda mine: mine.close(answered("a")),
    ],
)
def test_a_store_out_of_reach_is_no_empty_ledger(
    out_of_reach: Files, use: Callable[[RunLedger], object]
) -> None:
    with pytest.raises(StoreError, match="The record store can't") as caught:
        use(ledger(out_of_reach))
    assert caught.value.retryable
    assert "records_root" in caught.value.hint


def test_a_run_of_two_thousand_entries_is_read_at_once_and_then_cheap(
    tmp_path: Path, figure: Callable[[str], None]
) -> None:
    files = open_files(str(tmp_path), what="record store")
    (tmp_path / LEDGER).mkdir(parents=True)
    calls = [str(number) for number in range(1_000)]
    entries = [entry for call in calls for entry in (opened(call), answered(call, 0.001))]
    for number, entry in enumerate(entries, start=1):
        (tmp_path / LEDGER / f"{number:06d}.json").write_bytes(entry_text(entry))
    reader = ledger(files)
    took = {"the first time": timed(reader.totals), "again": timed(reader.totals)}
    assert reader.totals().calls == 1_000
    assert reader.totals().cost_usd == 1.0
    took["to open a call"] = timed(lambda: reader.reserve(opened("new"), FREE))
    took["to close it"] = timed(lambda: reader.close(answered("new")))
    told = ", ".join(f"{what} {seconds * 1000:.1f} ms" for what, seconds in took.items())
    figure(f"a ledger of 2,000 entries in a folder: {told}")
    assert took["again"] < took["the first time"] / 3


def test_a_long_ledger_is_read_on_s3_by_as_many_requests_as_there_is_new(
    s3_root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `benchmarks/ledger_reading.py` measures, with a checkpoint at every tenth entry."""
    from s3fs import S3FileSystem

    monkeypatch.setattr(journal, "EVERY", 10)
    files = open_files(s3_root, CONN_ID, what="record store")
    writer = ledger(files)
    for number in range(12):
        assert writer.reserve(opened(str(number)), FREE)
        writer.close(answered(str(number), 0.01))
    requests: list[str] = []
    real = S3FileSystem._call_s3

    async def counted(self: S3FileSystem, method: str, *args: object, **options: object) -> object:
        requests.append(method)
        return await real(self, method, *args, **options)

    monkeypatch.setattr(S3FileSystem, "_call_s3", counted)
    reader = ledger(files)
    assert reader.totals().calls == 12
    assert requests.count("get_object") == 2 + 4, (
        "the checkpoint with its last entry, and the entries after it"
    )
    assert set(requests) <= {"get_object", "list_objects_v2"}, "no size is asked for before a file is read"
    requests.clear()
    reader.totals()
    assert requests == [], "nothing is read again"


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def test_entries_are_json_that_a_person_can_read(files: Files) -> None:
    ledger(files).reserve(opened("a", item="billing"), FREE)
    entry = json.loads(files.read(f"{LEDGER}/000001.json"))
    assert list(entry) == sorted(entry)
    assert (entry["kind"], entry["task_id"], entry["item"]) == ("opened", "deploy", "billing")
