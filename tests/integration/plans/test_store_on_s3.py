"""What is particular to a store on S3: local copies, forked processes, and servers that fail."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from chassis.errors import PlanNotFoundError, StoreError
from chassis.plans.bundle import PlanBundle
from chassis.plans.store import PlanStore
from tests.integration.s3 import CONN_ID, connection_to

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from chassis.plans.refs import PlanRef
    from chassis.workflow import WorkflowSpec

    Plan = Callable[..., WorkflowSpec]


@pytest.fixture
def no_server(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From its call on, the connection leads to a port at which nobody answers."""

    def cut() -> None:
        nowhere = connection_to("http://127.0.0.1:9", config_kwargs={"retries": {"max_attempts": 0}})
        for name, value in nowhere.items():
            monkeypatch.setenv(name, value)

    return cut


def test_a_bucket_that_is_not_there_is_an_error_and_no_empty_store(s3_root: str, plan: Plan) -> None:
    store = PlanStore("s3://no-such-bucket/plans", CONN_ID)
    for attempt in (store.heads, lambda: store.revisions("add_pet"), lambda: store.publish(plan("add_pet"))):
        with pytest.raises(StoreError, match="s3://no-such-bucket/plans") as caught:
            attempt()
        assert caught.value.retryable
    with pytest.raises(StoreError, match="s3://no-such-bucket/plans"):
        store.version_heads("0123456789abcdef")


def test_a_server_that_does_not_answer_is_an_error_and_no_empty_store(
    s3_root: str, no_server: Callable[[], None]
) -> None:
    no_server()
    with pytest.raises(StoreError, match="can't list s3://"):
        PlanStore(s3_root, CONN_ID).heads()


def test_a_plan_that_was_read_once_is_read_again_without_the_network(
    s3_root: str, tmp_path: Path, plan: Plan, no_server: Callable[[], None]
) -> None:
    PlanStore(s3_root, CONN_ID).publish(plan("add_pet"))
    store = PlanStore(s3_root, CONN_ID, cache=tmp_path)
    ref = store.get("add_pet")
    store.read(ref)
    no_server()
    assert PlanStore(s3_root, CONN_ID, cache=tmp_path).read(ref) == plan("add_pet")


def test_plans_are_fetched_at_once_and_only_those_that_are_missing(
    s3_root: str, tmp_path: Path, plan: Plan, no_server: Callable[[], None]
) -> None:
    store = PlanStore(s3_root, CONN_ID, cache=tmp_path)
    for number in range(5):
        store.publish(plan(f"workflow_{number}"))
    refs = store.heads().values()
    store.fetch(list(refs)[:2])
    store.fetch(refs)
    no_server()
    offline = PlanStore(s3_root, CONN_ID, cache=tmp_path)
    offline.fetch(refs)
    assert [offline.read(ref).id for ref in refs] == [f"workflow_{number}" for number in range(5)]


def test_a_plan_that_vanished_from_the_bucket_is_not_fetched_silently(
    s3_root: str, tmp_path: Path, plan: Plan
) -> None:
    store = PlanStore(s3_root, CONN_ID, cache=tmp_path)
    store.publish(plan("add_pet"))
    ref = store.get("add_pet")
    from airflow.sdk.io import get_fs

    get_fs("s3", CONN_ID).rm(store.locate(ref))
    with pytest.raises(StoreError):
        store.fetch([ref])
    with pytest.raises(PlanNotFoundError, match=store.locate(ref)):
        store.read(ref)


def test_a_forked_process_goes_on_with_the_store_of_its_parent(s3_root: str, plan: Plan) -> None:
    """Airflow parses DAG files and runs tasks in forks of processes that have used the store."""
    store = PlanStore(s3_root, CONN_ID)
    store.publish(plan("add_pet"))
    ref: PlanRef = store.get("add_pet")
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if store.read(ref) == plan("add_pet") else 2
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0


def test_once_refreshed_the_bundle_needs_no_network_to_parse_its_plans(
    s3_root: str,
    tmp_path: Path,
    plan: Plan,
    monkeypatch: pytest.MonkeyPatch,
    no_server: Callable[[], None],
) -> None:
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH", str(tmp_path))
    monkeypatch.setenv("AIRFLOW__CHASSIS__PLANS_ROOT", s3_root)
    monkeypatch.setenv("AIRFLOW__CHASSIS__STORAGE_CONN_ID", CONN_ID)
    store = PlanStore(s3_root, CONN_ID)
    for workflow_id in ("add_pet", "report"):
        store.publish(plan(workflow_id))
    current = PlanBundle(name="plans")
    current.initialize()
    version = current.get_current_version()
    assert version
    pinned = PlanBundle(name="plans", version=version.version)
    pinned.initialize()
    no_server()
    with pytest.raises(StoreError):
        PlanBundle(name="plans").refresh()
    offline = PlanStore(s3_root, CONN_ID, cache=pinned.copies)
    assert {ref.id for ref in offline.version_heads(version.version).values()} == {"add_pet", "report"}
    assert [offline.read(ref).id for ref in offline.version_heads(version.version).values()] == [
        "add_pet",
        "report",
    ]
