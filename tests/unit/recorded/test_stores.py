"""Plans that were published, and the bundle's versions and loader files that runs are pinned to."""

from __future__ import annotations

from pathlib import Path

import pytest

from chassis.contract.names import digest_tag
from chassis.plans.bundle import PlanBundle
from chassis.plans.store import PlanStore
from chassis.workflow import plan_digest
from tests.unit.recorded.replay import RECORDED, ROOT, Deployment, recorded


def test_every_revision_is_read_and_the_next_one_gets_the_next_number(deployment: Deployment) -> None:
    store, was = PlanStore(str(deployment.root / "store")), recorded("store.json")
    assert {workflow_id: ref.name for workflow_id, ref in store.heads().items()} == was["heads"]
    for workflow_id, revisions in was["revisions"].items():
        read = store.revisions(workflow_id)
        facts = [
            {
                "revision": ref.revision,
                "name": ref.name,
                "retired": ref.retired,
                "digest": plan_digest(store.read(ref)),
            }
            for ref in read
        ]
        assert facts == revisions, f"the history of {workflow_id}"
        again = store.publish(store.read(read[-1]))
        assert again.changed == read[-1].retired, f"{workflow_id}: an unchanged plan is no new revision"
        assert again.revision == read[-1].revision + again.changed


def test_a_run_finds_the_plans_that_its_bundle_version_stands_for(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker may have to make the folder of a version that another Chassis has recorded, or find it there."""
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH", str(deployment.root))
    monkeypatch.setenv("AIRFLOW__CHASSIS__SHARDS", "3")
    was = recorded("store.json")
    versions = {**was["versions"], "current": was["heads"]}
    for version, heads in versions.items():
        bundle = PlanBundle(name="plans", version=None if version == "current" else version)
        bundle.initialize()
        now = bundle.get_current_version()
        assert now, version
        assert was["versions"][now.version] == heads, "the same plans have the same version, on every machine"
        made = {file.name: deployment.plain(file.read_text()) for file in bundle.path.iterdir()}
        files = (RECORDED / "bundle" / version).iterdir()
        files_then = {
            file.name.removesuffix(".py.txt") + ".py" if ".py" in file.name else file.name: file.read_text()
            for file in files
        }
        assert made == files_then, f"the loader files of {version}"
        dags = {
            dag_id: dag
            for text in files_then.values()
            for dag_id, dag in _load(text, deployment.root).items()
        }
        assert set(dags) == set(heads), f"the loader files of {version} are read as the DAGs of that time"
        for workflow_id, name in heads.items():
            assert digest_tag(name.split("-")[1]) in dags[workflow_id].tags, (
                f"{version}: {workflow_id} is pinned"
            )
            assert ("retired" in dags[workflow_id].tags) == name.endswith(".retired.yaml")


def _load(text: str, root: Path) -> dict[str, object]:
    found: dict[str, object] = {}
    if "load_shard" in text:
        exec(text.replace(ROOT, str(root)), found)  # as Airflow imports it
    return {name: value for name, value in found.items() if hasattr(value, "dag_id")}
