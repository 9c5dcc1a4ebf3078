"""Every option of Chassis: the ``[chassis]`` section of Airflow's configuration, read once into one frozen object.

Set an option in ``airflow.cfg`` or as ``AIRFLOW__CHASSIS__<NAME>``. Options of one connection (region, endpoint, model,
SDK retries and timeouts) are in that connection's extra instead, see ``chassis.claude.hook``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from chassis.errors import SettingsError

SECTION = "chassis"
_PACKAGE = Path(__file__).parent


def shipped(name: str) -> str:
    """Path of a file that ships with Chassis: beside the package in a checkout, inside it in an installed wheel."""
    checkout = _PACKAGE.parent / name
    return str(checkout if checkout.exists() else _PACKAGE / "defaults" / name)


def _airflow_home() -> Path:
    return Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser()


class Settings(BaseModel):
    """The options. Each number's description gives its unit; invalid values are refused, with all faults at once."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    conn_id: str = Field(
        "claude_bedrock", description="Airflow connection (type aws) that reaches Claude on Bedrock."
    )
    model: str = Field(
        "us.anthropic.claude-opus-4-6-v1",
        description="Bedrock model id or inference profile; an agent file, a plan and the connection can name another.",
    )
    plans_root: str = Field(
        default_factory=lambda: str(_airflow_home() / "plans"),
        description="Root of the plan store: a folder that all machines share, or an s3:// address (extra: s3).",
    )
    records_root: str = Field(
        default_factory=lambda: str(_airflow_home() / "records"),
        description="Root of the run records, the ledger and kept answers: a folder that all machines share, or s3://.",
    )
    storage_conn_id: str = Field(
        "", description="Airflow connection for s3:// roots; empty for AWS's default chain."
    )
    agents_folder: str = Field(
        default_factory=lambda: shipped("agents"), description="Folder of agent definition files (*.md)."
    )
    services_file: str = Field(
        default_factory=lambda: shipped("services.yaml"),
        description="Catalogue of the services that plans may name.",
    )
    pool: str = Field(
        "bedrock", description="Airflow pool that bounds the calls in flight; it must count deferred tasks."
    )
    shards: int = Field(
        16, ge=1, le=256, description="Number of loader files that workflows are spread over."
    )
    deferrable: bool = Field(
        True, description="Wait for Claude in the triggerer; false keeps a worker slot for each call."
    )
    plan_attempts: int = Field(
        3, ge=1, le=10, description="Proposals that the planner may make before it fails."
    )
    repair_attempts: int = Field(
        2,
        ge=0,
        le=10,
        description="Times that a task's answer may be sent back to Claude for breaking its schema.",
    )
    max_tokens: int | None = Field(
        None,
        ge=256,
        description="Output tokens that one answer may have. Empty: 16,000, and 32,000 where the model thinks, which "
        "counts as output.",
    )
    context_chars: int = Field(
        200_000,
        ge=1_000,
        description="Characters of upstream results in one prompt; what is over is cut, visibly.",
    )
    task_retries: int = Field(3, ge=0, le=20, description="Retries of a task whose plan doesn't say.")
    retry_delay_seconds: float = Field(
        10.0,
        ge=0,
        description="Wait before a task's first retry, in seconds; it doubles with each, up to ten minutes.",
    )
    task_timeout_minutes: int = Field(
        60, ge=1, description="Execution timeout of a task whose plan doesn't say, in minutes."
    )

    run_budget_usd: float | None = Field(
        None,
        gt=0,
        description="US dollars that any one run may spend; a plan can only set less. Empty: no ceiling.",
    )
    run_max_tokens: int | None = Field(
        None,
        gt=0,
        description="Tokens that any one run may use; a plan can only set less. Empty: no ceiling.",
    )
    run_max_calls: int | None = Field(
        None,
        gt=0,
        description="Calls that any one run may make; a plan can only set less. Empty: no ceiling.",
    )
    trace_content: bool = Field(
        False,
        description="Whether trace spans hold the prompt and the answer of each call, each cut at 16,000 characters.",
    )
    transcript_days: int = Field(
        30,
        ge=0,
        description="Days that transcripts of conversations with Claude are kept; 0 keeps none.",
    )

    approve: Literal["always", "changed", "never"] = Field(
        "always",
        description="When a person must approve a plan before it is published: always, when it changed, or never. "
        "A planner DAG can set another; one run can only be stricter.",
    )
    approve_over_usd: float | None = Field(
        None,
        ge=0,
        description="US dollars: a plan that its estimate says to cost at most that needs nobody's approval. "
        "Empty: the estimate doesn't matter.",
    )
    approvers: str = Field(
        "",
        description="User ids of those who may approve plans, with commas; empty: who may edit the planner DAG.",
    )
    approval_timeout_hours: float = Field(
        72.0, gt=0, description="Hours that a plan waits for a decision before the planner fails."
    )

    @classmethod
    def load(cls) -> Settings:
        """Read the options from Airflow's configuration.

        :raises SettingsError: names each invalid option and its value
        """
        from airflow.sdk.configuration import conf

        given: dict[str, Any] = {}
        for name in cls.model_fields:
            value = conf.get(SECTION, name, fallback=None)
            if value not in (None, ""):
                given[name] = value
        try:
            return cls(**given)
        except ValidationError as error:
            faults = "; ".join(
                f"{fault['loc'][0]} = {fault['input']!r}: {fault['msg']}" for fault in error.errors()
            )
            raise SettingsError(
                f"The [chassis] section of Airflow's configuration is wrong: {faults}.",
                hint="Correct it in airflow.cfg or in AIRFLOW__CHASSIS__<NAME>.",
            ) from None


def airflow_path() -> str:
    """Airflow's own path: empty, or ``/sub`` below a sub-path.

    It is a path, not an address, so people who reached Airflow by another host name stay there.
    """
    from airflow.sdk.configuration import conf

    return urlsplit(conf.get("api", "base_url", fallback="") or "").path.rstrip("/")
