"""The page of a plan: for a planner's run, with the decision form; for a workflow's run, as it is carried out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import HTTPException, Request, status
from fastapi.responses import HTMLResponse
from pydantic import ValidationError

from chassis.catalogue import load_catalogue
from chassis.contract.names import APPROVE, RETURNED
from chassis.dag.pending_plan import estimate_of
from chassis.errors import ChassisError, PlanError, PlanNotFoundError
from chassis.estimate import Estimate
from chassis.records.run_records import RunRecords
from chassis.settings import Settings
from chassis.ui.access_rules import Every, Read, Routes, may
from chassis.ui.amendments_view import RunAmendments, read_run_amendments
from chassis.ui.budget_view import hold_against
from chassis.ui.change_view import ChangesView, view_changes
from chassis.ui.page_templates import page
from chassis.ui.plan_view import view_plan
from chassis.ui.planner_run import PlannerRun, Verdict, read_planner_run, why_not
from chassis.ui.run_facts import find_run, planner_runs, planning_instance, xcoms
from chassis.ui.run_plans import plan_of_run, revision_before, store_of
from chassis.workflow import load_plan, plan_warnings
from chassis.workflow.plan_changes import plan_changes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
    from airflow.models.dagrun import DagRun
    from sqlalchemy.orm import Session

    from chassis.catalogue import Catalogue
    from chassis.errors import PlanFault
    from chassis.workflow import WorkflowSpec
    from chassis.workflow.plan_changes import PlanChanges

router = Routes()
SEES_PLANS = Every((Read(DagAccessEntity.RUN), Read(DagAccessEntity.XCOM)))


@dataclass(frozen=True)
class Message:
    """A message on top of the page.

    :ivar level: ``good``, ``warn``, ``bad`` or ``person``: its style
    """

    level: str
    title: str
    text: str = ""


@dataclass(frozen=True)
class Draft:
    """What a person typed into the form, and what checking it found.

    :ivar text: the plan as edited; None if it wasn't
    :ivar faults: what is wrong with it
    :ivar changes: against the proposal, if nothing is wrong
    :ivar warnings: what may be unintended in it
    """

    text: str | None = None
    comment: str = ""
    message: Message | None = None
    faults: tuple[PlanFault, ...] = ()
    changes: ChangesView | None = None
    estimate: Estimate | None = None
    warnings: tuple[PlanFault, ...] = ()

    @property
    def returned(self) -> bool:
        """Whether the page returns what somebody typed."""
        return self.message is not None


@dataclass(frozen=True)
class Compared:
    """What a plan is compared with.

    :ivar words: its name, for people
    :ivar hidden: whether there are changes that the viewer may not see, because they may not read the workflow
    """

    words: str = ""
    changes: PlanChanges | None = None
    hidden: bool = False

    @property
    def view(self) -> ChangesView | None:
        """The changes as the page shows them; None for a first revision."""
        return view_changes(self.changes) if self.changes is not None and not self.changes.new else None


@dataclass(frozen=True)
class Approval:
    """Who approved the plan that a run follows.

    :ivar verdict: None if the planner had no approval
    """

    dag_id: str
    run_id: str
    verdict: Verdict | None


@router.get("/dags/{dag_id}/runs/{run_id:path}/plan/news", rule=SEES_PLANS)
def show_news(dag_id: str, run_id: str, session: SessionDep) -> dict[str, Any]:
    """Polled by the page of a planner's run: whether it would show something else now.

    :raises HTTPException: 404, there is no such run
    """
    planning = planning_instance(session, dag_id, run_id)
    if planning is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, "This run has no plan that could change.")
    run = read_planner_run(session, planning)
    return {"mark": run.mark, "active": run.active}


@router.get("/dags/{dag_id}/runs/{run_id:path}/plan", rule=SEES_PLANS)
def show_plan(
    request: Request, dag_id: str, run_id: str, user: GetUserDep, session: SessionDep
) -> HTMLResponse:
    """The plan that a planner's run proposes, or that a workflow's run follows."""
    return render_plan(request, session, user, dag_id, run_id)


def render_plan(
    request: Request,
    session: Session,
    user: BaseUser,
    dag_id: str,
    run_id: str,
    *,
    draft: Draft | None = None,
    status_code: int = 200,
) -> HTMLResponse:
    """Render the page, with what a person typed if it comes back to them.

    :raises HTTPException: 404, there is no such run
    """
    run, planning = find_run(session, dag_id, run_id), planning_instance(session, dag_id, run_id)
    if planning is None:
        template, sees = "workflow_plan.html", _of_workflow(session, user, run, Settings.load())
    else:
        planner = read_planner_run(
            session, planning, logs=may(user, "GET", dag_id, DagAccessEntity.TASK_LOGS)
        )
        template, sees = "planner_plan.html", _of_planner(session, user, planner, Settings.load())
        sees |= {"draft": draft or Draft(), "scripts": ["plan.js"]}
    sees |= {"dag_id": dag_id, "run_id": run_id, "sheets": ["plan.css"]}
    return page(request, template, status_code=status_code, **sees)


def _of_planner(session: Session, user: BaseUser, run: PlannerRun, settings: Settings) -> dict[str, Any]:
    spec = load_plan(run.text, source="as proposed") if run.text is not None else None
    compared = _compared(user, run, spec, settings) if spec else Compared()
    estimate = _estimate(run, spec, settings) if spec else None
    return {
        "run": run,
        "stage": run.stage,
        "plan": view_plan(spec, changes=compared.changes, catalogue=_catalogue(settings)) if spec else None,
        "compared": compared,
        "revised": _revised(run, spec) if spec else None,
        "estimate": estimate,
        "budget": hold_against(estimate, spec, settings),
        "history": RunRecords.open(settings, run.dag_id, run.run_id).decisions.all().values(),
        "why_not": why_not(session, user, run) if run.stage == "waiting" else "",
    }


def _of_workflow(session: Session, user: BaseUser, run: DagRun, settings: Settings) -> dict[str, Any]:
    found = plan_of_run(settings, run.dag_id, run.bundle_version)
    shows: dict[str, Any] = {"found": found, "plan": None, "compared": Compared(), "approval": None}
    shows |= {"amended": RunAmendments(), "estimate": None}
    if found:
        before = revision_before(settings, found.ref)
        changes = plan_changes(before.spec if before else None, found.spec)
        shows |= {
            "plan": view_plan(found.spec, changes=changes, catalogue=_catalogue(settings)),
            "compared": Compared(f"revision {before.ref.revision}" if before else "", changes),
            "approval": _approval(session, user, found.spec),
            "amended": read_run_amendments(session, run, found.spec, settings),
            "estimate": _estimated(found.spec, settings),
        }
    shows["budget"] = hold_against(shows["estimate"], found.spec if found else None, settings)
    return shows


def _compared(user: BaseUser, run: PlannerRun, spec: WorkflowSpec, settings: Settings) -> Compared:
    """What a proposed plan changes; hidden from users who may not read the workflow that it would change."""
    store, revision = store_of(settings), _base_revision(run)
    if revision is None:
        return Compared(changes=plan_changes(None, spec))
    words = f"revision {revision}"
    if not may(user, "GET", spec.id):
        return Compared(words, hidden=True)
    try:
        return Compared(words, plan_changes(store.read(store.get(spec.id, revision)), spec))
    except (PlanError, PlanNotFoundError):
        return Compared(words)


def _revised(run: PlannerRun, spec: WorkflowSpec) -> ChangesView | None:
    """What Claude changed in the proposal that a person sent back; None if there was none, or it was read elsewhere."""
    before = (run.proposal or {}).get("before")
    if not before or not isinstance(before, str) or run.stage == "decided":
        return None
    try:
        return view_changes(plan_changes(load_plan(before, source="as proposed before"), spec))
    except PlanError:
        return None


def _base_revision(run: PlannerRun) -> int | None:
    """The revision that a proposed plan is compared with, or followed; None for a first one."""
    if run.proposal is not None:
        base = run.proposal.get("base_revision")
        return base if isinstance(base, int) else None
    if run.published is not None:
        before = int(run.published["revision"]) - (1 if run.published["changed"] else 0)
        return before or None
    return None


def _estimate(run: PlannerRun, spec: WorkflowSpec, settings: Settings) -> Estimate | None:
    """The estimate from when the plan was proposed, on which a person based the decision."""
    if run.stage != "decided" and run.proposal is not None:
        try:
            return Estimate.model_validate(run.proposal.get("estimate"))
        except ValidationError:
            return None
    return _estimated(spec, settings)


def _estimated(spec: WorkflowSpec, settings: Settings) -> Estimate | None:
    try:
        return estimate_of(spec, settings)
    except ChassisError:
        return None  # For example, a file of agents is invalid: a plan can be read without its estimate.


def _catalogue(settings: Settings) -> Catalogue | None:
    try:
        return load_catalogue(settings.services_file)
    except ChassisError:
        return None


def _approval(session: Session, user: BaseUser, spec: WorkflowSpec) -> Approval | None:
    """Who approved a plan, for users who may read the planner's run that it came from."""
    run_id = spec.provenance.planner_run if spec.provenance else ""
    for dag_id in planner_runs(session, run_id) if run_id else []:
        if may(user, "GET", dag_id, DagAccessEntity.XCOM):
            settled = xcoms(session, dag_id, run_id, APPROVE).get(RETURNED)
            return Approval(dag_id, run_id, Verdict.of(settled))
    return None


def checked_view(proposed: WorkflowSpec, edited: WorkflowSpec, settings: Settings) -> Mapping[str, Any]:
    """What an edit changes in the proposal, and what the plan will take: fields of a :class:`Draft`."""
    catalogue = _catalogue(settings)
    return {
        "warnings": tuple(plan_warnings(edited, catalogue.names)) if catalogue else (),
        "changes": view_changes(plan_changes(proposed, edited)),
        "estimate": _estimated(edited, settings),
    }
