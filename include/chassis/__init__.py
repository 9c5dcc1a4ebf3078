"""Chassis: a requirement becomes a plan, the plan a DAG, and Claude on Amazon Bedrock does its tasks.

This module is imported at every Airflow task start and therefore imports nothing; the public names are imported when
they are asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from chassis.dag.operators import ClaudeTaskOperator
    from chassis.dag.planner import planner_dag
    from chassis.plans.bundle import PlanBundle
    from chassis.workflow import Limits, SpendLimits, TaskSpec, WorkflowSpec

_PLACES = {
    "ClaudeTaskOperator": "chassis.dag.operators",
    "Limits": "chassis.workflow",
    "PlanBundle": "chassis.plans.bundle",
    "SpendLimits": "chassis.workflow",
    "TaskSpec": "chassis.workflow",
    "WorkflowSpec": "chassis.workflow",
    "planner_dag": "chassis.dag.planner",
}
"""The public names, and the modules that have them."""

__all__ = [
    "ClaudeTaskOperator",
    "Limits",
    "PlanBundle",
    "SpendLimits",
    "TaskSpec",
    "WorkflowSpec",
    "__version__",
    "planner_dag",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_PLACES[name]), name)
