"""Renders pages from templates. Everything is escaped except ``Markup``."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import Request, Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import escape
from pydantic import BaseModel

from chassis.text import HALVES, signs
from chassis.ui.page_links import links_of
from chassis.ui.words import FILTERS

_HERE = Path(__file__).parent
STATIC = _HERE / "static"


@cache
def templates() -> Environment:
    """The pages' templates. A value that a template lacks is an error, not nothing."""
    # Every file here is HTML, whatever its name.
    environment = Environment(
        autoescape=True,
        # Before escaping: shows deceptive characters as signs, on every page.
        finalize=_in_signs,
        loader=FileSystemLoader(_HERE / "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS)
    environment.filters["verbatim"] = escape
    environment.globals["asset_version"] = asset_version
    return environment


def _in_signs(value: Any) -> Any:
    """Show deceptive characters as signs. ``Markup`` stays: it is made of such texts, or is ``verbatim`` for a field
    that a form sends back.
    """
    return signs(value) if type(value) is str else value


@cache
def asset_version(name: str) -> str:
    """A version that changes with the file, so that browsers may cache it."""
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]


def page(request: Request, template: str, *, status_code: int = 200, **values: Any) -> HTMLResponse:
    """Render a page. The template gets ``links`` (see :class:`chassis.ui.page_links.Links`) and its own values."""
    return HTMLResponse(
        templates().get_template(template).render(links=links_of(request), **values), status_code=status_code
    )


def json_answer(view: BaseModel) -> Response:
    """A view as JSON. Half a character, which a run's conf may hold, can't be sent, so it is replaced."""
    text = json.dumps(view.model_dump(mode="json", by_alias=True), ensure_ascii=False, separators=(",", ":"))
    return Response(HALVES.sub("\ufffd", text), media_type="application/json")


def parts(template: str) -> Any:
    """The macros of a template, for a page that is already open; each returns escaped ``Markup``."""
    return templates().get_template(template).module


def wants_html(request: Request) -> bool:
    """Whether a browser asks for a page, rather than a script or a program for data."""
    return "text/html" in request.headers.get("accept", "")
