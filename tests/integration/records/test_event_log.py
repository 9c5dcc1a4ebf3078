"""A log of few entries, in a folder and on S3."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from chassis.errors import RecordBrokenError
from chassis.files import Files, open_files
from chassis.records.event_log import NumberedLog
from tests.integration.s3 import CONN_ID

FOLDER = "a_dag/a%20run/amendments"


@pytest.fixture
def files(root: str) -> Files:
    return open_files(root, CONN_ID, what="record store")


def test_entries_come_back_by_their_numbers_in_order(files: Files) -> None:
    log = NumberedLog(files, FOLDER, dict)
    assert log.entries() == {}
    assert [log.append({"text": text}) for text in ("one", "two", "drei ☂")] == [1, 2, 3]
    assert NumberedLog(files, FOLDER, dict).entries() == {
        1: {"text": "one"},
        2: {"text": "two"},
        3: {"text": "drei ☂"},
    }


def test_writers_at_once_all_get_in(files: Files) -> None:
    with ThreadPoolExecutor(4) as threads:
        numbers = list(threads.map(lambda n: NumberedLog(files, FOLDER, dict).append({"n": n}), range(12)))
    assert sorted(numbers) == list(range(1, 13))
    entries = NumberedLog(files, FOLDER, dict).entries()
    assert {number: entry["n"] for number, entry in entries.items()} == dict(
        zip(numbers, range(12), strict=True)
    )


def test_what_else_stands_there_is_no_entry(files: Files) -> None:
    files.write(f"{FOLDER}/notes.txt", b"mine")
    files.write(f"{FOLDER}/deeper/000007.json", b"{}")
    assert NumberedLog(files, FOLDER, dict).append({}) == 1


@pytest.mark.parametrize("content", [b"", b"[]", b'{"half": '])
def test_an_edited_entry_is_an_error_that_names_the_file(files: Files, content: bytes) -> None:
    NumberedLog(files, FOLDER, dict).append({})
    files.write(f"{FOLDER}/000001.json", content)
    with pytest.raises(RecordBrokenError, match="000001"):
        NumberedLog(files, FOLDER, dict).entries()
