from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from chassis.local.simulator import request_log as log_module
from chassis.local.simulator.claude_request import ClaudeRequest
from chassis.local.simulator.request_log import RequestLog
from chassis.local.simulator.simulator_errors import SimulatorError

if TYPE_CHECKING:
    from pathlib import Path

REQUEST = ClaudeRequest("m", {"messages": [{"role": "user", "content": "a prompt"}]}, True)


def test_entries_count_what_was_in_flight_beside_them() -> None:
    log = RequestLog()
    first = log.begin("r1", "m", True)
    second = log.begin("r2", "m", False)
    log.end(first)
    third = log.begin("r3", "m", False)
    log.end(second)
    log.end(third)
    fourth = log.begin("r4", "m", False)
    assert [entry["in_flight"] for entry in log.as_data()] == [1, 2, 2, 1]
    assert [entry["peak"] for entry in log.as_data()] == [2, 2, 2, 1]
    assert log.in_flight == 1
    assert (first.ended is not None, fourth.ended) == (True, None)


def test_clearing_forgets_entries_and_goes_on_counting_what_is_open() -> None:
    log = RequestLog()
    open_entry = log.begin("r1", "m", True)
    log.clear()
    assert log.as_data() == []
    assert log.begin("r2", "m", True).in_flight == 2
    log.end(open_entry)
    assert log.in_flight == 1


def test_old_bodies_and_then_old_entries_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_module, "_BODY_BYTES", 250)
    monkeypatch.setattr(log_module, "_ENTRIES", 4)
    log = RequestLog()
    for number in range(6):
        entry = log.begin(f"r{number}", "m", True)
        log.describe(entry, REQUEST, 100)
        log.end(entry)
    found = log.as_data()
    assert [entry["request_id"] for entry in found] == ["r2", "r3", "r4", "r5"]
    assert [entry["body"] is None for entry in found] == [True, True, False, False]


def test_the_file_gets_a_line_for_each_request_and_no_prompt(tmp_path: Path) -> None:
    file = tmp_path / "requests.jsonl"
    for name in ("r1", "r2"):
        log = RequestLog(file)
        entry = log.begin(name, "m", True)
        log.describe(entry, REQUEST, 100)
        log.end(entry)
        log.close()
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["request_id"] for line in lines] == ["r1", "r2"]
    assert "a prompt" not in file.read_text()


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(SimulatorError, match="can't be written"):
        RequestLog(tmp_path / "nosuch" / "requests.jsonl")
