"""One visit of the task ``approve`` to a worker; see :mod:`chassis.dag.approval` for its invariants."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk.exceptions import TaskAwaitingInput

from chassis.approval_policy import answer_text, names_plan, plan_code, reason_without
from chassis.contract.names import PENDING_PLAN, PLAN, REJECT_PLAN, REVISE_PLAN
from chassis.contract.xcoms import Agreement, ApprovedPlan, CheckedPlan
from chassis.dag.hitl_form import MAX_COMMENT, Answer, ask
from chassis.dag.pending_plan import KeptPlan, LatestRevision, ParkedPlan, as_shown, edited_plan, estimate_of
from chassis.dag.planning_request import demanded, plan_call
from chassis.dag.triggers import HeldAnswerTrigger, ResumingClaudeTrigger
from chassis.errors import ApprovalTimeoutError, ChassisError, PlanError, PlanRejectedError, StoppedError
from chassis.records.decisions import Decision, Kind
from chassis.text import one_line
from chassis.workflow import dump_plan, load_plan, plan_digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context
    from airflow.sdk.bases.notifier import BaseNotifier

    from chassis.approval_policy import Approve
    from chassis.dag.claude_operator import CallingOperator
    from chassis.workflow import WorkflowSpec


@dataclass(frozen=True)
class ApprovalRule:
    """When to ask, whom, and how long to wait; see ``ApprovePlanOperator``. None uses the setting."""

    approve: Approve | None
    approve_over_usd: float | None
    approvers: Sequence[str] | None
    timeout_hours: float | None
    notifiers: Sequence[BaseNotifier]


class Refusal(Exception):  # noqa: N818  no error of the task, which keeps waiting
    """An answer can't be carried out. The message tells the person why."""


