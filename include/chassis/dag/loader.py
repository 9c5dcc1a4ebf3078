"""Workflows of the plan store as DAGs, for a loader file to put into its globals.

A loader never raises: a plan that can't be read or built becomes a visible DAG tagged ``plan-error``, and no
sibling is touched. (One DAG of a file that fails to build makes Airflow mark every DAG of that file stale, and the
scheduler then ignores their runs.) In a worker, Airflow says which DAG it wants, and only that plan is read.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from airflow.sdk import get_parsing_context

from chassis.dag.factory import build_dag, build_error_dag
from chassis.errors import ChassisError
from chassis.settings import Settings
from chassis.workflow import load_plan

if TYPE_CHECKING:
    from airflow.sdk import DAG

log = logging.getLogger(__name__)


def load_dags(
    revisions: Mapping[str, int], read: Callable[[str], str], settings: Settings | None = None
) -> dict[str, DAG]:
    """DAGs by id, of all the workflows given or of the one that Airflow is parsing for.

    :param revisions: the revision of each workflow, by its id
    :param read: gives the plan text of a workflow id
    """
    settings = settings or Settings.load()
    wanted = get_parsing_context().dag_id
    ids = [wanted] if wanted in revisions else [] if wanted else sorted(revisions)
    return {workflow_id: _load(workflow_id, revisions[workflow_id], read, settings) for workflow_id in ids}


def _load(workflow_id: str, revision: int, read: Callable[[str], str], settings: Settings) -> DAG:
    try:
        spec = load_plan(read(workflow_id), source=f"{workflow_id} revision {revision}")
        if spec.id != workflow_id:
            return build_error_dag(workflow_id, f"The plan stored for '{workflow_id}' says that it is '{spec.id}'.")
        return build_dag(spec, revision=revision, settings=settings)
    except ChassisError as error:
        return build_error_dag(workflow_id, str(error))
    except Exception as error:  # noqa: BLE001  a loader never raises; the reason is shown instead
        log.warning("The plan of workflow %s can't be built.", workflow_id, exc_info=True)
        return build_error_dag(workflow_id, f"Airflow can't build this plan: {type(error).__name__}: {error}")


def load_current_dags() -> dict[str, DAG]:
    """The newest plan of every workflow, for a deployment that can't configure ``PlanBundle``.

    Where ``PlanBundle`` is configured, nothing: it serves the same workflows, with runs pinned to their plans.
    """
    from airflow.sdk.configuration import conf

    from chassis.plans.store import PlanStore

    if "PlanBundle" in conf.get("dag_processor", "dag_bundle_config_list", fallback=""):
        return {}
    settings = Settings.load()
    store = PlanStore(settings.plans_root, settings.plans_conn_id)
    heads = store.heads()
    revisions = {workflow_id: head.revision for workflow_id, head in heads.items()}
    return load_dags(revisions, lambda workflow_id: store.read_text(heads[workflow_id]), settings)
