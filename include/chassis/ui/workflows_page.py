"""All workflows, as a page and as JSON: the state of each one's newest run, and the plans that wait for a person."""

from __future__ import annotations

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep, ReadableDagsFilterDep
from fastapi import Request, Response
from fastapi.responses import HTMLResponse

from chassis.contract.workflow_rows import WorkflowList
from chassis.ui.access_rules import Routes, SignedIn, may
from chassis.ui.page_templates import json_answer, page
from chassis.ui.queries import read_waiting, read_workflows

router = Routes()


@router.get("/workflows", rule=SignedIn())
def show_workflows(request: Request, session: SessionDep, readable: ReadableDagsFilterDep) -> HTMLResponse:
    """Every workflow that the user may read, and nothing of any other."""
    dags = readable.value or set()
    found = read_workflows(session, dags)
    return page(
        request,
        "workflows.html",
        workflows=[each for each in found if each.planned],
        others=[each for each in found if not each.planned],
        waiting=read_waiting(session, dags),
    )


@router.get("/api/v1/workflows", rule=SignedIn())
def list_workflows(session: SessionDep, readable: ReadableDagsFilterDep, user: GetUserDep) -> Response:
    """The same as JSON; pending plans only if the user may read their text."""
    dags = readable.value or set()
    needed = (DagAccessEntity.HITL_DETAIL, DagAccessEntity.XCOM)
    waiting = [
        each
        for each in read_waiting(session, dags)
        if all(may(user, "GET", each.dag_id, entity) for entity in needed)
    ]
    return json_answer(WorkflowList(workflows=tuple(read_workflows(session, dags)), waiting=tuple(waiting)))
