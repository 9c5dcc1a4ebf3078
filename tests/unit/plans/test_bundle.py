"""The bundle over a store in a folder: what the dag-processor and the workers of several machines see."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from airflow.utils.file import list_py_file_paths

from chassis.errors import PlanError, PlanNotFoundError, StoreError
from chassis.plans.bundle import PlanBundle
from chassis.workflow import WorkflowSpec

if TYPE_CHECKING:
    from pathlib import Path

    from chassis.plans.store import PlanStore

Plan = Callable[..., WorkflowSpec]
OnMachine = Callable[..., PlanBundle]


def texts(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in folder.glob("*.py")}


def version_of(bundle: PlanBundle) -> str:
    current = bundle.get_current_version()
    assert current
    return current.version


def test_an_empty_store_is_a_bundle_without_files_but_with_a_version(on_machine: OnMachine) -> None:
    bundle = on_machine()
    assert bundle.get_current_version() is None
    bundle.initialize()
    assert bundle.is_initialized
    assert bundle.path.is_dir()
    assert list(bundle.path.iterdir()) == []
    assert version_of(bundle)


def test_airflow_finds_the_loader_files_in_the_bundles_folder(
    on_machine: OnMachine, store: PlanStore, plan: Plan
) -> None:
    store.publish(plan("add_pet"))
    bundle = on_machine()
    bundle.initialize()
    assert list_py_file_paths(bundle.path) == [str(file) for file in bundle.path.iterdir()]


def test_the_version_changes_exactly_when_a_newest_plan_does(
    on_machine: OnMachine, store: PlanStore, plan: Plan
) -> None:
    bundle = on_machine()
    bundle.initialize()
    seen = [version_of(bundle)]
    for change, changes in [
        (lambda: store.publish(plan("add_pet", "One")), True),
        (lambda: store.publish(plan("add_pet", "One")), False),
        (lambda: store.publish(plan("add_pet", "Two")), True),
        (lambda: store.publish(plan("report")), True),
        (lambda: store.retire("report"), True),
        (lambda: store.retire("report"), False),
    ]:
        change()
        bundle.refresh()
        assert (version_of(bundle) != seen[-1]) == changes
        seen.append(version_of(bundle))


def test_every_machine_gives_the_same_plans_the_same_version(
    on_machine: OnMachine, store: PlanStore, plan: Plan
) -> None:
    for workflow_id in ("b", "a", "c"):
        store.publish(plan(workflow_id))
    bundles = [on_machine("one"), on_machine("two", shards=9)]
    for bundle in bundles:
        bundle.initialize()
    assert version_of(bundles[0]) == version_of(bundles[1])


def test_a_refresh_without_news_writes_nothing(
    on_machine: OnMachine, store: PlanStore, plan: Plan, root: Path
) -> None:
    store.publish(plan("add_pet"))
    bundle = on_machine()
    bundle.initialize()

    def state() -> dict[Path, tuple[int, int]]:
        files = [file for folder in (root, bundle.path) for file in folder.rglob("*")]
        return {file: (file.stat().st_ino, file.stat().st_mtime_ns) for file in files}

    before = state()
    bundle.refresh()
    assert state() == before


def test_a_loader_file_that_was_changed_by_hand_is_put_right(
    on_machine: OnMachine, store: PlanStore, plan: Plan
) -> None:
    store.publish(plan("add_pet"))
    bundle = on_machine()
    bundle.initialize()
    right = texts(bundle.path)
    next(bundle.path.glob("*.py")).write_text("raise SystemExit")
    (bundle.path / "chassis_000_of_999.py").write_text("raise SystemExit")
    bundle.refresh()
    assert texts(bundle.path) == right


def test_another_machine_makes_the_same_loader_files_of_a_version_from_one_file_of_the_store(
    on_machine: OnMachine, store: PlanStore, plan: Plan, root: Path
) -> None:
    for number in range(50):
        store.publish(plan(f"workflow_{number}"))
    here = on_machine("one")
    here.initialize()
    for folder in root.glob("workflow_*"):
        shutil.rmtree(folder)
    there = on_machine("two", version=version_of(here))
    there.initialize()
    assert there.path == there.versions_dir / version_of(here)
    assert version_of(there) == version_of(here)
    expected = {
        name: text.replace(str(here.copies), str(there.copies)) for name, text in texts(here.path).items()
    }
    assert texts(there.path) == expected
    assert len(list(there.path.iterdir())) == len(expected) + 1, (
        "a version costs one file for each shard, and a list"
    )


def test_a_pinned_version_keeps_its_plans_when_new_ones_are_published(
    on_machine: OnMachine, store: PlanStore, plan: Plan
) -> None:
    old = store.publish(plan("add_pet", "Old"))
    current = on_machine()
    current.initialize()
    pinned = on_machine("two", version=version_of(current))
    new = store.publish(plan("add_pet", "New"))
    current.refresh()
    pinned.initialize()
    (old_text,), (new_text,) = texts(pinned.path).values(), texts(current.path).values()
    assert f'"add_pet": "{old.name}"' in old_text
    assert f'"add_pet": "{new.name}"' in new_text
    assert store.read(store.version_heads(version_of(pinned))["add_pet"]).title == "Old"


def test_a_version_that_is_there_is_used_without_the_store(
    on_machine: OnMachine, store: PlanStore, plan: Plan, root: Path
) -> None:
    store.publish(plan("add_pet"))
    current = on_machine()
    current.initialize()
    on_machine(version=version_of(current)).initialize()
    shutil.rmtree(root)
    again = on_machine(version=version_of(current))
    again.initialize()
    assert texts(again.path)


def test_a_version_whose_folder_lost_a_file_is_made_whole(
    on_machine: OnMachine, store: PlanStore, plan: Plan
) -> None:
    """Airflow prunes old versions, file by file, and may be killed while it does."""
    for workflow_id in ("add_pet", "calculate_sum"):
        store.publish(plan(workflow_id))
    current = on_machine()
    current.initialize()
    version = version_of(current)
    on_machine(version=version).initialize()
    files = sorted(on_machine(version=version).path.iterdir())
    assert len(files) == 3
    for file in files:
        content = file.read_text()
        file.unlink()
        on_machine(version=version).initialize()
        assert file.read_text() == content


def test_a_version_gets_the_loader_files_of_todays_number_of_shards(
    on_machine: OnMachine, store: PlanStore, plan: Plan
) -> None:
    """Airflow asks an old version for the file that the DAG is in today."""
    store.publish(plan("add_pet"))
    current = on_machine(shards=4)
    current.initialize()
    version = version_of(current)
    on_machine(version=version, shards=4).initialize()
    current = on_machine(shards=5)
    current.initialize()
    pinned = on_machine(version=version, shards=5)
    pinned.initialize()
    (today,) = texts(current.path)
    assert today in texts(pinned.path)


@pytest.mark.parametrize("version", ["0123456789abcdef", "../../etc/passwd", "..", " "])
def test_a_version_that_never_was_is_refused(on_machine: OnMachine, version: str) -> None:
    bundle = on_machine(version=version)
    with pytest.raises(PlanNotFoundError, match=re.escape(version)):
        bundle.initialize()
    assert not bundle.is_initialized


def test_a_manifest_that_was_edited_by_hand_is_refused(
    on_machine: OnMachine, store: PlanStore, plan: Plan, root: Path
) -> None:
    store.publish(plan("add_pet"))
    current = on_machine()
    current.initialize()
    manifest = root / f".versions/{version_of(current)}.json"
    manifest.write_text(manifest.read_text().replace("000001", "000002"))
    with pytest.raises(PlanError, match=str(manifest)):
        on_machine("two", version=version_of(current)).initialize()


def test_a_version_can_not_be_refreshed(on_machine: OnMachine) -> None:
    with pytest.raises(ValueError, match="fixed"):
        on_machine(version="0123456789abcdef").refresh()


def test_a_store_that_lost_everything_or_can_not_be_read_takes_no_dag_away(
    on_machine: OnMachine, store: PlanStore, plan: Plan, root: Path, tmp_path: Path
) -> None:
    store.publish(plan("add_pet"))
    bundle = on_machine()
    bundle.initialize()
    before, version = texts(bundle.path), version_of(bundle)
    root.rename(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="lost all its 1 workflows"):
        bundle.refresh()
    root.write_text("no folder")
    with pytest.raises(StoreError, match=str(root)):
        bundle.refresh()
    assert (texts(bundle.path), version_of(bundle)) == (before, version)
    root.unlink()
    (tmp_path / "elsewhere").rename(root)
    bundle.refresh()
    assert (texts(bundle.path), version_of(bundle)) == (before, version)


def test_once_the_store_is_back_airflow_parses_at_once_and_then_no_more(
    on_machine: OnMachine, store: PlanStore, plan: Plan, root: Path, tmp_path: Path
) -> None:
    """What it parsed meanwhile are DAGs that only say that their plan can't be read."""
    store.publish(plan("add_pet"))
    bundle = on_machine()
    bundle.initialize()
    (loader,) = bundle.path.iterdir()
    root.rename(tmp_path / "elsewhere")
    with pytest.raises(StoreError):
        bundle.refresh()
    (tmp_path / "elsewhere").rename(root)
    bundle.refresh()
    written = loader.stat().st_mtime
    assert written > time.time(), "younger than the end of a parse that is under way"
    bundle.refresh()
    assert loader.stat().st_mtime == written


