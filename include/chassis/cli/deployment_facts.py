"""What one process of an Airflow deployment sees, as JSON on standard output.

``chassis doctor`` runs it as ``python -m chassis.cli.deployment_facts`` in the environment that is examined, the local
stack's or that of this machine. So Airflow's configuration is seen as Airflow reads it.
"""

from __future__ import annotations

import json
import platform
import sys
import uuid
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
    records: str = Field("", description="Root of the record store.")
    records_fault: str = Field("", description="Why a file can't be written, read and deleted there.")
    agents: tuple[str, ...] = Field((), description="Names of the agents that can be used.")
    agent_faults: tuple[str, ...] = Field((), description="What is wrong in the others' files.")
    services: int = Field(0, description="Entries of the catalogue that can be used.")
    service_faults: tuple[str, ...] = Field((), description="What is wrong in the catalogue.")
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
    found |= {"pool": settings.pool, "conn_id": settings.conn_id}
    found |= {"store": settings.plans_root, "records": settings.records_root}
    found |= _definitions(settings)
    return Facts(**found, **_store(settings), **_records(settings), **_connection(settings))


def _definitions(settings: Settings) -> dict[str, Any]:
    """The agents and the services, and what is wrong in their files."""
    from chassis.agents import read_agents
    from chassis.catalogue import load_catalogue

    found: dict[str, Any] = {}
    try:
        folder = read_agents(settings.agents_folder)
        found["agents"] = tuple(folder.agents)
        found["agent_faults"] = tuple(str(fault) for fault in folder.faults)
    except ChassisError as error:
        found["agent_faults"] = (error.message,)
    try:
        catalogue = load_catalogue(settings.services_file)
        found["services"] = len(catalogue.names)
        found["service_faults"] = tuple(str(fault) for fault in catalogue.faults)
    except ChassisError as error:
        found["service_faults"] = (error.message,)
    return found


def _store(settings: Settings) -> dict[str, Any]:
    from chassis.plans.store import PlanStore

    try:
        PlanStore(settings.plans_root, settings.storage_conn_id).heads()
    except ChassisError as error:
        return {"store_fault": str(error)}
    return {}


def _records(settings: Settings) -> dict[str, Any]:
    """Whether the record store takes a file, gives it back and lets it be deleted: all that is ever done there."""
    from chassis.records.run_records import open_records

    name, content = f"doctor-{uuid.uuid4().hex}.txt", b"Written by `chassis doctor`; can be deleted.\n"
    try:
        files = open_records(settings)
        files.create(name, content)
        read = files.read(name)
        files.delete([name])
    except ChassisError as error:
        return {"records_fault": str(error)}
    if read != content:
        return {"records_fault": f"{files.locate(name)} was read as something else than was written."}
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
