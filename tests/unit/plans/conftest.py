"""Plans to store, and a bundle whose store and whose machine are folders of the test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chassis.plans.bundle import PlanBundle
from chassis.plans.store import PlanStore
from chassis.workflow import WorkflowSpec, load_plan

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SHARDS = 4


@pytest.fixture
def plan() -> Callable[..., WorkflowSpec]:
    """A plan of one task by its workflow id; another title makes another plan."""

    def make(workflow_id: str, title: str = "A title") -> WorkflowSpec:
        return load_plan(
            f"schema_version: 1\nid: {workflow_id}\ntitle: {title}\nrequirement: Do it\n"
            "tasks:\n- {id: first, name: First, instruction: Do it.}\n"
        )

    return make


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "plans"


@pytest.fixture
def store(root: Path) -> PlanStore:
    return PlanStore(str(root))


@pytest.fixture
def on_machine(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., PlanBundle]:
    """A bundle over the store as a process on some machine makes it; each machine has its own folder."""

    def make(machine: str = "one", *, version: str | None = None, shards: int = SHARDS) -> PlanBundle:
        monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH", str(tmp_path / machine))
        monkeypatch.setenv("AIRFLOW__CHASSIS__PLANS_ROOT", str(root))
        monkeypatch.setenv("AIRFLOW__CHASSIS__SHARDS", str(shards))
        return PlanBundle(name="plans", version=version)

    return make
