"""The page of all workflows: where the newest run of each stands, and which plans wait for a person."""

from __future__ import annotations

from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import ReadableDagsFilterDep
from fastapi import Request
from fastapi.responses import HTMLResponse

from chassis.contract.names import ERROR_TAG, PENDING_PLAN, RETIRED_TAG, TAG
from chassis.ui.access_rules import Routes, SignedIn
from chassis.ui.page_templates import page
from chassis.ui.queries import read_waiting, read_workflows

router = Routes()


@router.get("/workflows", rule=SignedIn())
def show_workflows(request: Request, session: SessionDep, readable: ReadableDagsFilterDep) -> HTMLResponse:
    """Every workflow that the user may read, and nothing of any other."""
    dags = readable.value or set()
    found = read_workflows(session, dags, TAG)
    planned = [each for each in found if each.planned]
    return page(
        request,
        "workflows.html",
        workflows=planned,
        others=[each for each in found if not each.planned],
        waiting=read_waiting(session, dags, PENDING_PLAN),
        retired_tag=RETIRED_TAG,
        error_tag=ERROR_TAG,
    )