def test_a_workflow_whose_folder_a_person_removed_leaves_its_siblings_alone(
    on_machine: OnMachine, store: PlanStore, plan: Plan, root: Path
) -> None:
    store.publish(plan("add_pet"))
    store.publish(plan("report"))
    bundle = on_machine()
    bundle.initialize()
    shutil.rmtree(root / "report")
    bundle.refresh()
    assert ["add_pet" in text for text in texts(bundle.path).values()] == [True]


def test_two_hundred_plans_refresh_quickly_and_one_change_touches_one_file(
    on_machine: OnMachine, store: PlanStore, plan: Plan, figure: Callable[[str], None]
) -> None:
    for number in range(200):
        store.publish(plan(f"workflow_{number}"))
    bundle = on_machine(shards=16)
    bundle.initialize()
    times = {file: file.stat().st_mtime_ns for file in bundle.path.iterdir()}
    store.publish(plan("workflow_7", "Another title"))
    started = time.perf_counter()
    bundle.refresh()
    changed_after = time.perf_counter() - started
    started = time.perf_counter()
    bundle.refresh()
    idle_after = time.perf_counter() - started
    figure(
        f"refresh over 200 plans: {changed_after * 1000:.0f} ms; without a change {idle_after * 1000:.0f} ms"
    )
    assert len(times) == 16
    assert sum(file.stat().st_mtime_ns != time_ns for file, time_ns in times.items()) == 1
    assert changed_after < 1.0
