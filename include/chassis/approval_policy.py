"""Decides on a plan: whether to ask a person, which plan an answer means, whether an edit keeps the rules.

Pure: it reads no clock, no file and no store. The planner's task ``approve``, the page and the command line share it.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Literal

from chassis.errors import PlanError, PlanFault
from chassis.workflow import load_plan

if TYPE_CHECKING:
    from collections.abc import Collection

    from chassis.estimate import Estimate
    from chassis.workflow import WorkflowSpec

Approve = Literal["always", "changed", "never"]
"""When a person must approve a plan: always, when it changed, or never."""

CODE_DIGITS = 12
"""Minimum hex digits of a digest that name a plan. With fewer, one could construct another plan with the same code."""

_CODE = re.compile(rf"(?:plan:)?([0-9a-f]{{{CODE_DIGITS},64}})")


def reason_without(
    *,
    configured: Approve,
    demanded: Approve | None,
    over_usd: float | None,
    unchanged: bool,
    estimate: Estimate | None,
) -> str:
    """Why a plan needs no approval, in words; empty if a person must decide.

    A run's demand adds to the configured policy, and no amount of dollars lifts it. So a run can only be stricter.

    :param configured: the setting of the planner DAG, or else of the deployment
    :param demanded: what this run demands; None: nothing more
    :param over_usd: dollars up to which the configured setting lets a plan pass; None: no plan passes by its price
    :param unchanged: whether the plan is the workflow's newest revision
    :param estimate: of the plan; needed only with ``over_usd``
    """
    if demanded == "always" or (demanded == "changed" and not unchanged):
        return ""
    if configured == "never":
        return "no approval is asked for"
    if configured == "changed" and unchanged:
        return "the plan is the workflow's newest revision"
    # By the estimate's maximum: the expected cost rests on a guess, and may be far too low.
    most = None if estimate is None or estimate.open_ended else estimate.usd_at_most
    if over_usd is not None and most is not None and most <= over_usd:
        return f"the estimate is ${most:,.2f} at most, and up to ${over_usd:,.2f} nobody is asked"
    return ""


def plan_code(digest: str) -> str:
    """The text by which a person names a plan in Airflow's own form.

    The prefix keeps it a text: a JSON or YAML parser may read twelve digits alone as a number.
    """
    return f"plan:{digest[:CODE_DIGITS]}"


def names_plan(answer: Any, digest: str) -> bool:
    """Whether an answer's ``plan`` names the plan with that digest: by its code, or by 12 to 64 digits of the digest.

    A number counts as its digits, because Airflow's form turns a text of digits into one; a number that lost digits
    on the way (``12e10``) names no plan.
    """
    text = str(answer) if isinstance(answer, int) and not isinstance(answer, bool) else answer
    code = _CODE.fullmatch(text.strip().lower()) if isinstance(text, str) else None
    return code is not None and digest.startswith(code[1])


def answer_text(value: Any) -> str:
    """A field of an answer as the text that the person typed.

    Airflow's form turns a text that begins with ``{`` into an object: a plan may be written as JSON, which is YAML.
    """
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def checked_edit(
    text: str, *, agents: Collection[str], services: Collection[str], workflow_id: str | None = None
) -> WorkflowSpec:
    """The plan that a person wrote in place of a proposed one, checked against the same rules as every plan.

    :param agents: names of the agents that a plan may name: all but the planning agent
    :param services: names of the catalogue's services
    :param workflow_id: the proposal's workflow, which an edit can't change; None: any
    :raises PlanError: lists all faults
    """
    spec = load_plan(text, source="as edited", agents=agents, services=services)
    if workflow_id is not None and spec.id != workflow_id:
        message = f"must stay '{workflow_id}': the plan becomes that workflow's next revision"
        hint = "Start the planner with another workflow id."
        raise PlanError([PlanFault("other_workflow", "id", message)], subject="The plan as edited", hint=hint)
    return spec
