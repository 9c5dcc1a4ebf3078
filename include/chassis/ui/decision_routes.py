"""Decisions on the plan's page: checked, then passed to Airflow as its own form would.

Invariants that must not be relaxed:

1. An answer names the digest of the plan that the page had shown. If another plan is proposed meanwhile, nothing is
   answered; the operator that reads the answer checks again.
2. Airflow itself takes the answer, in this process: it locks the row, knows who may answer, and takes no second one.
3. An edited plan is checked against all rules before anything is answered.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.datamodels.hitl import UpdateHITLDetailPayload
from airflow.api_fastapi.core_api.routes.public.hitl import update_hitl_detail
from airflow.api_fastapi.core_api.security import GetUserDep
from airflow.models.log import Log
from fastapi import Depends, Form, HTTPException, Request, Response, status
from fastapi.responses import RedirectResponse

from chassis.approval_policy import checked_edit
from chassis.contract.names import APPROVE
from chassis.dag.hitl_form import MAX_COMMENT
from chassis.deployment import Deployment
from chassis.errors import PlanError
from chassis.settings import Settings
from chassis.ui.access_rules import Change, Every, Routes
from chassis.ui.page_links import links_of
from chassis.ui.plan_page import SEES_PLANS, Draft, Message, checked_view, render_plan
from chassis.ui.planner_run import PlannerRun, read_planner_run, why_not
from chassis.ui.run_facts import planning_instance
from chassis.workflow import load_plan, plan_digest

if TYPE_CHECKING:
    from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
    from sqlalchemy.orm import Session

    from chassis.workflow import WorkflowSpec

router = Routes()

Choice = Literal["Approve", "Revise", "Reject"]
DECIDES = Every((Change(DagAccessEntity.HITL_DETAIL), SEES_PLANS))

_DONE = Message(
    "warn", "Somebody has already decided", "Your answer was not accepted. The page shows the current state."
)
_OTHER_PLAN = Message(
    "warn",
    "The plan has changed since you opened this page",
    "Nothing was decided. Check the current plan, then decide.",
)


@dataclass(frozen=True)
class Answer:
    """The form's fields.

    :ivar digest: of the plan that the page had shown
    :ivar text: the plan as the form has it
    """

    digest: str
    text: str
    comment: str

    def edit_of(self, proposed: str) -> str | None:
        """The text, if it differs from the proposed one apart from the browser's line ends."""
        return self.text if self.text.strip() and self.text.strip() != proposed.strip() else None


def _answer(
    digest: Annotated[str, Form(max_length=64)],
    edited_plan: Annotated[str, Form()] = "",
    comment: Annotated[str, Form()] = "",
) -> Answer:
    return Answer(digest, edited_plan.replace("\r\n", "\n"), comment.replace("\r\n", "\n").strip())


Given = Annotated[Answer, Depends(_answer)]


@router.post("/dags/{dag_id}/runs/{run_id:path}/check", rule=DECIDES)
def check(
    request: Request, dag_id: str, run_id: str, user: GetUserDep, session: SessionDep, answer: Given
) -> Response:
    """Show what is wrong with an edited plan, or what it would change. Decides nothing."""
    asked = _Asked(request, session, user, _planner_run(session, dag_id, run_id))
    proposed = asked.proposed(answer)
    if isinstance(proposed, Response):
        return proposed
    edited = asked.edited(answer, proposed)
    if isinstance(edited, Response):
        return edited
    if edited is None:
        return asked.page(answer, Message("good", "The plan is unchanged"))
    message = Message(
        "good", "The edited plan is valid", "Nothing is decided yet. Approve the plan to publish it."
    )
    return asked.page(answer, message, **checked_view(proposed, edited, Settings.load()))


