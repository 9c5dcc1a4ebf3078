"""Claude's options in an Airflow connection.

A connection of Chassis's own type (``claude_bedrock``, with a form) holds them at the top level of its extra. A
connection of type ``aws``, whose extra serves many services, holds them under the key ``claude``. That key works in
both types and takes precedence. Unknown options under it are refused; all faults are reported at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from chassis.claude.connection_form import CONNECTION_TYPE
from chassis.errors import ConnectionSetupError
from chassis.workflow.spec import Effort, Thinking

if TYPE_CHECKING:
    from airflow.sdk import Connection

KEY = "claude"


class ClaudeOptions(BaseModel):
    """How to call Claude through one connection."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str | None = Field(
        None, description="Model for who names none; None for the setting [chassis] model."
    )
    model_behind: dict[str, str] = Field(
        {},
        description="Model behind a name that doesn't tell it, such as an application inference profile's ARN: for its "
        "price and for what is known of it. As text: NAME=MODEL, with commas.",
    )
    effort: Effort | None = Field(
        None,
        description="How hard Claude tries, where neither task nor agent says; None: the model's own. Not sent to "
        "models that don't take it.",
    )
    thinking: Thinking | None = Field(
        None,
        description="Whether Claude thinks before it answers, where neither task nor agent says; None: the model's "
        "own. Not sent to models that don't take it.",
    )
    anthropic_version: str = Field(
        "bedrock-2023-05-31", description="Version of the request format, in the body."
    )
    timeout_seconds: float | None = Field(
        None,
        gt=0,
        description="Longest silence within an answer, in seconds; None: 600, and 1,200 where the model thinks.",
    )
    connect_timeout_seconds: float = Field(10, gt=0, description="Longest wait for a connection, in seconds.")
    max_retries: int = Field(2, ge=0, le=10, description="Quick retries of a call, before Airflow's retries.")
    max_in_flight: int = Field(
        32,
        ge=1,
        le=1_000,
        description="Calls in flight at once to one model, in each process (the triggerer makes most). "
        "Chassis finds a lower quota of Bedrock's by itself and keeps below it.",
    )

    @field_validator("model_behind", mode="before")
    @classmethod
    def _from_text(cls, given: Any) -> Any:
        """The connection form has a single line for it."""
        if not isinstance(given, str):
            return given
        pairs = [pair.rpartition("=") for pair in given.split(",") if pair.strip()]
        if not all(name.strip() and model.strip() for name, _, model in pairs):
            raise ValueError("write NAME=MODEL, with commas between several")
        return {name.strip(): model.strip() for name, _, model in pairs}

    def behind(self, model: str) -> str:
        """The name under which to look up the price and the facts of ``model``."""
        return self.model_behind.get(model, model)


NO_OPTIONS = ClaudeOptions()
"""For a connection that sets none."""


def read_options(connection: Connection | None) -> ClaudeOptions:
    """The options of ``connection``; the defaults if it is None.

    :raises ConnectionSetupError: names each unknown or unusable option
    """
    if connection is None:
        return NO_OPTIONS
    given = claude_extra(connection)
    nested = given.pop(KEY, {})
    if not isinstance(nested, dict):
        nested = {KEY: nested}
    own = connection.conn_type == CONNECTION_TYPE
    flat = {name: given[name] for name in ClaudeOptions.model_fields if own and name in given}
    try:
        return ClaudeOptions(**(flat | nested))
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise ConnectionSetupError(
            f"The options of Claude in the Airflow connection '{connection.conn_id}' are wrong: {faults}.",
            hint=f"Its extra may set {', '.join(ClaudeOptions.model_fields)}.",
        ) from None


def claude_extra(connection: Connection) -> dict[str, Any]:
    """The connection's extra without empty values: a form stores a blank field as an empty string."""
    extra: dict[str, Any] = connection.extra_dejson
    return {name: value for name, value in extra.items() if value not in ("", None)}


def connection_options(conn_id: str) -> ClaudeOptions:
    """The options that the connection sets; none if it doesn't exist.

    Doesn't import the AWS SDK, so a worker can use it to prepare a request.

    :raises ConnectionSetupError: the connection's options are invalid
    """
    return read_options(_connection(conn_id))


def has_own_endpoint(conn_id: str) -> bool:
    """Whether the connection sets its own endpoint, such as a simulator's, instead of using AWS's."""
    connection = _connection(conn_id)
    extra = {} if connection is None else claude_extra(connection)
    services = extra.get("service_config")
    of_bedrock = services.get("bedrock-runtime") if isinstance(services, dict) else None
    own = of_bedrock.get("endpoint_url") if isinstance(of_bedrock, dict) else None
    return bool(own or extra.get("endpoint_url"))


def _connection(conn_id: str) -> Connection | None:
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        return BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        return None
