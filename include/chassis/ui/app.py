"""The app of the pages: its routes, the security headers of its answers, and its error pages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.datastructures import MutableHeaders

from chassis.errors import ChassisError
from chassis.ui import (
    amendment_routes,
    assets,
    board_page,
    decision_routes,
    plan_page,
    run_routes,
    task_page,
    transcript_routes,
    workflows_page,
)
from chassis.ui.page_templates import page, wants_html

# The board's address matches whatever is left, so it comes last.
MODULES = [
    assets,
    workflows_page,
    plan_page,
    decision_routes,
    task_page,
    amendment_routes,
    transcript_routes,
    run_routes,
    board_page,
]

HEADERS = {
    # Nothing inline, nothing from other hosts, and no framing by other sites.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'self'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}

_TITLES = {
    401: "You are not signed in",
    403: "You do not have permission",
    404: "Page not found",
    503: "Temporarily unavailable",
}

_PLAINER = {
    "Not Found": "There is no page at this address.",
    "Forbidden": "Your Airflow roles don't give you permission. Ask an Airflow administrator.",
}
"""Plainer words for messages of FastAPI and Airflow, which say what to do."""


def build_app(airflow: FastAPI) -> FastAPI:
    """Build the app that Airflow's API server mounts.

    :param airflow: the API server's own app; its state (auth manager, DAGs) is shared
    """
    app = FastAPI(title="Chassis", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.state = airflow.state
    for module in MODULES:
        app.include_router(module.router.api)
    app.add_middleware(SecurityHeaders)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(404, _refused)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(ChassisError, _failed)
    return app


class SecurityHeaders:
    """Sets :data:`HEADERS` on every answer, and keeps pages out of caches unless they say otherwise."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self.app(scope, receive, with_headers)


async def _refused(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    detail = str(getattr(error, "detail", ""))
    return _answer(request, status, detail=_PLAINER.get(detail, detail))


async def _malformed(request: Request, error: Exception) -> Response:
    """Answer a malformed path or query, such as text for a number, without repeating what was sent."""
    assert isinstance(error, RequestValidationError)
    where = ", ".join(".".join(map(str, fault["loc"])) for fault in error.errors())
    return _answer(request, 422, detail=f"Invalid value: {where}.")


async def _failed(request: Request, error: Exception) -> Response:
    assert isinstance(error, ChassisError)
    return _answer(
        request,
        503 if error.retryable else 500,
        detail=error.message,
        remedy=getattr(error, "hint", "") or "",
    )


def _answer(request: Request, status: int, *, detail: str, remedy: str = "") -> Response:
    if not wants_html(request):
        return JSONResponse({"detail": detail, "remedy": remedy}, status)
    title = _TITLES.get(status, "Something went wrong")
    return page(
        request, "error.html", status_code=status, status=status, title=title, detail=detail, remedy=remedy
    )
