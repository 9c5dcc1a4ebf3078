"""Pages from templates. Everything is escaped: what is to be HTML says so by being ``Markup``."""

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
    """The pages' templates; a name that a template doesn't get is an error, not nothing."""
    # Every file here is HTML, whatever it is called.
    environment = Environment(
        autoescape=True,
        # Before it is escaped: what deceives is shown as signs, on every page, whoever forgets it.
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
    """A text with signs for what deceives. ``Markup`` stays: it is made of such texts, or is ``verbatim`` for a field
    that a form sends back.
    """
    return signs(value) if type(value) is str else value


@cache
def asset_version(name: str) -> str:
    """Changes when the file does, so that a browser may keep what it has."""
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]


def page(request: Request, template: str, *, status_code: int = 200, **values: Any) -> HTMLResponse:
    """A whole page. A template gets ``links`` (see :class:`chassis.ui.page_links.Links`) besides its own values."""
    return HTMLResponse(
        templates().get_template(template).render(links=links_of(request), **values), status_code=status_code
    )


def json_answer(view: BaseModel) -> Response:
    """A view as JSON. Half a character, which a run's conf may hold, can't be sent: it is replaced."""
    text = json.dumps(view.model_dump(mode="json", by_alias=True), ensure_ascii=False, separators=(",", ":"))
    return Response(HALVES.sub("\ufffd", text), media_type="application/json")


def parts(template: str) -> Any:
    """The macros of a template, for a page that is already open; each gives escaped ``Markup``."""
    return templates().get_template(template).module


def wants_html(request: Request) -> bool:
    """Whether a browser asks for a page, rather than a script or a program for data."""
    return "text/html" in request.headers.get("accept", "")
