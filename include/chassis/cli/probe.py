"""What one process of an Airflow deployment sees, as JSON on standard output.

``chassis doctor`` runs it as ``python -m chassis.cli.probe`` in the environment that is examined, the local
stack's or that of this machine. So Airflow's configuration is seen as Airflow reads it.
"""

from __future__ import annotations

import json
import platform
import sys
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from chassis.errors import ChassisError

if TYPE_CHECKING:
    from chassis.settings import Settings

MARK = "chassis-probe:"
"""Begins the line that holds the facts; Airflow and its providers may print others."""


class Facts(BaseModel):
    """The facts; an empty text or None stands for what could not be found out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    python: str
    airflow: str = ""
    bundles: tuple[str, ...] = Field((), description="Class paths of the configured DAG bundles.")
    min_update_interval: int | None = Field(
        None, description="[core] min_serialized_dag_update_interval, seconds."
    )
    settings_fault: str = Field("", description="What is wrong with the [chassis] section.")
    pool: str = ""
    conn_id: str = ""
    connection_found: bool = False
    store: str = Field("", description="Root of the plan store.")
    store_fault: str = Field("", description="Why the plan store can't be listed.")
    claude_ok: bool = False
    claude: str = Field("", description="What the connection's test said.")


def read_facts() -> Facts:
    """Find everything out; takes seconds, and calls Claude once, for one token."""
    from airflow import __version__
    from airflow.sdk.configuration import conf

    found: dict[str, Any] = {"python": platform.python_version(), "airflow": __version__}
    bundles = conf.getjson("dag_processor", "dag_bundle_config_list", fallback=[])
    found["bundles"] = tuple(str(bundle.get("classpath")) for bundle in bundles)
    found["min_update_interval"] = conf.getint("core", "min_serialized_dag_update_interval")
    try:
        from chassis.settings import Settings

        settings = Settings.load()
    except ChassisError as error:
        return Facts(**found, settings_fault=str(error))
    found |= {"pool": settings.pool, "conn_id": settings.conn_id, "store": settings.plans_root}
    return Facts(**found, **_store(settings), **_connection(settings))


def _store(settings: Settings) -> dict[str, Any]:
    from chassis.plans.store import PlanStore

    try:
        PlanStore(settings.plans_root, settings.storage_conn_id).heads()
    except ChassisError as error:
        return {"store_fault": str(error)}
    return {}


def _connection(settings: Settings) -> dict[str, Any]:
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException

    from chassis.claude.hook import ClaudeBedrockHook

    try:
        BaseHook.get_connection(settings.conn_id)
        found = True
    except AirflowNotFoundException:
        found = False
    ok, message = ClaudeBedrockHook(settings.conn_id).test_connection()
    return {"connection_found": found, "claude_ok": ok, "claude": message}


if __name__ == "__main__":
    sys.stdout.write(f"\n{MARK}{json.dumps(read_facts().model_dump(mode='json'))}\n")
