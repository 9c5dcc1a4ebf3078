from __future__ import annotations

from pathlib import Path

import pytest

from chassis.dag.loader import load_current_dags, load_shard
from chassis.plans.store import PlanStore
from chassis.workflow import TaskSpec, WorkflowSpec


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlanStore:
    root = str(tmp_path / "plans")
    monkeypatch.setenv("AIRFLOW__CHASSIS__PLANS_ROOT", root)
    monkeypatch.delenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", raising=False)
    return PlanStore(root)


def publish(store: PlanStore, workflow_id: str) -> str:
    task = TaskSpec(id="step", name="Step", instruction="Do it.")
    spec = WorkflowSpec(
        schema_version=1, id=workflow_id, title=workflow_id, requirement="Do it.", tasks=(task,)
    )
    return store.publish(spec).name


def test_a_shard_gives_the_dags_of_its_workflows(store: PlanStore) -> None:
    names = {workflow_id: publish(store, workflow_id) for workflow_id in ("one", "two")}
    dags = load_shard(names, cache="")
    assert {dag_id: dag.task_ids for dag_id, dag in dags.items()} == {"one": ["step"], "two": ["step"]}


def test_a_worker_reads_the_one_plan_that_it_needs(
    store: PlanStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {workflow_id: publish(store, workflow_id) for workflow_id in ("one", "two")}
    (tmp_path / "plans/two" / names["two"]).unlink()
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "one")
    assert set(load_shard(names, cache="")) == {"one"}
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "elsewhere")
    assert load_shard(names, cache="") == {}


def test_a_plan_that_can_not_be_read_becomes_a_visible_dag_and_touches_no_sibling(
    store: PlanStore, tmp_path: Path
) -> None:
    names = {workflow_id: publish(store, workflow_id) for workflow_id in ("good", "broken", "gone")}
    (tmp_path / "plans/broken" / names["broken"]).write_text("tasks: [")
    (tmp_path / "plans/gone" / names["gone"]).unlink()
    dags = load_shard(names, cache="")
    assert dags["good"].task_ids == ["step"]
    for workflow_id in ("broken", "gone"):
        assert "plan-error" in dags[workflow_id].tags
        assert dags[workflow_id].task_ids == ["plan_error"]
        assert names[workflow_id] in dags[workflow_id].get_task("plan_error").reason


def test_what_airflow_itself_refuses_becomes_a_visible_dag_too(
    store: PlanStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {"one": publish(store, "one")}

    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("Airflow doesn't like it")

    monkeypatch.setattr("chassis.dag.loader.build_dag", refuse)
    (dag,) = load_shard(names, cache="").values()
    assert "Airflow doesn't like it" in dag.get_task("plan_error").reason


def test_a_retired_workflow_keeps_its_tasks_and_loses_its_schedule(store: PlanStore) -> None:
    publish(store, "one")
    names = {"one": store.retire("one").name}
    (dag,) = load_shard(names, cache="").values()
    assert "retired" in dag.tags
    assert dag.schedule is None
    assert dag.task_ids == ["step"]


def test_the_fallback_loader_gives_the_newest_plans_where_there_is_no_bundle(
    store: PlanStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(store, "one")
    assert set(load_current_dags()) == {"one"}
    monkeypatch.setenv(
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST",
        '[{"name": "chassis", "classpath": "chassis.plans.bundle.PlanBundle", "kwargs": {}}]',
    )
    assert load_current_dags() == {}
