"""Airflow's dag-processor keeps to its interval of parsing after a callback has run for a file of a bundle."""

from __future__ import annotations

import inspect
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.dag_processing import manager as dag_processing
from airflow.dag_processing.manager import DagFileInfo, DagFileProcessorManager, DagFileStat

from chassis.plans.parse_interval import keep_parse_interval

LOADER = Path("chassis_001_of_016.py")
PARSED = DagFileInfo(rel_path=LOADER, bundle_name="chassis")
CALLED_BACK = DagFileInfo(rel_path=LOADER, bundle_name="chassis", bundle_version="3f2a")


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> DagFileProcessorManager:
    """A dag-processor that has just parsed a loader file; what the test does to its class is undone."""
    original = inspect.unwrap(DagFileProcessorManager.handle_parsing_result)
    monkeypatch.setattr(DagFileProcessorManager, "handle_parsing_result", original)
    (tmp_path / LOADER).touch()
    manager = DagFileProcessorManager(max_runs=-1)
    manager._file_stats[PARSED] = DagFileStat(last_finish_time=datetime.now(UTC), run_count=1)
    return manager


def run_a_callback(manager: DagFileProcessorManager) -> None:
    done: Any = SimpleNamespace(had_callbacks=True, parsing_result=None, start_time=0.0)
    manager.handle_parsing_result(CALLED_BACK, done)


def queued(manager: DagFileProcessorManager, folder: Path) -> list[DagFileInfo]:
    """What the dag-processor would parse next."""
    found = DagFileInfo(rel_path=LOADER, bundle_name="chassis", bundle_path=folder)
    manager.prepare_file_queue(known_files={"chassis": {found}})
    return list(manager._file_queue)


def test_airflow_by_itself_parses_the_file_at_once_again(
    manager: DagFileProcessorManager, tmp_path: Path
) -> None:
    """When this fails, Airflow has mended it (apache/airflow#73432), and ``parse_interval`` can go."""
    assert queued(manager, tmp_path) == []
    run_a_callback(manager)
    assert queued(manager, tmp_path) == [PARSED]


def test_cured_it_keeps_to_its_interval(manager: DagFileProcessorManager, tmp_path: Path) -> None:
    keep_parse_interval()
    keep_parse_interval()
    run_a_callback(manager)
    assert queued(manager, tmp_path) == []
    assert list(manager._file_stats) == [PARSED]


def test_what_a_parse_found_stays(manager: DagFileProcessorManager) -> None:
    keep_parse_interval()
    broken: Any = SimpleNamespace(had_callbacks=False, parsing_result=None, start_time=0.0)
    manager.handle_parsing_result(PARSED, broken)
    assert manager._file_stats[PARSED].import_errors == 1
    assert manager._file_stats[PARSED].run_count == 2


def test_an_airflow_that_works_otherwise_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dag_processing, "DagFileProcessorManager", SimpleNamespace())
    keep_parse_interval()
    assert vars(dag_processing.DagFileProcessorManager) == {}


def test_other_processes_import_nothing_for_it() -> None:
    program = (
        "import sys; from chassis.plans.parse_interval import keep_parse_interval; keep_parse_interval(); "
        "sys.exit('airflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
