from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import psutil
import pytest

from chassis.errors.client import StackError
from chassis.local.processes import ProcessId
from chassis.local.readiness import last_lines, wait_until_ready
from chassis.local.stack_file import ComponentRecord, StackRecord
from tests.unit.fake_airflow import PASSWORD, USERNAME, FakeAirflow, FakeDag

if TYPE_CHECKING:
    from pathlib import Path

ALIVE = ProcessId.of(psutil.Process().pid)


def wait(
    fake: FakeAirflow, tmp_path: Path, *, seconds: float = 2.0, dead: str = "", planner: bool = True
) -> None:
    components = {}
    for name in ("api-server", "scheduler", "dag-processor", "triggerer"):
        log = tmp_path / f"{name}.log"
        log.write_text(f"first line\nlast words of the {name}\n")
        ended = name == dead
        components[name] = ComponentRecord(
            process=None if ended else ALIVE, exit_code=1 if ended else None, log=str(log)
        )
    record = StackRecord(
        url=fake.url,
        execution_url=fake.url,
        simulator_url=None,
        username=USERNAME,
        password_file="",
        booted=psutil.boot_time(),
        supervisor=ALIVE,
        components=components,
    )
    since = time.time() - 60
    wait_until_ready(record=lambda: record, password=PASSWORD, planner=planner, since=since, seconds=seconds)


def test_a_stack_is_ready_when_all_hearts_beat_and_the_planner_is_listed(
    fake: FakeAirflow, tmp_path: Path
) -> None:
    fake.dags["plan_workflow"] = FakeDag()
    fake.failing = 2
    wait(fake, tmp_path, seconds=10)
    assert ("GET", "/execution/health", None) in fake.requests, "the execution API is warmed up on the way"


def test_a_dag_folder_without_the_planner_needs_no_planner(fake: FakeAirflow, tmp_path: Path) -> None:
    wait(fake, tmp_path, planner=False)


def test_the_heartbeats_of_the_stack_before_do_not_count(fake: FakeAirflow, tmp_path: Path) -> None:
    fake.dags["plan_workflow"] = FakeDag()
    fake.beat = datetime.now(UTC) - timedelta(minutes=2)
    with pytest.raises(StackError, match="heartbeat of the scheduler is missing"):
        wait(fake, tmp_path)


def test_the_message_names_what_is_missing_and_gives_its_last_log_lines(
    fake: FakeAirflow, tmp_path: Path
) -> None:
    fake.sick = "triggerer"
    with pytest.raises(StackError) as caught:
        wait(fake, tmp_path)
    assert "heartbeat of the triggerer" in caught.value.message
    assert "last words of the triggerer" in caught.value.message


def test_a_component_that_ended_is_told_at_once(fake: FakeAirflow, tmp_path: Path) -> None:
    with pytest.raises(StackError) as caught:
        wait(fake, tmp_path, dead="scheduler", seconds=60)
    assert "The scheduler ended with code 1" in caught.value.message
    assert "last words of the scheduler" in caught.value.message


def test_a_foreign_server_on_the_port_is_not_taken_for_ours(
    fake: FakeAirflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.unit.fake_airflow.PASSWORD", "another stack's")
    fake.dags["plan_workflow"] = FakeDag()
    with pytest.raises(StackError, match="did not come up"):
        wait(fake, tmp_path)


def test_a_planner_that_can_not_be_imported_is_told_at_once(fake: FakeAirflow, tmp_path: Path) -> None:
    fake.import_errors = [
        {"filename": "other.py", "stack_trace": "not ours"},
        {"filename": "plan_workflow.py", "stack_trace": "No module named 'chassis'"},
    ]
    with pytest.raises(StackError, match="No module named 'chassis'"):
        wait(fake, tmp_path, seconds=60)


def test_the_last_lines_of_a_log_that_is_not_there_are_empty(tmp_path: Path) -> None:
    assert last_lines(tmp_path / "none.log") == ""
    (tmp_path / "long.log").write_text("".join(f"line {n}\n" for n in range(100)))
    assert last_lines(tmp_path / "long.log", 2) == "line 98\nline 99"
