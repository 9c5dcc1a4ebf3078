"""The plan that a run follows, and earlier ones."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from chassis.errors import PlanNotFoundError
from chassis.plans.refs import is_id
from chassis.plans.store import PlanStore

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

    from chassis.plans.refs import PlanRef
    from chassis.settings import Settings
    from chassis.workflow import WorkflowSpec


@dataclass(frozen=True)
class RunPlan:
    """A plan as a run has it.

    :ivar ref: its revision in the plan store
    :ivar pinned: whether the run is pinned to it; if not, it is the newest, because nothing pins runs here
    """

    ref: PlanRef
    spec: WorkflowSpec
    pinned: bool


def store_of(settings: Settings) -> PlanStore:
    return PlanStore(settings.plans_root, settings.storage_conn_id)


def plan_of_run(settings: Settings, dag_id: str, bundle_version: str | None) -> RunPlan | None:
    """The plan of a workflow's run; None for a DAG that isn't a workflow of the plan store.

    :param bundle_version: what Airflow wrote to the run when it started
    :raises PlanError: the plan's file was edited by hand
    :raises StoreError: the plan store is out of reach
    """
    if not is_id(dag_id):
        return None
    if bundle_version and (
        found := _pinned(settings.plans_root, settings.storage_conn_id, dag_id, bundle_version)
    ):
        return found
    store = store_of(settings)
    refs = store.revisions(dag_id)
    return RunPlan(refs[-1], store.read(refs[-1]), pinned=False) if refs else None


def inputs_of_run(spec: WorkflowSpec | None, run: DagRun) -> dict[str, Any]:
    """The values of the plan's inputs with which a run was started."""
    given = run.conf if isinstance(run.conf, dict) else {}
    return {name: given.get(name, part.default) for name, part in spec.inputs.items()} if spec else {}


def revision_before(settings: Settings, ref: PlanRef) -> RunPlan | None:
    """The previous revision's plan; None for the first."""
    store = store_of(settings)
    before = [each for each in store.revisions(ref.id) if each.revision < ref.revision]
    return RunPlan(before[-1], store.read(before[-1]), pinned=True) if before else None


@lru_cache(maxsize=256)
def _pinned(root: str, conn_id: str, dag_id: str, version: str) -> RunPlan | None:
    """A workflow's plan in a version of the bundle. It never changes, so each is read once."""
    store = PlanStore(root, conn_id)
    try:
        ref = store.version_heads(version).get(dag_id)
    except PlanNotFoundError:
        return None  # A version of another bundle, with its own DAGs.
    return RunPlan(ref, store.read(ref), pinned=True) if ref else None
