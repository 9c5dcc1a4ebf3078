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

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk.exceptions import TaskAwaitingInput

from chassis.approval_policy import Approve, answer_text, names_plan, plan_code, reason_without
from chassis.contract.names import PENDING_PLAN, PLAN, REJECT_PLAN, REVISE_PLAN
from chassis.contract.xcoms import Agreement, CheckedPlan
from chassis.dag.claude_operator import CallingOperator, reported
from chassis.dag.hitl_form import MAX_COMMENT, Answer, ask
from chassis.dag.pending_plan import (
    KeptProposal,
    Newest,
    Proposal,
    edited_plan,
    estimate_of,
    let_through,
    proposal_document,
)
from chassis.dag.planning_request import demanded, plan_call
from chassis.dag.triggers import RESULT, HeldAnswerTrigger, ResumingClaudeTrigger
from chassis.errors import (
    ApprovalTimeoutError,
    ChassisError,
    PlanError,
    PlanRejectedError,
    StoppedError,
    restore_error,
)
from chassis.records.decisions import Decision, Kind
from chassis.text import one_line
from chassis.workflow import load_plan, plan_digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context
    from airflow.sdk.bases.notifier import BaseNotifier

    from chassis.settings import Settings
    from chassis.workflow import WorkflowSpec


class _Refusal(Exception):  # noqa: N818  no error of the task: it goes on waiting
    """An answer can't be carried out. The message tells the person why."""


