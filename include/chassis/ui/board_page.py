"""The board of a run: the page, and what changed since."""

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
from chassis.contract.names import PLAN_OPERATOR
from chassis.contract.spending import least
from chassis.settings import Settings
from chassis.text import one_line
from chassis.ui.access_rules import Read, Routes, may
from chassis.ui.board_view import Board, Group
from chassis.ui.failure_reasons import reasons
from chassis.ui.graph_svg import Node, draw_plan
from chassis.ui.page_links import links_of
from chassis.ui.page_templates import page, parts
from chassis.ui.queries import EVER, RunState, read_run
from chassis.ui.run_plans import RunPlan, plan_of_run

if TYPE_CHECKING:
    from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
    from sqlalchemy.orm import Session

router = Routes()
# A card has the first line of a result.
SEES_BOARDS = Read(DagAccessEntity.RUN, DagAccessEntity.TASK_INSTANCE, DagAccessEntity.XCOM)

_PARTS = "board_parts.html"
_LONGEST_FIRST_LINE = 240


@router.get("/dags/{dag_id}/runs/{run_id:path}/changes", rule=SEES_BOARDS)
def show_changes(
    request: Request, session: SessionDep, user: GetUserDep, dag_id: str, run_id: str, since: str = ""
) -> Any:
    """What changed on a board, as parts of its page.

    :param since: the ``since`` of the answer before; empty for all of it
    """
    run = _find(session, dag_id, run_id, _moment(since))
    plan, board = _board(session, user, run)
    links, now = links_of(request), datetime.now(UTC)
    drawn = parts(_PARTS)
    changed = board.changed()
    touched = {group.task_id: group for group, _ in changed}
    return {
        "since": board.since(now).isoformat(),
        "active": board.active,
        "head": str(drawn.head(links, board, plan, now, _limit(plan, run))),
        "graph": str(_graph(links, board)) if changed else None,
        "groups": {
            group.key: str(drawn.group_head(links, group)) for group in touched.values() if group.mapped
        },
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
    """Where a run stands. For a planner's run that is its plan."""
    run = _find(session, dag_id, run_id, EVER)
    links = links_of(request)
    if any(instance.operator == PLAN_OPERATOR for instance in run.instances):
        return RedirectResponse(links.plan(dag_id, run_id), status.HTTP_303_SEE_OTHER)
    plan, board = _board(session, user, run)
    now = datetime.now(UTC)
    return page(
        request,
        "board.html",
        run=run,
        board=board,
        plan=plan,
        limit=_limit(plan, run),
        graph=_graph(links, board),
        now=now,
        since=board.since(now).isoformat(),
        first_line=one_line(plan.spec.requirement.strip().partition("\n")[0], _LONGEST_FIRST_LINE)
        if plan
        else "",
    )


def _find(session: Any, dag_id: str, run_id: str, since: datetime) -> RunState:
    run = read_run(session, dag_id, run_id, since)
    if run is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, "There is no such run.")
    return run


def _moment(text: str) -> datetime:
    """A moment as this server gave it out; whatever else is no moment stands for all of the past."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return EVER
    return moment if moment.tzinfo else EVER


def _board(session: Session, user: BaseUser, run: RunState) -> tuple[RunPlan | None, Board]:
    plan = plan_of_run(Settings.load(), run.dag_id, run.bundle_version)
    may_read_logs = may(user, "GET", run.dag_id, DagAccessEntity.TASK_LOGS)
    return plan, Board(run, plan.spec if plan else None, reasons(session, run) if may_read_logs else {})


def _limit(plan: RunPlan | None, run: RunState) -> float | None:
    """US dollars that the run may spend: the plan's limit, or the deployment's if that is less; None for no limit.

    A DAG without a plan has its limits in its file: its tasks' cards know them.
    """
    own = plan.spec.limits.budget_usd if plan else run.card.get("budget_usd")
    return least(own, Settings.load().run_budget_usd)


def _graph(links: Links, board: Board) -> Markup:
    if board.spec is None or len(board.spec.tasks) < 2:
        return Markup("")
    nodes = {group.task_id: _node(links, board.run, group) for group in board.groups}
    return draw_plan(board.spec.tasks, nodes, label="The tasks of this run and what waits for what")


def _node(links: Links, run: RunState, group: Group) -> Node:
    href = f"#{group.key}"
    if not group.mapped:
        href = links.task(run.dag_id, run.run_id, group.task_id)
    return Node(href=href, counts=group.counts)
