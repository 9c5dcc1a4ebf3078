"""What Airflow's provider manager asks of an installed distribution."""

from __future__ import annotations

from typing import Any

from chassis import __version__
from chassis.claude.connection_form import CONNECTION_TYPES
from chassis.settings import SECTION, Settings


def get_provider_info() -> dict[str, Any]:
    """Name, connection type, ``@task.claude``, and the configuration options, read from :class:`Settings`."""
    return {
        "package-name": "airflow-chassis",
        "name": "Chassis",
        "description": "Plans requirements with Claude on Amazon Bedrock and runs the plans as DAGs.",
        "versions": [__version__],
        "connection-types": CONNECTION_TYPES,
        "task-decorators": [{"name": "claude", "class-name": "chassis.dag.decorator.claude_task"}],
        "config": {
            SECTION: {
                "description": "Chassis: planner, plan store and calls to Claude.",
                "options": {
                    name: {
                        "description": field.description,
                        "version_added": __version__,
                        "type": "string",
                        "example": None,
                        "default": None,
                    }
                    for name, field in Settings.model_fields.items()
                },
            }
        },
    }
