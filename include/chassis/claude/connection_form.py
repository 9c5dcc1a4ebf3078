"""The connection type ``claude_bedrock`` in the form of Airflow's provider information: pure data, no imports.

Airflow 3.3 draws a connection's form from this, without importing the hook. Connections of type ``aws`` work, too: they
hold the same options under the key ``claude`` of the extra, see ``chassis.claude.connection_options``.
"""

from __future__ import annotations

from typing import Any

CONNECTION_TYPE = "claude_bedrock"


def _text(label: str, description: str, **schema: Any) -> dict[str, Any]:
    return {"label": label, "description": description, "schema": {"type": ["string", "null"], **schema}}


def _number(label: str, description: str, **schema: Any) -> dict[str, Any]:
    return {"label": label, "description": description, "schema": {"type": ["number", "null"], **schema}}


CONNECTION_TYPES: list[dict[str, Any]] = [
    {
        "connection-type": CONNECTION_TYPE,
        "hook-class-name": "chassis.claude.hook.ClaudeBedrockHook",
        "hook-name": "Claude on Amazon Bedrock",
        "ui-field-behaviour": {
            "hidden-fields": ["host", "schema", "port"],
            "relabeling": {"login": "AWS access key id", "password": "AWS secret access key"},
            "placeholders": {"login": "empty: AWS's default chain (environment, profile, instance role)"},
        },
        "conn-fields": {
            "region_name": _text("AWS region", "Region whose Bedrock is called, such as us-east-1."),
            "model": _text(
                "Model", "Bedrock model id or inference profile; empty: the setting [chassis] model."
            ),
            "model_behind": _text(
                "Model behind a name",
                "Where a name doesn't tell its model, for its price: ARN=MODEL, with commas between several.",
            ),
            "role_arn": _text(
                "Role to assume", "ARN of a role; its credentials are renewed while they are in use."
            ),
            "profile_name": _text(
                "AWS profile", "Profile of the shared configuration files on each machine."
            ),
            "aws_session_token": _text(
                "AWS session token", "Belongs to temporary keys; nobody renews it.", format="password"
            ),
            "bearer_token": _text("Bedrock API key", "Used instead of AWS keys.", format="password"),
            "endpoint_url": _text(
                "Endpoint", "Address of a VPC endpoint, a proxy or the simulator; empty: AWS's own."
            ),
            "effort": _text(
                "Effort", "low, medium, high, xhigh or max; empty: as the agent says, or else the model."
            ),
            "thinking": _text(
                "Thinking", "adaptive or disabled; empty: as the agent says, or else the model."
            ),
            "anthropic_version": _text(
                "anthropic_version", "Version of the request format; empty: bedrock-2023-05-31."
            ),
            "timeout_seconds": _number(
                "Timeout (s)",
                "Longest silence within an answer; empty: 600, and 1,200 where the model thinks.",
                minimum=1,
            ),
            "connect_timeout_seconds": _number("Connect timeout (s)", "Empty: 10.", minimum=1),
            "max_retries": _number(
                "Retries", "Quick retries before Airflow's own; empty: 2.", minimum=0, maximum=10
            ),
            "max_in_flight": _number(
                "Calls in flight", "To one model, in each process; empty: 32.", minimum=1, maximum=1_000
            ),
        },
    }
]
"""For the key ``connection-types`` of the provider's information."""
