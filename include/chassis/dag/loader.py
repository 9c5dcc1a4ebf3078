"""Loads the plan store's workflows as DAGs, for a loader file to put into its globals.

A loader never raises: a plan that can't be read or built becomes a visible DAG tagged ``plan-error``, and the other
plans stay untouched. (If one DAG of a file fails to build, Airflow marks every DAG of that file stale, and the
scheduler then ignores their runs.) In a worker, Airflow names the DAG that it wants, and only that plan is read.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from airflow.sdk import get_parsing_context

from chassis.dag.factory import build_dag, build_error_dag
from chassis.errors import ChassisError
from chassis.plans.refs import PlanRef
from chassis.plans.store import PlanStore
from chassis.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import DAG

log = logging.getLogger(__name__)


def load_shard(names: Mapping[str, str], *, cache: str) -> dict[str, DAG]:
    """The DAGs of a ``PlanBundle`` loader file, or the one that Airflow is parsing the file for.

    :param names: plan file by workflow id
    :param cache: folder for copies of plans from a store on S3
    """
    refs = {workflow_id: PlanRef.parse(workflow_id, name) for workflow_id, name in names.items()}
    return _load({workflow_id: ref for workflow_id, ref in refs.items() if ref}, Path(cache))


def load_current_dags() -> dict[str, DAG]:
    """The newest plan of every workflow, for a deployment that can't configure ``PlanBundle``.

    Returns nothing if ``PlanBundle`` is configured: it serves the same workflows, with runs pinned to their plans.
    """
    from airflow.sdk.configuration import conf

    if "PlanBundle" in conf.get("dag_processor", "dag_bundle_config_list", fallback=""):
        return {}
    settings = Settings.load()
    heads = PlanStore(settings.plans_root, settings.storage_conn_id).heads()
    return _load(heads, None)


def _load(refs: Mapping[str, PlanRef], cache: Path | None) -> dict[str, DAG]:
    settings = Settings.load()
    store = PlanStore(settings.plans_root, settings.storage_conn_id, cache=cache)
    wanted = get_parsing_context().dag_id
    chosen = refs.values() if wanted is None else [refs[wanted]] if wanted in refs else []
    return {ref.id: _load_one(ref, store, settings) for ref in chosen}


def _load_one(ref: PlanRef, store: PlanStore, settings: Settings) -> DAG:
    try:
        return build_dag(store.read(ref), revision=ref.revision, settings=settings, retired=ref.retired)
    except ChassisError as error:
        return build_error_dag(ref.id, str(error))
    except Exception as error:
        log.warning("The plan of workflow %s can't be built.", ref.id, exc_info=True)
        return build_error_dag(ref.id, f"Airflow can't build this plan: {type(error).__name__}: {error}")
