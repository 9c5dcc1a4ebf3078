"""The files that pages load: style, scripts, icons. Like everything here, they require sign-in."""

from __future__ import annotations

from fastapi import HTTPException, Request, status
from fastapi.responses import FileResponse

from chassis.ui.access_rules import Routes, SignedIn
from chassis.ui.page_templates import STATIC, asset_version

router = Routes()

_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_A_YEAR = 365 * 24 * 3600


@router.get("/static/{name}", rule=SignedIn())
def asset(request: Request, name: str) -> FileResponse:
    """A file of the folder ``static``, by its plain name; browsers keep it until it changes."""
    files = {file.name: file for file in STATIC.iterdir() if file.suffix in _TYPES}
    if name not in files:
        raise HTTPException(status.HTTP_404_NOT_FOUND, "There is no such file.")
    lasting = request.query_params.get("v") == asset_version(name)
    age = f"max-age={_A_YEAR}, immutable" if lasting else "no-cache"
    return FileResponse(
        files[name], media_type=_TYPES[files[name].suffix], headers={"Cache-Control": f"private, {age}"}
    )
