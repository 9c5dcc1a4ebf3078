"""The board of a run: the page, and its refreshes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import HTTPException, Request, status
from fastapi.responses import RedirectResponse, Response
from markupsafe import Markup

from chassis.contract.addresses import Links
from chassis.contract.run_view import NO_SUCH_RUN
from chassis.settings import Settings
from chassis.text import one_line
from chassis.ui.access_rules import Read, Routes, may
from chassis.ui.board_view import Board, Group
from chassis.ui.failure_reasons import silent_failures
from chassis.ui.graph_svg import Node, draw_plan
from chassis.ui.page_links import links_of
from chassis.ui.page_templates import page, parts
from chassis.ui.queries import EVER, moment, read_run
from chassis.ui.run_plans import RunPlan, plan_of_run
from chassis.ui.run_reader import tasks_of_plan, view_run

if TYPE_CHECKING:
    from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
    from sqlalchemy.orm import Session

router = Routes()
# A card contains the first line of a result.
SEES_BOARDS = Read(DagAccessEntity.RUN, DagAccessEntity.TASK_INSTANCE, DagAccessEntity.XCOM)

_LONGEST_FIRST_LINE = 240


@router.get("/dags/{dag_id}/runs/{run_id:path}/changes", rule=SEES_BOARDS)
def show_changes(
    request: Request, session: SessionDep, user: GetUserDep, dag_id: str, run_id: str, since: str = ""
) -> Any:
    """Changes on a board, as parts of its page.

    :param since: the ``since`` of the previous answer; empty for everything
    """
    links, now, drawn = links_of(request), datetime.now(UTC), parts("board_parts.html")
    plan, board = _board(session, user, dag_id, run_id, moment(since), now)
    changed = board.changed()
    touched = {group.key: group for group, _ in changed if group.task.mapped}
    return {
        "since": board.run.since,
        "active": board.run.active,
        "head": str(drawn.head(links, board, now)),
        "graph": str(_graph(links, board, plan)) if changed else None,
        "groups": {key: str(drawn.group_head(links, group)) for key, group in touched.items()},
        "rows": [
            {
                "key": row.key,
                "group": group.key,
                "index": row.at.map_index,
                "html": str(drawn.row(links, board.run, row, now)),
            }
            for group, row in changed
        ],
    }


@router.get("/dags/{dag_id}/runs/{run_id:path}", rule=SEES_BOARDS)
def show_board(request: Request, session: SessionDep, user: GetUserDep, dag_id: str, run_id: str) -> Response:
    """Show the board of a run; for a planner's run, its plan."""
    links, now = links_of(request), datetime.now(UTC)
    plan, board = _board(session, user, dag_id, run_id, EVER, now)
    if board.run.is_planner:
        return RedirectResponse(links.plan(dag_id, run_id), status.HTTP_303_SEE_OTHER)
    requirement = plan.spec.requirement.strip().partition("\n")[0] if plan else ""
    return page(
        request,
        "board.html",
        run=board.run,
        board=board,
        graph=_graph(links, board, plan),
        now=now,
        first_line=one_line(requirement, _LONGEST_FIRST_LINE),
    )


def _board(
    session: Session, user: BaseUser, dag_id: str, run_id: str, since: datetime, now: datetime
) -> tuple[RunPlan | None, Board]:
    run = read_run(session, dag_id, run_id, since)
    if run is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, NO_SUCH_RUN)
    settings = Settings.load()
    plan = plan_of_run(settings, dag_id, run.bundle_version)
    may_read_logs = may(user, "GET", dag_id, DagAccessEntity.TASK_LOGS)
    view = view_run(
        run,
        plan,
        tasks_of_plan(plan.spec) if plan else (),
        now,
        ceiling_usd=settings.run_budget_usd,
        failures=silent_failures(session, run, since) if may_read_logs else {},
    )
    return plan, Board(view, since)


def _graph(links: Links, board: Board, plan: RunPlan | None) -> Markup:
    if plan is None or len(plan.spec.tasks) < 2:
        return Markup("")
    nodes = {group.task.id: _node(links, board, group) for group in board.groups}
    return draw_plan(plan.spec.tasks, nodes, label="The tasks of this run and what waits for what")


def _node(links: Links, board: Board, group: Group) -> Node:
    mapped, run = group.task.mapped, board.run
    href = f"#{group.key}" if mapped else links.task(run.workflow_id, run.run_id, group.task.id)
    return Node(href=href, counts=group.counts)
