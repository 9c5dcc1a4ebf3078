"""What the files of a store say when something is wrong: never "nothing there" for what can't be read."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import pytest

from chassis.errors import NotStoredError, SettingsError, StoreError
from chassis.files import Files, Place, open_files, write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize(
    "root", ["plans", "./plans", "gs://bucket/plans", "s3://", "s3:///plans", "http://host/x", ""]
)
def test_a_root_that_is_neither_an_absolute_folder_nor_on_s3_is_refused(root: str) -> None:
    with pytest.raises(SettingsError, match="plans_root"):
        open_files(root)


def test_a_folder_may_be_given_as_an_address(tmp_path: Path) -> None:
    assert open_files(f"file://{tmp_path}").locate("a/b") == f"{tmp_path}/a/b"


def test_a_folder_that_is_not_there_yet_is_empty(tmp_path: Path) -> None:
    files = open_files(str(tmp_path / "later"))
    assert files.names_below(lambda _: True) == []
    assert files.folders("") == []
    assert files.names("add_pet") == []


def a_file(path: Path) -> None:
    path.write_text("not a folder")


def a_link_to_itself(path: Path) -> None:
    path.symlink_to(path)


@pytest.mark.parametrize("spoil", [a_file, a_link_to_itself])
def test_an_unreadable_root_is_an_error_that_names_it(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    spoil(tmp_path / "plans")
    files = open_files(str(tmp_path / "plans"))
    with pytest.raises(StoreError, match=str(tmp_path / "plans")) as caught:
        files.names_below(lambda _: True)
    assert caught.value.retryable
    assert caught.value.hint


def test_an_unreadable_workflow_is_an_error_that_names_it(tmp_path: Path) -> None:
    a_file(tmp_path / "add_pet")
    with pytest.raises(StoreError, match="add_pet"):
        open_files(str(tmp_path)).names("add_pet")


def test_what_is_no_workflows_folder_is_not_looked_into(tmp_path: Path) -> None:
    a_link_to_itself(tmp_path / "lost+found")
    (tmp_path / ".versions").mkdir()
    (tmp_path / ".versions/x.json").touch()
    (tmp_path / "README").touch()
    (tmp_path / "add_pet").mkdir()
    (tmp_path / "add_pet/file").touch()
    assert open_files(str(tmp_path)).names_below(str.isidentifier) == ["add_pet/file"]


def test_an_unreadable_file_is_another_error_than_one_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "add_pet/folder.yaml").mkdir(parents=True)
    files = open_files(str(tmp_path))
    with pytest.raises(StoreError, match=r"folder\.yaml"):
        files.read("add_pet/folder.yaml")
    with pytest.raises(NotStoredError, match=r"absent\.yaml"):
        files.read("add_pet/absent.yaml")


@pytest.mark.parametrize(
    "write",
    [
        lambda files: files.write("a/b", b""),
        lambda files: files.claim("a/b"),
        lambda files: files.create("a/b", b""),
        lambda files: files.delete(["a/b"]),
    ],
)
def test_a_place_that_can_not_be_written_is_an_error(tmp_path: Path, write: Callable[[Files], Any]) -> None:
    a_file(tmp_path / "a")
    with pytest.raises(StoreError, match="a/b"):
        write(open_files(str(tmp_path)))


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "file"
    write_atomically(path, b"old")
    monkeypatch.setattr("os.fsync", no_space)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"new", durable=True)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {"file": b"old"}


def test_a_written_file_can_be_read_by_other_users(tmp_path: Path) -> None:
    """Workers may run as other users than the planner; Python's temporary files are for their owner only."""
    write_atomically(tmp_path / "file", b"")
    (tmp_path / "ordinary").touch()
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "ordinary").stat().st_mode


