"""Checkpoints save reading and are never relied on: with or without them, a ledger adds up to the same."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chassis.contract.record_paths import RunPaths
from chassis.errors import RecordBrokenError, StoreError
from chassis.files import numbered
from chassis.ledger.checkpoints import EVERY
from chassis.ledger.entries import entry_text
from chassis.ledger.journal import RunLedger
from tests.unit.ledger.makers import DAG, NOON, RUN, MemoryFiles, answered, opened, run_limits

PATHS = RunPaths(DAG, RUN)
FREE = run_limits()


def ledger(files: MemoryFiles) -> RunLedger:
    """The ledger as another process would open it."""
    return RunLedger(files, DAG, RUN, clock=lambda: NOON)


def checkpoints(files: MemoryFiles) -> list[str]:
    return sorted(files.names(PATHS.checkpoints))


def write_calls(files: MemoryFiles, first: int, last: int) -> None:
    """Entries as an earlier version wrote them: without checkpoints."""
    for number in range(first, last + 1):
        call = str((number + 1) // 2)
        entry = opened(call, f"task_{number % 8 // 2}") if number % 2 else answered(call, 0.01)
        files.content[numbered(PATHS.ledger, number)] = entry_text(entry)


def make_calls(files: MemoryFiles, calls: int) -> None:
    mine = ledger(files)
    for number in range(calls):
        assert mine.reserve(opened(f"new {number}", f"task_{number % 4}"), FREE)
        mine.close(answered(f"new {number}", 0.01))


def without_checkpoints(files: MemoryFiles) -> MemoryFiles:
    bare = MemoryFiles()
    bare.content = {name: content for name, content in files.content.items() if "/checkpoints/" not in name}
    return bare


@pytest.fixture
def files() -> MemoryFiles:
    """A ledger of two checkpoints, and of 20 entries after them."""
    files = MemoryFiles()
    make_calls(files, EVERY + 10)
    return files


def test_whoever_appends_the_entry_that_is_due_writes_a_checkpoint(files: MemoryFiles) -> None:
    assert checkpoints(files) == [numbered(PATHS.checkpoints, number) for number in (EVERY, 2 * EVERY)]


def test_a_reader_reads_the_newest_checkpoint_and_the_entries_after_it(files: MemoryFiles) -> None:
    files.reads.clear()
    files.listings = 0
    assert ledger(files).totals() == ledger(without_checkpoints(files)).totals()
    ends = [numbered(PATHS.checkpoints, 2 * EVERY), numbered(PATHS.ledger, 2 * EVERY)]
    after = [numbered(PATHS.ledger, 2 * EVERY + number) for number in range(1, 21)]
    assert (files.reads, files.listings) == (ends + after, 2)


def test_every_writer_writes_the_same_checkpoint() -> None:
    one, many = MemoryFiles(), MemoryFiles()
    write_calls(one, 1, EVERY - 1)
    write_calls(many, 1, EVERY // 2)
    first = ledger(many)
    first.totals()
    write_calls(many, EVERY // 2 + 1, EVERY - 1)
    for process in (ledger(one), first):
        process.close(answered(str(EVERY // 2), 0.01))
    assert one.content == many.content
    assert len(checkpoints(one)) == 1


def test_a_ledger_of_an_earlier_version_gets_checkpoints_when_it_grows() -> None:
    files = MemoryFiles()
    write_calls(files, 1, 3 * EVERY - 2)
    before = ledger(files).totals()
    assert checkpoints(files) == []
    make_calls(files, 5)
    assert checkpoints(files) == [numbered(PATHS.checkpoints, 3 * EVERY)]
    assert ledger(files).totals().calls == before.calls + 5
    assert ledger(files).totals() == ledger(without_checkpoints(files)).totals()


@pytest.mark.parametrize(
    "harm",
    [
        lambda content: b"",
        lambda content: content[:-9],
        lambda content: content.replace(b'"cost_nanos":', b'"cost_nanos":1'),
        lambda content: b'{"checkpoint": {}, "sha256": "' + b"0" * 64 + b'"}\n',
    ],
)
def test_a_broken_checkpoint_is_told_and_the_one_before_it_is_used(
    files: MemoryFiles, harm: Callable[[bytes], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    name = checkpoints(files)[-1]
    files.content[name] = harm(files.content[name])
    files.reads.clear()
    assert ledger(files).totals() == ledger(without_checkpoints(files)).totals()
    assert numbered(PATHS.ledger, EVERY + 1) in files.reads
    assert numbered(PATHS.ledger, EVERY - 1) not in files.reads
    assert f"{name} is no checkpoint" in caplog.text


def test_a_missing_entry_after_the_checkpoint_is_an_error_and_one_before_it_is_not_looked_for(
    files: MemoryFiles,
) -> None:
    expected = ledger(files).totals()
    del files.content[numbered(PATHS.ledger, 7)]
    assert ledger(files).totals() == expected
    del files.content[numbered(PATHS.ledger, 2 * EVERY + 7)]
    with pytest.raises(RecordBrokenError, match=rf"has no memory:.*/{2 * EVERY + 7:06}\.json"):
        ledger(files).totals()


def test_who_needs_the_entries_before_a_checkpoint_that_is_gone_tells_that_one_is_missing(
    files: MemoryFiles,
) -> None:
    del files.content[numbered(PATHS.ledger, 7)]
    for name in checkpoints(files):
        del files.content[name]
    with pytest.raises(RecordBrokenError, match=r"/000007\.json"):
        ledger(files).totals()


def test_the_checkpoint_of_a_ledger_that_was_deleted_is_not_taken_for_that_of_the_next_one(
    files: MemoryFiles, caplog: pytest.LogCaptureFixture
) -> None:
    """Deleted were its entries only; the new ledger has reached the number of the old checkpoint."""
    old = dict(files.content)
    files.content = {name: content for name, content in old.items() if "/checkpoints/" in name}
    mine = ledger(files)
    assert mine.totals().calls == 0
    for number in range(EVERY // 2):
        assert mine.reserve(opened(f"other {number}"), FREE)
        mine.close(answered(f"other {number}"))
    assert ledger(files).totals() == ledger(without_checkpoints(files)).totals()
    assert "replaced" in caplog.text
    files.reads.clear()
    ledger(files).totals()
    assert len(files.reads) == 4, (
        "the old one at 500, with its entry, and the one that was replaced, with its"
    )


def test_no_checkpoint_is_written_for_records_that_were_deleted_under_way() -> None:
    files = MemoryFiles()
    write_calls(files, 1, EVERY - 1)
    mine = ledger(files)
    mine.totals()
    files.content.clear()
    mine.close(answered(str(EVERY // 2), 0.01))
    assert checkpoints(files) == []


def test_a_store_that_takes_no_checkpoint_costs_no_call(caplog: pytest.LogCaptureFixture) -> None:
    class NoCheckpoints(MemoryFiles):
        def create(self, name: str, content: bytes) -> bool:
            if "/checkpoints/" in name:
                raise StoreError("The disk is full.")
            return super().create(name, content)

    files = NoCheckpoints()
    make_calls(files, EVERY)
    assert ledger(files).totals().calls == EVERY
    assert "No checkpoint is written: The disk is full." in caplog.text
