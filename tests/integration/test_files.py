"""What every place for files must do alike: a folder, S3, and the stand-in that the tests of the ledger have."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pytest

from chassis.errors import NotStoredError, StoreError
from chassis.files import numbered, open_files
from tests.integration.s3 import CONN_ID
from tests.unit.ledger.makers import MemoryFiles

if TYPE_CHECKING:
    from pathlib import Path

    from chassis.files import Files

NESTED = "add_pet/manual__2026-11-22T12%3A00/ledger"


@pytest.fixture(params=["folder", "s3", "memory"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Files:
    if request.param == "memory":
        return MemoryFiles()
    root = str(tmp_path / "root") if request.param == "folder" else request.getfixturevalue("s3_root")
    return open_files(root, CONN_ID, what="record store")


def test_a_created_file_is_whole_and_is_created_once(files: Files) -> None:
    assert files.create(f"{NESTED}/000001.json", b"first")
    assert not files.create(f"{NESTED}/000001.json", b"second")
    assert files.read(f"{NESTED}/000001.json") == b"first"


def test_what_was_claimed_can_not_be_created_nor_the_other_way_round(files: Files) -> None:
    assert files.claim("a/claimed")
    assert not files.create("a/claimed", b"content")
    assert files.create("a/created", b"")
    assert not files.claim("a/created")


def test_a_nested_folder_lists_its_own_files_only(files: Files) -> None:
    for name in (f"{NESTED}/000001.json", f"{NESTED}/deeper/file", f"{NESTED}2/file", "add_pet/file"):
        files.create(name, b"")
    assert files.names(NESTED) == [f"{NESTED}/000001.json"]
    assert files.names("add_pet/no_such_run/ledger") == []


def test_more_files_than_s3_names_at_a_time_are_all_listed(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "50")
    names = [f"{NESTED}/{number:06d}.json" for number in range(1, 121)]
    for name in names:
        files.write(name, b"{}")
    assert sorted(files.names(NESTED)) == names
    assert len(files.read_all(names)) == len(names)


def test_folders_are_told_apart_from_files(files: Files) -> None:
    for name in ("add_pet/b/ledger/1", "add_pet/a/x", "add_pet/a/y", "add_pet/file", "add_pet2/c/x"):
        files.create(name, b"")
    assert files.folders("add_pet") == ["a", "b"]
    assert files.folders("") == ["add_pet", "add_pet2"]
    assert files.folders("no_such_dag") == []


def test_files_below_wanted_folders_are_found_at_one_depth(files: Files) -> None:
    for name in ("wanted/a", "wanted/deep/b", ".claims/c", "top", "other/d"):
        files.create(name, b"")
    assert files.names_below("wanted".__eq__) == ["wanted/a"]


def test_many_files_are_read_at_once_and_absent_ones_left_out(files: Files) -> None:
    contents = {f"a/{number}": b"%d" % number for number in range(20)}
    for name, content in contents.items():
        files.create(name, content)
    assert files.read_all([*contents, "a/absent", "absent/too"]) == contents
    assert files.read_all([]) == {}
    with pytest.raises(NotStoredError, match=re.escape("a/absent in the record store")):
        files.read("a/absent")


@pytest.fixture(params=["folder", "s3", "memory"])
def numbered_files(request: pytest.FixtureRequest, tmp_path: Path) -> Files | MemoryFiles:
    """A folder and S3; and the stand-in for both in the tests of the ledger."""
    if request.param == "memory":
        return MemoryFiles()
    root = str(tmp_path) if request.param == "folder" else str(request.getfixturevalue("s3_root"))
    return open_files(root, CONN_ID, what="record store")


def test_numbered_files_are_read_from_a_number_on(numbered_files: Files | MemoryFiles) -> None:
    files = numbered_files
    contents = {number: b"%d" % number for number in range(1, 13)}
    for number, content in contents.items():
        assert files.create(numbered(NESTED, number), content)
    for other in ("000013.json.tmp", "notes.txt", "deeper/000013.json"):
        files.create(f"{NESTED}/{other}", b"")
    assert files.numbered_after(NESTED, 0, 100) == contents
    assert files.numbered_after(NESTED, 10, 100) == {11: b"11", 12: b"12"}
    assert files.numbered_after(NESTED, 12, 100) == {}
    assert list(files.numbered_after(NESTED, 3, 2) or ())[:2] == [4, 5]
    assert files.numbered_after(NESTED, 13, 100) is None, "not even the one that was read last is there"
    assert files.numbered_after("add_pet/no_such_run/ledger", 0, 100) == {}
    assert files.numbered_after("add_pet/no_such_run/ledger", 1, 100) is None


@pytest.mark.parametrize("gap", [1, 2, 7])
def test_a_gap_in_numbered_files_is_seen(numbered_files: Files | MemoryFiles, gap: int) -> None:
    for number in (1, 2, *range(3 + gap, 5 + gap)):
        numbered_files.create(numbered(NESTED, number), b"")
    found = numbered_files.numbered_after(NESTED, 1, 100)
    assert found is not None
    assert max(found) > 3, "one that is beyond the gap"
    assert 3 not in found


def test_numbered_files_of_many_pages_are_read_whole(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "7")
    for number in range(1, 31):
        files.write(numbered(NESTED, number), b"")
    assert sorted(files.numbered_after(NESTED, 4, 1000) or ()) == list(range(5, 31))


def test_a_bucket_that_is_not_there_is_an_error_and_not_empty(s3_root: str) -> None:
    files = open_files("s3://no-such-bucket/records", CONN_ID, what="record store")
    for attempt in (
        lambda: files.names("a"),
        lambda: files.folders("a"),
        lambda: files.folders(""),
        lambda: files.names_below(bool),
        lambda: files.read("a/b"),
        lambda: files.numbered_after("a", 0, 10),
        lambda: files.read_all(["a/b"]),
        lambda: files.create("a/b", b""),
        lambda: files.older("a", 0),
        lambda: files.delete(["a/b"]),
    ):
        with pytest.raises(StoreError, match=r"record store can't .* s3://no-such-bucket/records"):
            attempt()


def test_files_are_told_by_their_age_at_any_depth(files: Files) -> None:
    names = [f"{NESTED}/000001.json", "add_pet/manual/transcripts/t/_/0001-001.json", "add_pet/manual/file"]
    for name in names:
        files.create(name, b"")
    later = time.time() + 60
    assert files.older("add_pet", later) == sorted(names)
    assert files.older("add_pet/manual/transcripts", later) == [names[1]]
    assert files.older("add_pet", later - 3_600) == []
    assert files.older("add_pet/manual/transcript", later) == [], "no folder, and the start of another's name"


def test_what_is_deleted_is_gone_and_nothing_else_is(files: Files) -> None:
    names = [f"a/b/{number:04d}" for number in range(1_003)]
    for name in names[:3]:
        files.create(name, b"")
    files.create("a/kept", b"")
    files.delete(names)
    assert files.names("a/b") == []
    assert files.folders("a") == []
    assert files.names("a") == ["a/kept"]
    files.delete([])
    assert files.create(names[0], b"again")
