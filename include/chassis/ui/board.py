"""The board of a run."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import HTMLResponse

from chassis.ui.pages import page
from chassis.ui.rules import Read, Routes

router = Routes()


@router.get("/dags/{dag_id}/runs/{run_id:path}", rule=Read())
def show_board(request: Request, dag_id: str, run_id: str) -> HTMLResponse:
    """Where a run stands."""
    return page(request, "board.html", dag_id=dag_id, run_id=run_id)