@router.post("/dags/{dag_id}/runs/{run_id:path}/decision", rule=DECIDES)
def decide(
    request: Request,
    dag_id: str,
    run_id: str,
    user: GetUserDep,
    session: SessionDep,
    answer: Given,
    choice: Annotated[Choice, Form()],
) -> Response:
    """Approve the plan that the page had shown, send it back as it is or as edited, or reject it."""
    asked = _Asked(request, session, user, _planner_run(session, dag_id, run_id))
    proposed = asked.proposed(answer)
    if isinstance(proposed, Response):
        return proposed
    edited = asked.edited(answer, proposed) if choice != "Reject" else None
    if isinstance(edited, Response):
        return edited
    if choice == "Revise" and not answer.comment:
        message = Message(
            "bad", "A comment is required", "Say what Claude should change, then choose Revise again."
        )
        return asked.page(answer, message, status_code=status.HTTP_422_UNPROCESSABLE_CONTENT)
    if len(answer.comment) > MAX_COMMENT:
        message = Message("bad", "The comment is too long", f"The limit is {MAX_COMMENT:,} characters.")
        return asked.page(answer, message, status_code=status.HTTP_422_UNPROCESSABLE_CONTENT)
    text = answer.text if edited is not None else ""
    params = {"plan": answer.digest, "comment": answer.comment, "edited_plan": text}
    try:
        _give(session, user, asked.run, choice, params)
    except HTTPException as refused:
        if refused.status_code != status.HTTP_409_CONFLICT:
            raise
        return asked.page(answer, _DONE, status_code=refused.status_code)
    return RedirectResponse(links_of(request).plan(dag_id, run_id), status.HTTP_303_SEE_OTHER)


@dataclass(frozen=True)
class _Asked:
    """The question that an answer is for, and what it takes to show the page again."""

    request: Request
    session: Session
    user: BaseUser
    run: PlannerRun

    def proposed(self, answer: Answer) -> WorkflowSpec | Response:
        """The proposed plan, or the page that says why this answer can't be taken.

        :raises HTTPException: 403, the user may not decide
        """
        if self.run.stage != "waiting" or self.run.proposal is None:
            return self.page(answer, _DONE, status_code=status.HTTP_409_CONFLICT)
        if refused := why_not(self.session, self.user, self.run):
            raise HTTPException(status.HTTP_403_FORBIDDEN, refused)
        proposed = load_plan(str(self.run.proposal["plan"]), source="as proposed")
        if answer.digest != plan_digest(proposed):
            return self.page(answer, _OTHER_PLAN, status_code=status.HTTP_409_CONFLICT)
        return proposed

    def edited(self, answer: Answer, proposed: WorkflowSpec) -> WorkflowSpec | Response | None:
        """The edited plan, None if it is the proposed one, or the page that lists what is wrong with it."""
        assert self.run.proposal is not None, "there is a proposal to edit"
        text = answer.edit_of(str(self.run.proposal["plan"]))
        if text is None:
            return None
        settings = Settings.load()
        deployment = Deployment.read(settings)
        agents, services = deployment.agents, deployment.catalogue.names
        try:
            edited = checked_edit(text, agents=agents, services=services, workflow_id=proposed.id)
            deployment.require(edited, subject="The plan as edited")
        except PlanError as error:
            message = Message("bad", "The edited plan can't be used", "Nothing was decided.")
            return self.page(
                answer, message, faults=error.faults, status_code=status.HTTP_422_UNPROCESSABLE_CONTENT
            )
        return None if plan_digest(edited) == answer.digest else edited

    def page(self, answer: Answer, message: Message, *, status_code: int = 200, **checked: Any) -> Response:
        """The plan's page with a message on top, and in the form what was typed."""
        proposed = str((self.run.proposal or {}).get("plan", ""))
        draft = Draft(answer.edit_of(proposed), answer.comment, message, **checked)
        return render_plan(
            self.request,
            self.session,
            self.user,
            self.run.dag_id,
            self.run.run_id,
            draft=draft,
            status_code=status_code,
        )


def _planner_run(session: Session, dag_id: str, run_id: str) -> PlannerRun:
    planning = planning_instance(session, dag_id, run_id)
    if planning is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, "This run does not need a decision.")
    return read_planner_run(session, planning)


def _give(session: Session, user: BaseUser, run: PlannerRun, choice: Choice, params: dict[str, str]) -> None:
    """Pass the answer to Airflow, and write it to Airflow's audit log, as Airflow's own route does.

    :raises HTTPException: 409, it is already answered; 403, Airflow doesn't accept this user's answer
    """
    update_hitl_detail(
        dag_id=run.dag_id,
        dag_run_id=run.run_id,
        task_id=APPROVE,
        update_hitl_detail_payload=UpdateHITLDetailPayload(chosen_options=[choice], params_input=params),
        user=user,
        session=session,
        map_index=-1,
    )
    session.add(
        Log(
            event="update_hitl_detail",
            task_instance=run.approving,
            owner=user.get_name(),
            owner_display_name=user.get_name(),
            extra=json.dumps({"chosen_options": [choice], "plan": params["plan"]}),
        )
    )
