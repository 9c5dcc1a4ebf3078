"""The page of one task of a run, or of one item: its result, its conversation, and the form to amend it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import HTTPException, Query, Request, status
from fastapi.responses import HTMLResponse

from chassis.contract.names import PLAN_OPERATOR, RETURNED
from chassis.records.amendments import what_holds
from chassis.records.run_records import RunRecords
from chassis.rerun_scope import FAILED
from chassis.settings import Settings
from chassis.ui.access_rules import Every, Read, Routes, may
from chassis.ui.amended_reruns import AT_WORK
from chassis.ui.board_view import NEVER_BEGUN, Board
from chassis.ui.failure_reasons import why_failed
from chassis.ui.instance_items import item_of
from chassis.ui.page_templates import page
from chassis.ui.queries import read_run
from chassis.ui.run_facts import failed_instances, find_instance, find_run, xcoms
from chassis.ui.run_plans import inputs_of_run, plan_of_run
from chassis.ui.run_reader import tasks_of_plan, view_run
from chassis.ui.task_view import InputField, input_fields, view_amendments, view_result, view_turns

if TYPE_CHECKING:
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy.orm import Session

    from chassis.records.amendments import Amended, Amendment
    from chassis.ui.run_plans import RunPlan
    from chassis.workflow import TaskSpec, WorkflowSpec

router = Routes()

SEES_RESULTS = Every((Read(DagAccessEntity.RUN), Read(DagAccessEntity.XCOM), Read(DagAccessEntity.TASK_LOGS)))


@router.get("/dags/{dag_id}/runs/{run_id:path}/tasks/{task_id}/{map_index}", rule=SEES_RESULTS)
def show_task(
    request: Request,
    dag_id: str,
    run_id: str,
    task_id: str,
    map_index: int,
    user: GetUserDep,
    session: SessionDep,
    wanted: Annotated[int | None, Query(alias="try", ge=1)] = None,
) -> HTMLResponse:
    """One task of a run.

    :param wanted: number of the try whose conversation is shown; by default the newest that has one
    """
    run = find_run(session, dag_id, run_id)
    instance = find_instance(session, dag_id, run_id, task_id, map_index)
    if instance is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, "This run has no such task.")
    settings = Settings.load()
    found = plan_of_run(settings, dag_id, run.bundle_version)
    spec = found.spec if found else None
    task = next((each for each in spec.tasks if each.id == task_id), None) if spec else None
    item = item_of(session, spec, instance)
    left = xcoms(session, dag_id, run_id, task_id, map_index)
    records = RunRecords.open(settings, dag_id, run_id)
    transcripts = records.transcripts
    tries = transcripts.try_numbers(task_id, item)
    number = wanted if wanted is not None else (tries[0] if tries else None)
    transcript = transcripts.find(task_id, item, number) if number is not None else None
    known = records.amendments.all()
    own = [each for each in known if each.concerns(task_id, item)]
    given = inputs_of_run(spec, run)
    board = _board(session, found, instance)
    return page(
        request,
        "task.html",
        dag_id=dag_id,
        run_id=run_id,
        task_id=task_id,
        map_index=map_index,
        instance=instance,
        task=task,
        item=item,
        begun=instance.state not in NEVER_BEGUN,
        title=task.name if task else instance.task_display_name or task_id,
        result=view_result(left.get(RETURNED)),
        error=why_failed(session, instance),
        causes=board.causes(task_id, map_index) if board and instance.state == "upstream_failed" else [],
        outdated=board is not None and board.instances[task_id, map_index].outdated,
        spending=left.get("spending"),
        tries=tries,
        number=number,
        transcript=transcript,
        turns=view_turns(transcript),
        amendments=view_amendments(own, task, given),
        is_planner=instance.operator == PLAN_OPERATOR,
        form=_form(spec, task, own, what_holds(known, task_id, item), given) if task else None,
        failed_items=_failed_items(session, instance),
        refused=_why_not(user, instance, dag_id),
        sheets=["plan.css"],
    )


def _board(session: Session, plan: RunPlan | None, instance: TaskInstance) -> Board | None:
    """The board, for a task whose upstream tasks explain its state; None for any other."""
    if plan is None or instance.state not in {"success", "upstream_failed"}:
        return None
    now = datetime.now(UTC)
    run = read_run(session, instance.dag_id, instance.run_id, now)
    return Board(view_run(run, plan, tasks_of_plan(plan.spec), now)) if run else None


def _form(
    spec: WorkflowSpec | None,
    task: TaskSpec,
    own: list[Amendment],
    amended: Amended,
    given: dict[str, Any],
) -> dict[str, Any]:
    """The initial values of the form to amend a task: what applies to it now."""
    fields: list[InputField] = input_fields(spec, given | amended.inputs) if spec else []
    return {"instruction": amended.instruction or task.instruction, "inputs": fields, "again": bool(own)}


def _failed_items(session: Session, instance: TaskInstance) -> int:
    """How many items of its task failed, including this one; 0 if this one didn't."""
    if instance.map_index < 0 or instance.state not in FAILED:
        return 0
    return len(failed_instances(session, instance.dag_id, instance.run_id, instance.task_id))


def _why_not(user: Any, instance: TaskInstance, dag_id: str) -> str:
    """Why this user can't amend a task now; empty if they can."""
    if not may(user, "PUT", dag_id, DagAccessEntity.TASK_INSTANCE):
        return "To amend and rerun a task, you need permission to edit task instances of this DAG."
    if instance.state in AT_WORK:
        return "The task is running. You can amend it when it has ended or is marked as failed."
    return ""
