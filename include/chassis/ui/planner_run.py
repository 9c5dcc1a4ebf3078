"""The state of a planner's run: what is proposed, who is asked, what was decided."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.models.dag import DagModel

from chassis.contract.names import APPROVE, PENDING_PLAN, PUBLISH, RETURNED
from chassis.contract.xcoms import TaskError
from chassis.text import one_line, signs
from chassis.ui.access_rules import may
from chassis.ui.failure_reasons import why_failed
from chassis.ui.run_facts import find_instance, first_failed, question_of, xcoms

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
    from airflow.models.hitl import HITLDetail
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy.orm import Session

_GOING_ON = frozenset(
    {"queued", "scheduled", "running", "restarting", "deferred", "up_for_retry", "up_for_reschedule"}
)

Stage = Literal["planning", "waiting", "answered", "decided", "failed"]


@dataclass(frozen=True)
class Verdict:
    """Who approved a plan, as the task ``approve`` recorded it. Users who may edit XComs may have edited it.

    :ivar without: why nobody had to be asked; empty if somebody was
    """

    by: str = ""
    at: str = ""
    comment: str = ""
    edited: bool = False
    without: str = ""

    @classmethod
    def of(cls, settled: Any) -> Verdict | None:
        """Read the return value of ``approve``; None if it holds no decision."""
        found = settled.get("decision") if isinstance(settled, dict) else None
        if not isinstance(found, dict):
            return None
        words = {name: signs(str(found.get(name) or "")) for name in ("by", "comment", "without")}
        return cls(**words, at=_time(found.get("at")), edited=found.get("edited") is True)


@dataclass(frozen=True)
class PlannerRun:
    """The known facts of a planner's run.

    :ivar planning: the task that asks Claude for a plan
    :ivar approving: the task that asks a person; None if the planner has none
    :ivar question: Airflow's record of that question and its answer
    :ivar planned: XComs of ``plan``
    :ivar approved: XComs of ``approve``
    :ivar published: what ``publish`` returned
    :ivar failed_task: its first task that failed; empty if none did
    :ivar failure: why it failed
    """

    dag_id: str
    run_id: str
    planning: TaskInstance
    approving: TaskInstance | None
    question: HITLDetail | None
    planned: Mapping[str, Any]
    approved: Mapping[str, Any]
    published: Mapping[str, Any] | None
    failed_task: str = ""
    failure: TaskError | None = None

    @property
    def stage(self) -> Stage:
        state = self.approving.state if self.approving is not None else None
        if self.settled is not None and state == "success":
            return "decided"
        if state == "awaiting_input" and self.proposal is not None and self.planning.state == "success":
            return "answered" if self.question is not None and self.question.response_received else "waiting"
        if state in _GOING_ON and self.proposal is not None:
            return "answered"
        return "failed" if "failed" in (state, self.planning.state) else "planning"

    @property
    def proposal(self) -> Mapping[str, Any] | None:
        """The plan that a person is, or was last, asked about; see ``chassis.dag.pending_plan.as_shown``."""
        found = self.approved.get(PENDING_PLAN)
        return found if isinstance(found, dict) else None

    @property
    def settled(self) -> Mapping[str, Any] | None:
        """The plan that may be published, and who decided so."""
        found = self.approved.get(RETURNED)
        return found if isinstance(found, dict) else None

    @property
    def verdict(self) -> Verdict:
        """Who decided so."""
        return Verdict.of(self.settled) or Verdict()

    @property
    def active(self) -> bool:
        """Whether anything may soon change without a person."""
        if self.failed_task:
            return False
        return self.stage in ("planning", "answered") or (self.stage == "decided" and self.published is None)

    @property
    def mark(self) -> str:
        """A mark that changes whenever the page would show something else."""
        proposal, published = self.proposal or {}, self.published or {}
        facts = (
            self.stage,
            *(proposal.get("number"), proposal.get("asked"), proposal.get("digest")),
            *(published.get("revision"), self.failed_task),
        )
        return sha256(repr(facts).encode()).hexdigest()[:16]

    @property
    def chosen(self) -> str:
        """A person's answer that isn't carried out yet; empty if unknown."""
        return ", ".join(self.question.chosen_options or ()) if self.question is not None else ""

    @property
    def answered_by(self) -> str:
        """Who gave that answer; empty if unknown."""
        by = self.question.responded_by if self.question is not None else None
        return one_line(by["name"] or by["id"], 60) if by else ""

    @property
    def text(self) -> str | None:
        """The plan that the page is about, as YAML; None while there is none."""
        for found in (self.settled, self.proposal, self.planned.get(RETURNED)):
            if isinstance(found, dict) and isinstance(found.get("plan"), str):
                return str(found["plan"])
        return None


def _time(value: Any) -> str:
    try:
        return datetime.fromisoformat(str(value)).isoformat()
    except ValueError:
        return ""


def read_planner_run(session: Session, planning: TaskInstance, *, logs: bool = False) -> PlannerRun:
    """Read the run that a planning task belongs to.

    :param logs: whether to read logs, with permission, to tell why a task failed without an error
    """
    dag_id, run_id = planning.dag_id, planning.run_id
    approving = find_instance(session, dag_id, run_id, APPROVE)
    published = xcoms(session, dag_id, run_id, PUBLISH).get(RETURNED)
    failed = first_failed(session, dag_id, run_id)
    return PlannerRun(
        dag_id=dag_id,
        run_id=run_id,
        planning=planning,
        approving=approving,
        question=question_of(session, approving) if approving is not None else None,
        planned=xcoms(session, dag_id, run_id, planning.task_id),
        approved=xcoms(session, dag_id, run_id, APPROVE),
        published=published if isinstance(published, dict) else None,
        failed_task=failed.task_id if failed is not None else "",
        failure=why_failed(session, failed, log=logs) if failed is not None else None,
    )


def why_not(session: Session, user: BaseUser, run: PlannerRun) -> str:
    """Why a user may not decide on the proposed plan; empty if they may.

    Deciding takes the right to answer in the planner's DAG and the right to change the workflow whose next revision the
    plan becomes. Otherwise, whoever may start a planner could change any workflow.
    """
    if not may(user, "PUT", run.dag_id, DagAccessEntity.HITL_DETAIL):
        return f"You can view this plan. To decide, you need permission to answer for the DAG {run.dag_id}."
    workflow_id = str((run.proposal or {}).get("workflow_id", ""))
    if session.get(DagModel, workflow_id) is not None and not may(user, "PUT", workflow_id):
        return f"You can view this plan. To decide, you need permission to edit the workflow {workflow_id}."
    asked = run.question.assigned_users if run.question is not None else []
    ids = {each["id"] for each in asked}
    if ids and not get_auth_manager().is_authorized_hitl_task(assigned_users=ids, user=user):
        names = ", ".join(sorted(one_line(each["name"] or each["id"], 60) for each in asked))
        return f"You can view this plan. Only these users can decide: {names}."
    return ""