def test_the_age_of_a_file_is_that_of_its_content(tmp_path: Path) -> None:
    files = open_files(str(tmp_path))
    for name, written in (("run/old", 1_000), ("run/deep/old", 1_999), ("run/new", 2_000)):
        files.create(name, b"")
        os.utime(tmp_path / name, (5_000, written))
    assert files.older("run", 2_000) == ["run/deep/old", "run/old"]


def test_a_folder_without_files_is_gone_and_one_with_files_stays(tmp_path: Path) -> None:
    files = open_files(str(tmp_path / "root"))
    for name in ("dag/run/transcripts/t/_/1", "dag/run/run.json"):
        files.create(name, b"")
    files.delete(["dag/run/transcripts/t/_/1", "dag/run/transcripts/t/_/absent"])
    assert [path.name for path in (tmp_path / "root/dag/run").iterdir()] == ["run.json"]
    files.delete(["dag/run/run.json"])
    assert list(tmp_path.iterdir()) == [tmp_path / "root"], "the root itself stays"


def test_a_link_is_not_followed_out_of_the_root(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/file").touch()
    (tmp_path / "root/run").mkdir(parents=True)
    (tmp_path / "root/run/link").symlink_to(tmp_path / "elsewhere")
    files = open_files(str(tmp_path / "root"))
    files.delete(files.older("run", time.time() + 60))
    assert (tmp_path / "elsewhere/file").exists()
    assert not (tmp_path / "root/run").exists()


def test_a_creation_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", no_links)
    with pytest.raises(StoreError, match="record store can't create") as caught:
        open_files(str(tmp_path), what="record store").create("file", b"content")
    assert "file system with hard links" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("what", "setting"), [("plan store", "plans_root"), ("record store", "records_root")]
)
def test_what_fails_is_told_by_its_name_and_its_setting(tmp_path: Path, what: Place, setting: str) -> None:
    with pytest.raises(SettingsError, match=f"The {what} can't be at 'x'") as refused:
        open_files("x", what=what)
    assert refused.value.hint == f"Set {setting} in [chassis] to an absolute folder or to s3://bucket/prefix."
    a_file(tmp_path / "root")
    files = open_files(str(tmp_path / "root"), what=what)
    with pytest.raises(StoreError, match=f"The {what} can't read") as failed:
        files.read("folder/file")
    assert f"Check {setting} and storage_conn_id in [chassis]" in failed.value.hint
    with pytest.raises(NotStoredError, match=f"in the {what}"):
        open_files(str(tmp_path), what=what).read("folder/file")


class S3Error(Exception):
    """Stands for botocore's ClientError, of which s3fs makes the cause of its own errors."""

    def __init__(self, code: str) -> None:
        self.response = {"Error": {"Code": code}}


class RefusingFileSystem:
    """A file system whose puts S3 refuses with a code; moto has no such moment."""

    def __init__(self, code: str) -> None:
        self._code = code

    def invalidate_cache(self) -> None:
        pass

    def _cat_file(self) -> None:
        pass

    def pipe_file(self, *_: Any, **__: Any) -> None:
        raise OSError(5, "refused") from S3Error(self._code)


def test_to_lose_a_race_on_s3_is_not_to_get_the_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow.sdk.io.get_fs", lambda *_: RefusingFileSystem("ConditionalRequestConflict"))
    assert open_files("s3://bucket").claim("x") is False
    assert open_files("s3://bucket").create("x", b"content") is False


def test_a_claim_that_s3_refuses_for_another_reason_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow.sdk.io.get_fs", lambda *_: RefusingFileSystem("SlowDown"))
    with pytest.raises(StoreError, match="s3://bucket/x"):
        open_files("s3://bucket").claim("x")


def test_a_store_on_s3_without_its_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def get_fs(*_: Any) -> None:
        raise ImportError("No module named 's3fs'")

    monkeypatch.setattr("airflow.sdk.io.get_fs", get_fs)
    with pytest.raises(SettingsError, match=r"airflow-chassis\[s3\]"):
        open_files("s3://bucket").names("a")
