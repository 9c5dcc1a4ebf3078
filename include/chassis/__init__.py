"""Chassis: a requirement becomes a plan, the plan a DAG, and Claude on Amazon Bedrock does its tasks.

The names below are the public ones. Everything else is private, and may change with any version.

This module is imported at every Airflow task start and therefore imports nothing: a name's module is imported when the
name is asked for.
"""

from __future__ import annotations

TYPE_CHECKING = False  # not from typing, whose import takes more than all the rest
if TYPE_CHECKING:
    from chassis.contract.usage import Usage as Usage
    from chassis.contract.xcoms import TaskResult as TaskResult
    from chassis.dag.loader import load_current_dags as load_current_dags
    from chassis.dag.operators import ClaudeTaskOperator as ClaudeTaskOperator
    from chassis.dag.planner import planner_dag as planner_dag
    from chassis.dag.upkeep import upkeep_dag as upkeep_dag
    from chassis.errors import ChassisError as ChassisError
    from chassis.errors import PlanError as PlanError
    from chassis.plans.bundle import PlanBundle as PlanBundle
    from chassis.workflow import ForEach as ForEach
    from chassis.workflow import InputSpec as InputSpec
    from chassis.workflow import Limits as Limits
    from chassis.workflow import Schedule as Schedule
    from chassis.workflow import SpendLimits as SpendLimits
    from chassis.workflow import TaskSpec as TaskSpec
    from chassis.workflow import WorkflowSpec as WorkflowSpec
    from chassis.workflow import check_plan as check_plan
    from chassis.workflow import dump_plan as dump_plan
    from chassis.workflow import load_plan as load_plan

__version__ = "0.1.0"

_MODULES = {
    "ClaudeTaskOperator": "dag.operators",
    "planner_dag": "dag.planner",
    "PlanBundle": "plans.bundle",
    "load_current_dags": "dag.loader",
    "upkeep_dag": "dag.upkeep",
    "WorkflowSpec": "workflow",
    "TaskSpec": "workflow",
    "ForEach": "workflow",
    "InputSpec": "workflow",
    "Schedule": "workflow",
    "Limits": "workflow",
    "SpendLimits": "workflow",
    "load_plan": "workflow",
    "check_plan": "workflow",
    "dump_plan": "workflow",
    "TaskResult": "contract.xcoms",
    "Usage": "contract.usage",
    "ChassisError": "errors",
    "PlanError": "errors",
}
"""The public names in the order in which the reference has them, and the modules that have them."""

__all__ = ["__version__", *_MODULES]


if not TYPE_CHECKING:  # so that a type checker refuses a name that isn't there

    def __getattr__(name):
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
