"""The page of all workflows."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import HTMLResponse

from chassis.ui.pages import page
from chassis.ui.rules import Routes, SignedIn

router = Routes()


@router.get("/workflows", rule=SignedIn())
def show_workflows(request: Request) -> HTMLResponse:
    """Every workflow that the user may read."""
    return page(request, "workflows.html")
