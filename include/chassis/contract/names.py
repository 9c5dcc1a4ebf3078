"""Names that several parts share: DAGs, tags, tasks of the planner's DAG, operators, params and XComs."""

from __future__ import annotations

# XComs that tasks leave; chassis.contract.xcoms and chassis.contract.spending have their types.

RETURNED = "return_value"
"""What a task returned; Airflow's own key."""
CARD = "card"
"""A ``Card``, pushed before a task ends, whether it succeeds or fails."""
SPENDING = "spending"
"""A ``Spending``: what a task and its run have spent, whether the task succeeded or failed."""
ERROR = "error"
"""A ``TaskError``: why a task failed."""
PENDING_PLAN = "proposal"
"""A ``PendingPlan``: the plan that the task ``approve`` asks about."""

# DAGs

PLANNER_DAG = "plan_workflow"
"""Id of the DAG that plans requirements."""
TAG = "chassis"
"""Tag of all Chassis DAGs."""
ERROR_TAG = "plan-error"
"""Tag of a DAG that stands for a plan that can't be built."""
RETIRED_TAG = "retired"
SHORT_DIGEST = 12
"""Hex digits of a plan's digest in its tag, its code and its file name."""


def digest_tag(digest: str) -> str:
    """The tag that says which plan a DAG was built from."""
    return f"plan:{digest[:SHORT_DIGEST]}"


# Tasks of the planner's DAG, in order

PLAN = "plan"
APPROVE = "approve"
PUBLISH = "publish"
AWAIT = "await_dag"
TRIGGER = "trigger"

PLAN_OPERATOR = "PlanOperator"
"""Name of the operator that identifies a planner's run, whatever its DAG is called."""

ACTION_RUN, ACTION_PUBLISH = "run", "publish"
"""Values of the planner's param ``action``: publish and run the plan, or only publish it."""

APPROVE_PLAN, REVISE_PLAN, REJECT_PLAN = PLAN_OPTIONS = ("Approve", "Revise", "Reject")
"""What a person can answer to the task ``approve``."""

_STARTED_RUN = "planned__"


def started_run(planner_run_id: str) -> str:
    """Id of the run that a planner's run starts; fixed, so that a retry can't start a second one."""
    return f"{_STARTED_RUN}{planner_run_id}"


def planner_run_of(run_id: str) -> str | None:
    """Id of the planner's run that started a run; None if there is none."""
    return run_id.removeprefix(_STARTED_RUN) if run_id.startswith(_STARTED_RUN) else None
