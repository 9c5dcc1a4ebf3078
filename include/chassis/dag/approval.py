"""The planner's task ``approve``: a plan is published when a person has agreed to it, or when nobody had to be asked.

The task parks (``awaiting_input``): no slot is held and no trigger runs. Airflow resumes it with each answer, be it
from Airflow's own form or API, from Chassis's page or from ``chassis approve``.

Airflow 3.3 keeps the request's text and fields from its first park, over clears and retries, and takes any answer to
it. So the text names no plan: it leads to the page that shows the present one. The answer says which plan it is about.

Invariants that must not be relaxed:

- What is approved is the plan whose digest the answer names, and that must be the present proposal. A form that was
  opened before a revision, a plan that was made anew meanwhile, or a cleared approval approve nothing.
- The present proposal is kept with the parked task (``next_kwargs``), which no API changes. XComs are for readers only.
- An answer that can't be carried out is no decision: it is written down with the reason, and the task parks again for
  the time that is left. Nothing that a person mistyped ends a run, and no failed revision loses the proposal.
- A decision is in the log before the task succeeds, and ``publish`` takes nothing but the newest decision's plan.
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
    """Waits until a person has agreed to the plan, where one has to be asked. The XCom is an ``ApprovedPlan``.

    :param approve: when a person must approve; None takes the setting. The run's param ``approve`` can only add to it
    :param approve_over_usd: dollars of an estimate up to which nobody is asked; None takes the setting
    :param approvers: ids of the users who may decide; None takes the setting
    :param timeout_hours: how long each proposal waits; None takes the setting
    :param notifiers: Airflow notifiers, called each time that a person is asked
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
        """Carry an answer out, or park again; Airflow calls it with the answer, or when the time has run out."""
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
        """Park with the plan that Claude made of the proposal and the comment; the triggerer has asked it."""
        with reported(self, context):
            visit, parked = ApprovalVisit(self, self.rule, context), ParkedPlan.model_validate(proposal)
            visit.revised(
                parked, Answer(**answer), event[RESULT] if RESULT in event else restore_error(event)
            )
