"""The planner's trigger form: what a person sets, which Claude's plan can't change.

Airflow shows fields without a section first, and open; the sections below are closed. So what a first plan needs comes
first, and the rest is optional. Optional fields are nullable: the form demands a value of any other field. Airflow
checks patterns and bounds at the trigger; Chassis checks the rest before it asks Claude.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.sdk import Param

from chassis.contract.names import ACTION_PUBLISH, ACTION_RUN
from chassis.dag.planning_request import NONE

if TYPE_CHECKING:
    from collections.abc import Mapping

_OPTIONAL: dict[str, Any] = {"type": ["string", "null"]}
_FIVE_FIELDS_OR_PRESET = r"^\s*([nN][oO][nN][eE]|@[A-Za-z]+|\S+(\s+\S+){4})?\s*$"
_DOLLARS_OR_NONE = r"^\s*([nN][oO][nN][eE]|[0-9]+\.?[0-9]*|\.[0-9]+)?\s*$"
_TIMEZONES = """UTC Europe/Berlin Europe/London America/New_York America/Chicago America/Los_Angeles America/Sao_Paulo
Asia/Kolkata Asia/Singapore Asia/Tokyo Australia/Sydney"""


def planner_form(given: Mapping[str, Any]) -> dict[str, Param]:
    """The params of a planner's DAG, in the order of the form.

    :param given: defaults of ``requirement``, ``workflow_id`` and ``inputs``; None leaves them to the person
    """
    return _first(given) | _more(given)


def _first(given: Mapping[str, Any]) -> dict[str, Param]:
    when, limits = partial(Param, section="When it runs"), partial(Param, section="Limits")
    return {
        "requirement": Param(
            **({"default": given["requirement"]} if given["requirement"] else {}),
            type="string",
            minLength=1,
            maxLength=100_000,
            format="multiline",
            title="Requirement",
            description="What you want done, in plain words.",
        ),
        "action": Param(
            ACTION_RUN,
            type="string",
            enum=[ACTION_RUN, ACTION_PUBLISH],
            values_display={ACTION_RUN: "Run the workflow", ACTION_PUBLISH: "Publish it without running it"},
            title="After planning",
            description="What happens once there is a plan, and it is approved where it has to be.",
        ),
        "schedule": when(
            None,
            **_OPTIONAL,
            pattern=_FIVE_FIELDS_OR_PRESET,
            examples=["0 6 * * 1", "@hourly", "@daily", "@weekly", "@monthly", NONE],
            title="Schedule",
            description="A cron (minute, hour, day, month, weekday) or a preset. Empty: a new workflow is started "
            "manually, an existing one keeps its schedule. none: remove the schedule.",
        ),
        "timezone": when(
            None,
            **_OPTIONAL,
            examples=_TIMEZONES.split(),
            title="Timezone",
            description="IANA name, such as Europe/Berlin. Empty: the workflow's own, else UTC.",
        ),
        "budget_usd": limits(
            None,
            type=["string", "number", "null"],
            pattern=_DOLLARS_OR_NONE,
            exclusiveMinimum=0,
            examples=["1", "5", "20", NONE],
            title="Budget in US dollars",
            description="What one run may spend; at most one call goes past it. Empty: a new workflow has no budget, "
            "an existing one keeps its own. none: remove the budget.",
        ),
    }


def _more(given: Mapping[str, Any]) -> dict[str, Param]:
    more = partial(Param, section="More")
    return {
        "workflow_id": more(
            given["workflow_id"],
            **_OPTIONAL,
            pattern="^([a-z][a-z0-9_]{0,99})?$",
            title="Workflow ID",
            description="Lower-case letters, digits and underscores. An existing workflow gets a new revision. Empty: "
            "the planner chooses the ID.",
        ),
        "inputs": more(
            given["inputs"],
            type=["object", "null"],
            title="Inputs",
            description="Values of the plan's inputs, as a JSON object. An existing workflow keeps the values that you "
            "leave out; null removes one.",
        ),
        "continue_from": more(
            None,
            **_OPTIONAL,
            examples=["latest"],
            title="Continue from",
            description="Run ID or latest. Revises the existing plan and reuses results that are still valid. Empty: "
            "make a new plan.",
        ),
        "approve": more(
            None,
            **_OPTIONAL,
            enum=[None, "changed", "always", NONE],
            values_display={
                "None": "As before",
                "changed": "When the plan has changed",
                "always": "Always",
                NONE: "Only as configured",
            },
            title="Approval",
            description="Require approval in addition to the configured policy. The workflow keeps your choice.",
        ),
        "max_parallel": more(
            None,
            type=["integer", "null"],
            minimum=1,
            maximum=1000,
            title="Maximum parallel calls",
            description="Calls to Claude that one run may have at a time. Empty: the workflow's own, else 16.",
        ),
        "model": more(
            None,
            **_OPTIONAL,
            title="Planner model",
            description="Bedrock model ID. Empty: the configured model.",
        ),
    }
