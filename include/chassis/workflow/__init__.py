"""What a plan is: its parts, rules, graph, text and digest.

Pure: it imports neither Airflow nor the Claude SDK, and reads no clock and no file.
"""

from chassis.workflow.given import Given, check_given
from chassis.workflow.graph import ItemSource, TaskGraph
from chassis.workflow.input_values import check_items
from chassis.workflow.names import CARRY_OVER, nearest
from chassis.workflow.placeholders import render_instruction
from chassis.workflow.plan_check import check_plan
from chassis.workflow.plan_text import dump_plan, load_plan, plan_digest
from chassis.workflow.schedules import Schedule
from chassis.workflow.service_lists import plan_warnings
from chassis.workflow.spec import (
    ForEach,
    InputSpec,
    Limits,
    Provenance,
    SpendLimits,
    TaskSpec,
    WorkflowSpec,
)

__all__ = [
    "CARRY_OVER",
    "ForEach",
    "Given",
    "InputSpec",
    "ItemSource",
    "Limits",
    "Provenance",
    "Schedule",
    "SpendLimits",
    "TaskGraph",
    "TaskSpec",
    "WorkflowSpec",
    "check_given",
    "check_items",
    "check_plan",
    "dump_plan",
    "load_plan",
    "nearest",
    "plan_digest",
    "plan_warnings",
    "render_instruction",
]
