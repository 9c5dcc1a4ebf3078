"""The types that a workflow's plan declares for its inputs, as far as they are known beforehand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chassis.cli.target import connect, is_remote, open_store
from chassis.errors import PlanError, PlanNotFoundError

if TYPE_CHECKING:
    from pathlib import Path

    from chassis.airflow_client import Airflow, Json


def declared_types(home: Path, workflow_id: str) -> dict[str, str]:
    """Types by name of the newest revision's inputs; none where there is no such workflow, or its plan is broken."""
    if not workflow_id:
        return {}
    if is_remote():
        with connect(home).airflow as airflow:
            return types_of_dag(airflow, workflow_id)
    try:
        store = open_store(home)
        spec = store.read(store.get(workflow_id))
    except (PlanError, PlanNotFoundError):
        return {}
    return {name: given.type for name, given in spec.inputs.items()}


def types_of_dag(airflow: Airflow, dag_id: str) -> dict[str, str]:
    """Types by name of a DAG's params, as Airflow has them; none where there is no such DAG."""
    return {name: kind for name, param in airflow.params(dag_id).items() if (kind := _kind(param))}


def _kind(param: Json) -> str:
    kind = (param.get("schema") or {}).get("type")
    return kind if isinstance(kind, str) else ""