class ApprovePlanOperator(CallingOperator):
    """Waits until a person has agreed to the plan, where one has to be asked.

    The XCom is an ``ApprovedPlan``.

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
        self.approve = approve
        self.approve_over_usd = approve_over_usd
        self.approvers = approvers
        self.timeout_hours = timeout_hours
        self.notifiers = tuple(notifiers)

    def execute(self, context: Context) -> dict[str, Any]:
        with reported(self, context):
            case = _Case(self, context)
            kept = case.kept()
            if kept is not None:
                self._go_on(case, kept)
            proposal = case.made()
            reason = case.reason_without(proposal)
            if not reason:
                case.propose(proposal)
            return case.pass_without(proposal, reason)

    def _go_on(self, case: _Case, proposal: Proposal) -> NoReturn:
        """Go on where an earlier try was lost: with the answer that Airflow may hold for it."""
        if not self.defers(case.settings):
            case.park(
                proposal, refused="Airflow had to start the task again. If you had answered, answer again."
            )
        self.defer(
            trigger=HeldAnswerTrigger(str(case.context["ti"].id)),
            method_name=self.answered.__name__,
            kwargs={"proposal": proposal.model_dump(mode="json")},
        )

    def answered(self, context: Context, proposal: dict[str, Any], event: dict[str, Any]) -> dict[str, Any]:
        """Carry an answer out, or park again; Airflow calls it with the answer, or when the time has run out."""
        with reported(self, context):
            case, present = _Case(self, context), Proposal.model_validate(proposal)
            if not event:
                case.park(present)
            if "error" in event:
                case.time_out(present)
            answer = Answer.of(event)
            try:
                return case.carry_out(present, answer)
            except _Refusal as refusal:
                case.refuse(present, answer, str(refusal))

    def revised(
        self, context: Context, proposal: dict[str, Any], answer: dict[str, Any], event: dict[str, Any]
    ) -> None:
        """Park with the plan that Claude made of the proposal and the comment; the triggerer has asked it."""
        with reported(self, context):
            result = event[RESULT] if RESULT in event else restore_error(event)
            _Case(self, context).revised(Proposal.model_validate(proposal), Answer(**answer), result)

    def ask_claude(
        self, context: Context, settings: Settings, call: Any, **then: Any
    ) -> dict[str, Any] | ChassisError:
        """Have a call made: in the triggerer, which leads to :meth:`revised`, or else here.

        :param then: keyword arguments of :meth:`revised`
        """
        if self.defers(settings):
            trigger = ResumingClaudeTrigger(call.model_dump(mode="json"))
            self.defer(trigger=trigger, method_name=self.revised.__name__, kwargs=then)
        end = self.perform(context, call)
        return end.error or end.result or {}


class _Case:
    """One visit of the task to a worker: what it knows, and each step that it may take."""

    def __init__(self, operator: ApprovePlanOperator, context: Context) -> None:
        from chassis.records.run_records import RunRecords

        self.operator = operator
        self.context = context
        self.settings = operator.load_settings()
        records = RunRecords.open(self.settings, context["ti"].dag_id, context["ti"].run_id)
        self.decisions = records.decisions
        self._kept = KeptProposal(records.files, context["ti"], context["dag_run"].clear_number or 0)

    def made(self) -> Proposal:
        """The plan of the task ``plan``, as the next proposal of this run.

        :raises ChassisError: there is none
        """
        plan = self._made_plan()
        if plan is None:
            raise ChassisError("The task plan has left no plan.", hint="Clear it, with what follows.")
        return self._proposal(plan)

    def kept(self) -> Proposal | None:
        """The proposal of an earlier try that was lost; None if there is none, or the plan was made anew since."""
        proposal = self._kept.get()
        made = self._made_plan()
        return proposal if proposal and made is not None and _digest(made) == proposal.source else None

    def _made_plan(self) -> str | None:
        made = CheckedPlan.of(self.context["ti"].xcom_pull(task_ids=PLAN, map_indexes=-1))
        return made.plan if made else None

    def _proposal(self, plan: str, *, revised: Proposal | None = None, comment: str = "") -> Proposal:
        spec = load_plan(plan, source="as proposed")
        digest = plan_digest(spec)
        hours = self.operator.timeout_hours or self.settings.approval_timeout_hours
        return Proposal(
            number=1 + sum(each.kind == "proposed" for each in self.decisions.all().values()),
            workflow_id=spec.id,
            plan=plan,
            digest=digest,
            source=revised.source if revised else digest,
            comment=comment,
            before=revised.plan if revised else "",
            deadline=(_now() + timedelta(hours=hours)).isoformat(),
        )

    def reason_without(self, proposal: Proposal) -> str:
        """Why nobody has to be asked; empty when a person must be."""
        operator, settings = self.operator, self.settings
        over_usd = (
            operator.approve_over_usd if operator.approve_over_usd is not None else settings.approve_over_usd
        )
        return reason_without(
            configured=operator.approve or settings.approve,
            demanded=demanded(self.context["params"]["approve"], proposal.spec().approve),
            over_usd=over_usd,
            unchanged=self._is_unchanged(proposal),
            estimate=None if over_usd is None else estimate_of(proposal.spec(), settings),
        )

    def _is_unchanged(self, proposal: Proposal) -> bool:
        """Whether the plan is the workflow's newest revision, but for the demand for approval: nobody approves that."""
        newest = Newest(proposal.workflow_id, self.settings)
        head = newest.spec()
        if head is None:
            return False
        return newest.is_plan(plan_digest(proposal.spec().model_copy(update={"approve": head.approve})))

    def pass_without(self, proposal: Proposal, reason: str) -> dict[str, Any]:
        """Let the plan through."""
        self.operator.log.info("Nobody is asked about the plan: %s.", reason)
        self._note("without", proposal.digest, comment=reason)
        return let_through(proposal.spec(), Agreement(without=reason))

    def propose(self, proposal: Proposal) -> NoReturn:
        """Put a plan to a person that nobody has been asked about."""
        self._note("proposed", proposal.digest, comment=proposal.comment)
        self.park(proposal)

    def park(self, proposal: Proposal, *, refused: str = "") -> NoReturn:
        """Wait for an answer, for the time that is left.

        :param refused: why the last answer could not be carried out
        """
        left = datetime.fromisoformat(proposal.deadline) - _now()
        if left <= timedelta():
            self.time_out(proposal)
        newest = Newest(proposal.workflow_id, self.settings)
        asked = proposal.model_copy(update={"asked": proposal.asked + 1, "base": newest.number})
        document = proposal_document(asked, newest, self.settings, refused=refused)
        self._kept.keep(asked)
        # Readers have the proposal before Airflow takes an answer to it, which this request makes it do.
        self.context["ti"].xcom_push(PENDING_PLAN, document)
        ask(self.context["ti"], self._approvers())
        self._notify()
        self.operator.log.info("%s waits for a decision until %s.", plan_code(asked.digest), asked.deadline)
        raise TaskAwaitingInput(
            method_name=ApprovePlanOperator.answered.__name__,
            kwargs={"proposal": asked.model_dump(mode="json")},
            timeout=left,
        )

    def _approvers(self) -> list[str]:
        given = self.operator.approvers
        names = self.settings.approvers.split(",") if given is None else given
        return [name.strip() for name in names if name.strip()]

    def _notify(self) -> None:
        for notifier in self.operator.notifiers:
            try:
                notifier(self.context)
            except Exception:
                # The page and Airflow's list of required actions have the request all the same.
                self.operator.log.exception("%s could not tell that a plan waits.", type(notifier).__name__)

    def time_out(self, proposal: Proposal) -> NoReturn:
        """Fail, because nobody has decided in time."""
        self._note("timeout", proposal.digest)
        raise ApprovalTimeoutError(
            f"Nobody decided on plan {plan_code(proposal.digest)} of workflow '{proposal.workflow_id}' "
            f"until {proposal.deadline}."
        )

    def carry_out(self, proposal: Proposal, answer: Answer) -> dict[str, Any]:
        """Do what a person answered.

        :raises _Refusal: it can't be done
        :raises PlanRejectedError: that was the answer
        """
        if len(answer.comment) > MAX_COMMENT:
            raise _Refusal(
                f"The comment has {len(answer.comment):,} characters, and at most {MAX_COMMENT:,} may be."
            )
        if answer.option == REJECT_PLAN and not answer.plan:
            self._reject(proposal, answer)  # it publishes nothing, so it needn't be told which plan was seen
        self._check_present(proposal, answer)
        if answer.option == REJECT_PLAN:
            self._reject(proposal, answer)
        spec = self._meant(proposal, answer)
        if answer.option == REVISE_PLAN:
            self._revise(proposal, answer, spec)
        return self._approve(proposal, answer, spec)

    def _check_present(self, proposal: Proposal, answer: Answer) -> None:
        made = self._made_plan()
        if made is None:
            raise _Refusal("The plan is being made anew. Answer again when it is there.")
        if _digest(made) != proposal.source:
            raise _Refusal("The plan was made anew meanwhile: look at the new one.")
        if not answer.plan:
            raise _Refusal(
                f"The answer doesn't say which plan it is about. This one is {plan_code(proposal.digest)}."
            )
        if not names_plan(answer.plan, proposal.digest):
            if any(names_plan(answer.plan, each.digest) for each in self.decisions.all().values()):
                raise _Refusal("That plan was revised or made anew meanwhile: look at the new one.")
            given, waits = one_line(answer_text(answer.plan), 80), plan_code(proposal.digest)
            raise _Refusal(f"The answer is about plan {given}, but the one that waits is {waits}.")
        newest = Newest(proposal.workflow_id, self.settings).number
        if newest != proposal.base:
            raise _Refusal(
                f"The workflow has got revision {newest} meanwhile: look at what would change now."
            )

    def _meant(self, proposal: Proposal, answer: Answer) -> WorkflowSpec:
        if not answer.edited:
            return proposal.spec()
        try:
            return edited_plan(answer.edited, proposal, self.settings)
        except PlanError as error:
            raise _Refusal(str(error)) from None

    def _approve(self, proposal: Proposal, answer: Answer, spec: WorkflowSpec) -> dict[str, Any]:
        digest = plan_digest(spec)
        edited = digest != proposal.digest
        approved = {"approved_by": answer.by or answer.by_id, "approved_at": answer.at, "edited": edited}
        if spec.provenance is not None:
            spec = spec.model_copy(update={"provenance": spec.provenance.model_copy(update=approved)})
        self._note("edited" if edited else "approved", digest, answer)
        self.operator.log.info("%s approved %s.", one_line(answer.by), plan_code(digest))
        agreed = Agreement(
            by=answer.by, by_id=answer.by_id, at=answer.at, comment=answer.comment, edited=edited
        )
        return let_through(spec, agreed)

    def _reject(self, proposal: Proposal, answer: Answer) -> NoReturn:
        self._note("rejected", proposal.digest, answer)
        words = f": {answer.comment}" if answer.comment else "."
        raise PlanRejectedError(
            f"{answer.by or 'Somebody'} rejected the plan of '{proposal.workflow_id}'{words}"
        )

    def _revise(self, proposal: Proposal, answer: Answer, spec: WorkflowSpec) -> NoReturn:
        if not answer.comment:
            raise _Refusal("A revision needs a comment: it says to Claude what is to be changed.")
        self._note("revise", plan_digest(spec), answer)
        try:
            call = plan_call(self.operator, self.context, self.settings, current=spec, comment=answer.comment)
        except ChassisError as error:
            self.revised(proposal, answer, error)
        then = {"proposal": proposal.model_dump(mode="json"), "answer": vars(answer)}
        self.revised(proposal, answer, self.operator.ask_claude(self.context, self.settings, call, **then))

    def revised(self, proposal: Proposal, answer: Answer, result: dict[str, Any] | ChassisError) -> NoReturn:
        """Propose what Claude made of a comment; when it failed, the proposal that there was.

        A failure isn't left to Airflow's retries: they would begin at the first proposal, and forget the revisions
        that were paid for since. The person sees the reason and can ask again. Only who stopped the task meant it.
        """
        if isinstance(result, StoppedError):
            raise result
        if isinstance(result, ChassisError):
            self.refuse(proposal, answer, f"Claude could not revise the plan: {result}")
        self.propose(self._proposal(result["plan"], revised=proposal, comment=answer.comment))

    def refuse(self, proposal: Proposal, answer: Answer, reason: str) -> NoReturn:
        """Write down why an answer was not carried out, and ask again: about the new plan, if it was made anew."""
        self.operator.log.warning("The answer of %s was refused: %s", one_line(answer.by), one_line(reason))
        self._note("refused", proposal.digest, answer, comment=reason)
        made = self._made_plan()
        if made is not None and _digest(made) != proposal.source:
            again = self._proposal(made)
            self._note("proposed", again.digest)
            self.park(again, refused=reason)
        self.park(proposal, refused=reason)

    def _note(self, kind: Kind, digest: str, answer: Answer | None = None, *, comment: str = "") -> None:
        at, by, by_id = (answer.at, answer.by, answer.by_id) if answer else (_now().isoformat(), "", "")
        words = comment or (answer.comment if answer else "")
        self.decisions.add(Decision(kind=kind, at=at, by=by, by_id=by_id, digest=digest, comment=words))


def _digest(plan: str) -> str:
    return plan_digest(load_plan(plan, source="as made"))


def _now() -> datetime:
    return datetime.now(UTC)