class ApprovalVisit:
    """What the task knows in one visit, and the steps that it can take."""

    def __init__(self, operator: CallingOperator, rule: ApprovalRule, context: Context) -> None:
        from chassis.records.run_records import RunRecords

        ti: Any = context["ti"]
        self.operator = operator
        self.rule = rule
        self.context = context
        self.settings = operator.load_settings()
        records = RunRecords.open(self.settings, ti.dag_id, ti.run_id)
        self._decisions = records.decisions
        self._kept = KeptPlan(records, context["dag_run"].clear_number or 0, ti.max_tries)

    def made(self) -> ParkedPlan:
        """The plan of the task ``plan``, as the next proposal of this run.

        :raises ChassisError: there is none
        """
        made = self._made()
        if made is None:
            raise ChassisError("The task plan has left no plan.", hint="Clear it, with what follows.")
        return self._to_park(made.plan)

    def kept(self) -> ParkedPlan | None:
        """The proposal of an earlier try that was lost; None if there is none, or the plan was remade since."""
        kept, made = self._kept.get(), self._made()
        return kept if kept and made is not None and _digest(made) == kept.source else None

    def go_on(self, parked: ParkedPlan) -> NoReturn:
        """Continue where an earlier try was lost, with the answer that Airflow may hold for it."""
        if not self.operator.defers(self.settings):
            self.park(
                parked, refused="Airflow had to start the task again. If you had answered, answer again."
            )
        self.operator.defer(
            trigger=HeldAnswerTrigger(str(self.context["ti"].id)),
            method_name="answered",
            kwargs={"proposal": parked.model_dump(mode="json")},
        )

    def _made(self) -> CheckedPlan | None:
        return CheckedPlan.of(self.context["ti"].xcom_pull(task_ids=PLAN, map_indexes=-1))

    def _to_park(self, plan: str, *, revised: ParkedPlan | None = None, comment: str = "") -> ParkedPlan:
        spec = load_plan(plan, source="as proposed")
        digest = plan_digest(spec)
        hours = self.rule.timeout_hours or self.settings.approval_timeout_hours
        return ParkedPlan(
            number=1 + sum(each.kind == "proposed" for each in self._decisions.all().values()),
            workflow_id=spec.id,
            plan=plan,
            digest=digest,
            source=revised.source if revised else digest,
            comment=comment,
            before=revised.plan if revised else "",
            deadline=(_now() + timedelta(hours=hours)).isoformat(),
        )

    def reason_without(self, parked: ParkedPlan) -> str:
        """Why no approval is needed; empty if it is."""
        rule, settings, spec = self.rule, self.settings, parked.spec()
        over_usd = rule.approve_over_usd
        if over_usd is None:
            over_usd = settings.approve_over_usd
        return reason_without(
            configured=rule.approve or settings.approve,
            demanded=demanded(self.context["params"]["approve"], spec.approve),
            over_usd=over_usd,
            unchanged=LatestRevision(parked.workflow_id, settings).is_plan(spec),
            estimate=None if over_usd is None else estimate_of(spec, settings),
        )

    def pass_without(self, parked: ParkedPlan, reason: str) -> dict[str, Any]:
        self.operator.log.info("Nobody is asked about the plan: %s.", reason)
        self._note("without", parked.digest, comment=reason)
        return _let_through(parked.spec(), Agreement(without=reason))

    def propose(self, parked: ParkedPlan) -> NoReturn:
        """Ask a person about a plan for the first time."""
        self._note("proposed", parked.digest, comment=parked.comment)
        self.park(parked)

    def park(self, parked: ParkedPlan, *, refused: str = "") -> NoReturn:
        """Wait for an answer for the remaining time.

        :param refused: why the last answer could not be carried out
        """
        left = datetime.fromisoformat(parked.deadline) - _now()
        if left <= timedelta():
            self.time_out(parked)
        latest = LatestRevision(parked.workflow_id, self.settings)
        parked = parked.model_copy(update={"asked": parked.asked + 1, "base": latest.number})
        shown = as_shown(parked, latest, self.settings, refused=refused)
        self._kept.keep(parked)
        # This request lets Airflow take an answer, so readers must have the proposal first.
        self.context["ti"].xcom_push(PENDING_PLAN, shown)
        names = self.rule.approvers
        ask(self.context["ti"], self.settings.approvers.split(",") if names is None else names)
        self._notify()
        self.operator.log.info("%s waits for a decision until %s.", plan_code(parked.digest), parked.deadline)
        raise TaskAwaitingInput(
            method_name="answered", kwargs={"proposal": parked.model_dump(mode="json")}, timeout=left
        )

    def _notify(self) -> None:
        for notifier in self.rule.notifiers:
            try:
                notifier(self.context)
            except Exception:
                # The plan's page and Airflow's list of required actions show the request anyway.
                self.operator.log.exception("%s could not tell that a plan waits.", type(notifier).__name__)

    def time_out(self, parked: ParkedPlan) -> NoReturn:
        """Fail because nobody decided in time."""
        self._note("timeout", parked.digest)
        raise ApprovalTimeoutError(
            f"Nobody decided on plan {plan_code(parked.digest)} of workflow '{parked.workflow_id}' "
            f"until {parked.deadline}."
        )

    def carry_out(self, parked: ParkedPlan, answer: Answer) -> dict[str, Any]:
        """Carry out a person's answer.

        :raises Refusal: it can't be carried out
        :raises PlanRejectedError: the person rejected the plan
        """
        if len(answer.comment) > MAX_COMMENT:
            raise Refusal(
                f"The comment has {len(answer.comment):,} characters, and at most {MAX_COMMENT:,} may be."
            )
        # A rejection publishes nothing, so it needn't say which plan the person saw.
        if answer.option != REJECT_PLAN or answer.plan:
            self._check_present(parked, answer)
        if answer.option == REJECT_PLAN:
            self._reject(parked, answer)
        spec = parked.spec()
        if answer.edited:
            try:
                spec = edited_plan(answer.edited, parked, self.settings)
            except PlanError as error:
                raise Refusal(str(error)) from None
        if answer.option == REVISE_PLAN:
            self._revise(parked, answer, spec)
        return self._approve(parked, answer, spec)

    def _check_present(self, parked: ParkedPlan, answer: Answer) -> None:
        made, waits = self._made(), plan_code(parked.digest)
        if made is None:
            raise Refusal("The plan is being made anew. Answer again when it is there.")
        if _digest(made) != parked.source:
            raise Refusal("The plan was made anew meanwhile: look at the new one.")
        if not answer.plan:
            raise Refusal(f"The answer doesn't say which plan it is about. This one is {waits}.")
        if not names_plan(answer.plan, parked.digest):
            if any(names_plan(answer.plan, each.digest) for each in self._decisions.all().values()):
                raise Refusal("That plan was revised or made anew meanwhile: look at the new one.")
            given = one_line(answer_text(answer.plan), 80)
            raise Refusal(f"The answer is about plan {given}, but the one that waits is {waits}.")
        latest = LatestRevision(parked.workflow_id, self.settings).number
        if latest != parked.base:
            raise Refusal(f"The workflow has got revision {latest} meanwhile: look at what would change now.")

    def _approve(self, parked: ParkedPlan, answer: Answer, spec: WorkflowSpec) -> dict[str, Any]:
        digest = plan_digest(spec)
        edited = digest != parked.digest
        approved = {"approved_by": answer.by or answer.by_id, "approved_at": answer.at, "edited": edited}
        if spec.provenance is not None:
            spec = spec.model_copy(update={"provenance": spec.provenance.model_copy(update=approved)})
        self._note("edited" if edited else "approved", digest, answer)
        self.operator.log.info("%s approved %s.", one_line(answer.by), plan_code(digest))
        who = Agreement(by=answer.by, by_id=answer.by_id, at=answer.at, comment=answer.comment, edited=edited)
        return _let_through(spec, who)

    def _reject(self, parked: ParkedPlan, answer: Answer) -> NoReturn:
        self._note("rejected", parked.digest, answer)
        words = f": {answer.comment}" if answer.comment else "."
        raise PlanRejectedError(
            f"{answer.by or 'Somebody'} rejected the plan of '{parked.workflow_id}'{words}"
        )

    def _revise(self, parked: ParkedPlan, answer: Answer, spec: WorkflowSpec) -> NoReturn:
        if not answer.comment:
            raise Refusal("A revision needs a comment: it says to Claude what is to be changed.")
        self._note("revise", plan_digest(spec), answer)
        try:
            call = plan_call(self.operator, self.context, self.settings, current=spec, comment=answer.comment)
        except ChassisError as error:
            self.revised(parked, answer, error)
        if self.operator.defers(self.settings):
            self.operator.defer(
                trigger=ResumingClaudeTrigger(call.model_dump(mode="json")),
                method_name="revised",
                kwargs={"proposal": parked.model_dump(mode="json"), "answer": vars(answer)},
            )
        end = self.operator.perform(self.context, call)
        self.revised(parked, answer, end.error or end.result or {})

    def revised(self, parked: ParkedPlan, answer: Answer, result: dict[str, Any] | ChassisError) -> NoReturn:
        """Propose the revised plan; if the revision failed, propose the previous plan again.

        A failure isn't left to Airflow's retries: they would start from the first proposal and lose the revisions
        paid for since. Instead, the person sees the reason and can ask again. Only a person who stops the task ends
        it.
        """
        if isinstance(result, StoppedError):
            raise result
        if isinstance(result, ChassisError):
            self.refuse(parked, answer, f"Claude could not revise the plan: {result}")
        self.propose(self._to_park(result["plan"], revised=parked, comment=answer.comment))

    def refuse(self, parked: ParkedPlan, answer: Answer, reason: str) -> NoReturn:
        """Record why an answer was not carried out, and ask again: about the new plan, if it was remade."""
        self.operator.log.warning("The answer of %s was refused: %s", one_line(answer.by), one_line(reason))
        self._note("refused", parked.digest, answer, comment=reason)
        made = self._made()
        if made is not None and _digest(made) != parked.source:
            parked = self._to_park(made.plan)
            self._note("proposed", parked.digest)
        self.park(parked, refused=reason)

    def _note(self, kind: Kind, digest: str, answer: Answer | None = None, *, comment: str = "") -> None:
        at, by, by_id = (answer.at, answer.by, answer.by_id) if answer else (_now().isoformat(), "", "")
        words = comment or (answer.comment if answer else "")
        self._decisions.add(Decision(kind=kind, at=at, by=by, by_id=by_id, digest=digest, comment=words))


def _let_through(spec: WorkflowSpec, agreement: Agreement) -> dict[str, Any]:
    approved = ApprovedPlan(
        workflow_id=spec.id, plan=dump_plan(spec), digest=plan_digest(spec), decision=agreement
    )
    return approved.document()


def _digest(made: CheckedPlan) -> str:
    return plan_digest(load_plan(made.plan, source="as made"))


def _now() -> datetime:
    return datetime.now(UTC)
