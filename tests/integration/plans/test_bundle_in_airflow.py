"""The bundle as Airflow itself uses it, and what it costs every task to have it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from chassis.plans.store import PlanStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow.sdk import DAG

    from chassis.workflow import WorkflowSpec

    Plan = Callable[..., WorkflowSpec]

IMPORT = """
import json, sys, time
import airflow.sdk.execution_time.task_runner
before = set(sys.modules)
started = time.perf_counter()
import chassis.plans.bundle
print(json.dumps([time.perf_counter() - started, sorted(set(sys.modules) - before)]))
"""

MAKE_AT_ONCE = """
import multiprocessing, sys
from chassis.plans.bundle import PlanBundle

def make(start):
    bundle = PlanBundle(name="plans", version=sys.argv[1])
    start.wait(timeout=60)
    bundle.initialize()
    assert len(list(bundle.path.glob("chassis_*.py"))) == int(sys.argv[2])

forks = multiprocessing.get_context("fork")
start = forks.Barrier(10)
workers = [forks.Process(target=make, args=(start,)) for _ in range(10)]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join()
sys.exit(sum(worker.exitcode != 0 for worker in workers))
"""


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlanStore:
    """Airflow configured with the bundle; its store."""
    bundle = {
        "name": "plans",
        "classpath": "chassis.plans.bundle.PlanBundle",
        "kwargs": {"refresh_interval": 2},
    }
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", json.dumps([bundle]))
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH", str(tmp_path / "bundles"))
    monkeypatch.setenv("AIRFLOW__CORE__LOAD_EXAMPLES", "False")
    monkeypatch.setenv("AIRFLOW__CHASSIS__PLANS_ROOT", str(tmp_path / "plans"))
    return PlanStore(str(tmp_path / "plans"))


def parse(workflow_id: str, version: str | None, file: str) -> DAG:
    """The DAG as a worker makes it: see ``parse`` in ``airflow.sdk.execution_time.task_runner``."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import BundleDagBag

    bundle = DagBundlesManager().get_bundle(name="plans", version=version)
    bundle.initialize()
    bag = BundleDagBag(
        dag_folder=str(bundle.path / file),
        safe_mode=False,
        load_op_links=False,
        bundle_path=bundle.path,
        bundle_name="plans",
    )
    assert bag.import_errors == {}
    return bag.dags[workflow_id]


def test_a_run_keeps_its_plan_and_a_new_run_has_the_new_one(configured: PlanStore, plan: Plan) -> None:
    from airflow.dag_processing.bundles.manager import DagBundlesManager

    configured.publish(plan("add_pet", "Old"))
    dag_processor = DagBundlesManager().get_bundle(name="plans")
    assert dag_processor.refresh_interval == 2
    dag_processor.initialize()
    old = dag_processor.get_current_version()
    (file,) = (path.name for path in dag_processor.path.glob("*.py"))
    configured.publish(plan("add_pet", "New"))
    dag_processor.refresh()
    new = dag_processor.get_current_version()
    assert parse("add_pet", new.version, file).dag_display_name == "New"
    assert parse("add_pet", old.version, file).dag_display_name == "Old"
    assert parse("add_pet", None, file).dag_display_name == "New"


def test_workers_that_make_the_same_version_at_once_all_get_it_whole(
    configured: PlanStore, plan: Plan, tmp_path: Path
) -> None:
    for number in range(100):
        configured.publish(plan(f"workflow_{number}"))
    version = configured.record_version(configured.heads())
    command = [sys.executable, "-c", MAKE_AT_ONCE, version, "16"]
    done = subprocess.run(command, capture_output=True, check=False, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "bundles/plans/versions" / version
    assert len(list(folder.iterdir())) == 17, "one file for each shard, their list, and nothing half-written"


def test_a_process_that_has_airflow_imports_the_bundle_almost_for_nothing(
    figure: Callable[[str], None],
) -> None:
    """Airflow imports it at every task start, in a process that has the task runner already."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORT], capture_output=True, check=True, text=True, timeout=60
    )
    seconds, modules = json.loads(done.stdout.splitlines()[-1])
    figure(f"import of chassis.plans.bundle at a task start: {seconds * 1000:.1f} ms")
    assert {name.split(".")[0] for name in modules} == {"chassis"}
    assert not {"chassis.workflow", "chassis.settings", "chassis.plans.store"} & set(modules)
    assert seconds < 0.1
