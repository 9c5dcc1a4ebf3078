"""The text and the times of loader files."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from airflow.utils.file import might_contain_dag

from chassis.plans.refs import PlanRef
from chassis.plans.shards import AHEAD_SECONDS, loader_files, remove_other_loader_files, write_loader_files

DIGEST = "0123456789ab"


def heads(**revisions: int) -> dict[str, PlanRef]:
    return {workflow_id: PlanRef(workflow_id, number, DIGEST) for workflow_id, number in revisions.items()}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[dict[str, str], str]]:
    """What loader files call, instead of building DAGs."""
    seen: list[tuple[dict[str, str], str]] = []

    def load_shard(mapping: dict[str, str], *, cache: str) -> dict[str, Any]:
        seen.append((mapping, cache))
        return {workflow_id: f"the DAG of {workflow_id}" for workflow_id in mapping}

    loader = ModuleType("chassis.dag.loader")
    loader.load_shard = load_shard  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "chassis.dag.loader", loader)
    return seen


def import_as_airflow_does(path: Path) -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("unusual_prefix_shard", str(path))
    spec = importlib.util.spec_from_loader("unusual_prefix_shard", loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.mark.parametrize("cache", ["/var/copies", '/var/it\'s "odd" \\n {x}'])
def test_a_loader_file_puts_its_own_workflows_dags_into_its_globals(
    tmp_path: Path, calls: list[tuple[dict[str, str], str]], cache: str
) -> None:
    everything = heads(add_pet=3, calculate_sum=1, onboard=2, report=7)
    for name, text in loader_files(everything, 4, Path(cache)).items():
        (tmp_path / name).write_text(text)
        module = import_as_airflow_does(tmp_path / name)
        mapping = calls[-1][0]
        assert {id_: getattr(module, id_) for id_ in mapping} == {id_: f"the DAG of {id_}" for id_ in mapping}
    assert {id_: name for mapping, _ in calls for id_, name in mapping.items()} == {
        id_: ref.name for id_, ref in everything.items()
    }
    assert {given for _, given in calls} == {cache}


def test_airflow_takes_a_loader_file_for_a_dag_file(tmp_path: Path) -> None:
    write_loader_files(tmp_path, loader_files(heads(x=1), 4, Path("/c")))
    (file,) = tmp_path.glob("*.py")
    assert might_contain_dag(str(file), safe_mode=True)


def test_a_shard_without_workflows_has_no_file() -> None:
    assert loader_files({}, 4, Path("/c")) == {}
    assert len(loader_files(heads(x=1), 256, Path("/c"))) == 1


def test_only_the_loader_file_of_the_changed_workflow_is_touched(tmp_path: Path) -> None:
    before = loader_files(heads(add_pet=1, calculate_sum=1, onboard=1), 16, Path("/c"))
    write_loader_files(tmp_path, before)
    old = time.time() - 60
    for file in tmp_path.iterdir():
        os.utime(file, (old, old))
    after = loader_files(heads(add_pet=1, calculate_sum=2, onboard=1), 16, Path("/c"))
    write_loader_files(tmp_path, after)
    (changed,) = (name for name in before if before[name] != after[name])
    assert {file.name for file in tmp_path.iterdir() if file.stat().st_mtime != old} == {changed}
    assert (tmp_path / changed).read_text() == after[changed]


def test_a_replaced_loader_file_is_younger_than_a_parse_that_was_running(tmp_path: Path) -> None:
    """Airflow looks again at a file that is younger than the end of its last parse, at others after 30 s."""
    write_loader_files(tmp_path, loader_files(heads(x=1), 1, Path("/c")))
    write_loader_files(tmp_path, loader_files(heads(x=2), 1, Path("/c")))
    (file,) = tmp_path.iterdir()
    assert time.time() + AHEAD_SECONDS - 0.5 <= file.stat().st_mtime <= time.time() + AHEAD_SECONDS


def test_revisions_in_quick_succession_are_each_imported_despite_the_bytecode_cache(
    tmp_path: Path, calls: list[tuple[dict[str, str], str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python's cache can't tell apart texts of one size that were written within one second."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    for revision in range(1, 6):
        write_loader_files(tmp_path, loader_files(heads(x=revision), 1, Path("/c")))
        import_as_airflow_does(next(tmp_path.glob("*.py")))
    assert (tmp_path / "__pycache__").is_dir(), "without a bytecode cache this shows nothing"
    assert [mapping["x"] for mapping, _ in calls] == [
        f"{revision:06d}-{DIGEST}.yaml" for revision in range(1, 6)
    ]


def test_loader_files_of_another_number_of_shards_are_removed_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("a person's")
    write_loader_files(tmp_path, loader_files(heads(x=1), 8, Path("/c")))
    texts = loader_files(heads(x=1), 4, Path("/c"))
    write_loader_files(tmp_path, texts)
    remove_other_loader_files(tmp_path, texts)
    assert {file.name for file in tmp_path.iterdir()} == {"notes.txt", *texts}
