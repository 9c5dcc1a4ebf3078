"""A publisher or dag-processor that is killed at any place that the code names leaves nothing half-done."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from chassis import crashpoints
from chassis.plans.bundle import PlanBundle
from chassis.plans.store import PlanStore
from tests.integration.s3 import CONN_ID

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from chassis.workflow import WorkflowSpec

    Plan = Callable[..., WorkflowSpec]

PUBLISH = """
import sys
from chassis.plans.store import PlanStore
from chassis.workflow import load_plan
PlanStore(sys.argv[1], sys.argv[2]).publish(load_plan(sys.argv[3]))
"""
REFRESH = """
from chassis.plans.bundle import PlanBundle
PlanBundle(name="plans").initialize()
"""
POINTS_ON_S3 = [point for point in crashpoints.STORE_POINTS if point != crashpoints.FILE_STAGED]


def run_armed(point: str, code: str, *arguments: str) -> int:
    environment = os.environ | {crashpoints.ARMED_BY: point}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, env=environment, check=False, capture_output=True, timeout=60).returncode


def test_every_crash_point_is_tried_here_or_in_the_tests_of_the_ledger() -> None:
    named = {value for name, value in vars(crashpoints).items() if name.isupper() and isinstance(value, str)}
    tried = {*crashpoints.STORE_POINTS, *crashpoints.BUNDLE_POINTS, *crashpoints.LEDGER_POINTS}
    assert named - {crashpoints.ARMED_BY} == tried


@pytest.mark.parametrize(
    ("kind", "point"),
    [
        *(("folder", point) for point in crashpoints.STORE_POINTS),
        *(("s3", point) for point in POINTS_ON_S3),
    ],
)
def test_a_killed_publisher_leaves_nothing_visible_and_the_next_one_publishes(
    kind: str, point: str, request: pytest.FixtureRequest, tmp_path: Path, plan: Plan
) -> None:
    root = str(tmp_path / "plans") if kind == "folder" else str(request.getfixturevalue("s3_root"))
    store = PlanStore(root, CONN_ID)
    store.publish(plan("add_pet", "Old"))
    before = store.heads()
    from chassis.workflow import dump_plan

    assert run_armed(point, PUBLISH, root, CONN_ID, dump_plan(plan("add_pet", "New"))) == -signal.SIGKILL
    published_already = point == crashpoints.PLAN_WRITTEN
    assert (store.heads() == before) != published_already
    assert all(store.read(ref) for ref in store.revisions("add_pet"))
    again = store.publish(plan("add_pet", "New"))
    assert again.changed != published_already, "one plan is one revision, however often its planner died"
    assert [store.read(ref).title for ref in store.revisions("add_pet")] == ["Old", "New"]


@pytest.mark.parametrize("point", [*crashpoints.BUNDLE_POINTS, crashpoints.FILE_STAGED])
def test_a_dag_processor_killed_in_a_refresh_completes_it_when_it_starts_again(
    point: str, tmp_path: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH", str(tmp_path / "bundles"))
    monkeypatch.setenv("AIRFLOW__CHASSIS__PLANS_ROOT", str(tmp_path / "plans"))
    store = PlanStore(str(tmp_path / "plans"))
    titles = ("Old", "New")
    for title in titles:
        for number in range(20):
            store.publish(plan(f"workflow_{number}", title))
        if title == "Old":
            PlanBundle(name="plans").initialize()
    assert run_armed(point, REFRESH) == -signal.SIGKILL
    bundle = PlanBundle(name="plans")
    bundle.initialize()
    version = bundle.get_current_version()
    assert version
    heads = store.version_heads(version.version)
    assert heads == store.heads()
    texts = [file.read_text() for file in bundle.path.glob("chassis_*.py")]
    assert all(sum(ref.name in text for text in texts) == 1 for ref in heads.values())
