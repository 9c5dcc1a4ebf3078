"""A run as JSON, for the command line and other clients; see ``docs/reference/run-view.md``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.common.dagbag import DagBagDep
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import HTTPException, Query, Response, status

from chassis.contract.run_view import NEWEST_RUN, NO_SUCH_RUN
from chassis.settings import Settings
from chassis.ui.access_rules import Routes, may
from chassis.ui.board_page import SEES_BOARDS
from chassis.ui.page_templates import json_answer
from chassis.ui.queries import moment, newest_run, read_run
from chassis.ui.run_details import DetailReader, Wanted

router = Routes()

MOST = 500
"""Maximum number of instances in one answer."""


@router.get("/api/v1/dags/{dag_id}/runs/{run_id:path}", rule=SEES_BOARDS)
def run_view(
    dag_id: str,
    run_id: str,
    session: SessionDep,
    dag_bag: DagBagDep,
    user: GetUserDep,
    since: str = "",
    results: bool = False,
    limit: Annotated[int, Query(ge=1, le=MOST)] = MOST,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> Response:
    """A run with its tasks and up to ``limit`` of their instances.

    :param run_id: ``~`` for the newest run
    :param since: the ``since`` of an earlier answer, to get only what changed after it, or is outdated
    :param results: whether to send the tasks' results, and errors that only logs hold
    :param offset: how many instances to skip: the previous answer's ``next``
    :raises HTTPException: 404 for an unknown run
    """
    wanted = Wanted(moment(since), results, limit, offset)
    known = newest_run(session, dag_id) if run_id == NEWEST_RUN else run_id
    run = read_run(session, dag_id, known, wanted.since) if known is not None else None
    if run is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, NO_SUCH_RUN)

    def allowed(of: str, entity: DagAccessEntity) -> bool:
        return may(user, "GET", of, entity)

    reader = DetailReader(session, dag_bag, Settings.load(), allowed)
    return json_answer(reader.view(run, wanted, datetime.now(UTC)))
