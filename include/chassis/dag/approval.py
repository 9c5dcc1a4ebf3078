"""The planner's task ``approve``: lets a plan through once a person has approved it, or if nobody has to.

The task parks (``awaiting_input``), which holds no slot and runs no trigger. Airflow resumes it with each answer from
its own form or API, from Chassis's page or from ``chassis approve``.

Airflow 3.3 keeps the request's text and fields from the first park, over clears and retries, and takes any answer to
it. So the text names no plan but links to the page that shows the current one, and the answer names its plan.

Invariants that must not be relaxed:

- Only the plan whose digest the answer names is approved, and it must be the current proposal. An answer from a form
  opened before a revision, from before the plan was remade, or to a cleared approval approves nothing.
- The current proposal is kept with the parked task (``next_kwargs``), which no API changes. XComs are for readers only.
- An answer that can't be carried out is no decision: it is recorded with the reason, and the task parks again for the
  remaining time. A typing error never ends a run, and a failed revision never loses the proposal.
- The log records a decision before the task succeeds, and ``publish`` takes only the newest decision's plan.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chassis.dag.approval_visit import ApprovalRule, ApprovalVisit, Refusal
from chassis.dag.claude_operator import CallingOperator
from chassis.dag.hitl_form import Answer
from chassis.dag.pending_plan import ParkedPlan
from chassis.dag.reporting import reported
from chassis.dag.triggers import RESULT
from chassis.errors import restore_error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context
    from airflow.sdk.bases.notifier import BaseNotifier

    from chassis.approval_policy import Approve


class ApprovePlanOperator(CallingOperator):
    """Waits for approval of the plan if the policy requires it. The XCom is an ``ApprovedPlan``.

    :param approve: when a person must approve; None uses the setting. The run's param ``approve`` can only add to it
    :param approve_over_usd: estimates up to this many dollars need no approval; None uses the setting
    :param approvers: ids of the users who may decide; None uses the setting
    :param timeout_hours: how long each proposal waits; None uses the setting
    :param notifiers: Airflow notifiers, called each time a person is asked
    """

    ui_color = "#f7e3a1"

    def __init__(
        self,
        *,
        approve: Approve | None = None,
        approve_over_usd: float | None = None,
        approvers: Sequence[str] | None = None,
        timeout_hours: float | None = None,
        notifiers: Sequence[BaseNotifier] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.rule = ApprovalRule(approve, approve_over_usd, approvers, timeout_hours, tuple(notifiers))

    def execute(self, context: Context) -> dict[str, Any]:
        with reported(self, context):
            visit = ApprovalVisit(self, self.rule, context)
            if (kept := visit.kept()) is not None:
                visit.go_on(kept)
            made = visit.made()
            reason = visit.reason_without(made)
            return visit.pass_without(made, reason) if reason else visit.propose(made)

    def answered(self, context: Context, proposal: dict[str, Any], event: dict[str, Any]) -> dict[str, Any]:
        """Carry out an answer, or park again. Airflow calls this with the answer, or when time has run out."""
        with reported(self, context):
            visit, parked = ApprovalVisit(self, self.rule, context), ParkedPlan.model_validate(proposal)
            if not event:
                visit.park(parked)
            if "error" in event:
                visit.time_out(parked)
            answer = Answer.of(event)
            try:
                return visit.carry_out(parked, answer)
            except Refusal as refusal:
                visit.refuse(parked, answer, str(refusal))

    def revised(
        self, context: Context, proposal: dict[str, Any], answer: dict[str, Any], event: dict[str, Any]
    ) -> None:
        """Park with the plan that Claude revised in the triggerer, from the proposal and the comment."""
        with reported(self, context):
            visit, parked = ApprovalVisit(self, self.rule, context), ParkedPlan.model_validate(proposal)
            visit.revised(
                parked, Answer(**answer), event[RESULT] if RESULT in event else restore_error(event)
            )
