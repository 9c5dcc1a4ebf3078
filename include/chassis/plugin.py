"""Registers Chassis with Airflow. Every worker imports this at every task start: it must stay light."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from airflow.plugins_manager import AirflowPlugin

from chassis.contract.addresses import TAB, URL_PREFIX
from chassis.dag.links import BoardLink

_PATH = URL_PREFIX.removeprefix("/")

_Message = MutableMapping[str, Any]


class LazyApp:
    """The pages' ASGI app, created at the first request, so that only the API server pays for it."""

    def __init__(self) -> None:
        self._app: Callable[..., Awaitable[None]] | None = None

    async def __call__(
        self,
        scope: _Message,
        receive: Callable[[], Awaitable[_Message]],
        send: Callable[[_Message], Awaitable[None]],
    ) -> None:
        if self._app is None:
            from chassis.ui.app import build_app

            self._app = build_app(scope["app"])
        await self._app(scope, receive, send)


_APPS: list[Any] = [{"name": "Chassis", "app": LazyApp(), "url_prefix": URL_PREFIX}]
_VIEWS: list[Any] = [
    {
        "name": "Workflows",
        "href": f"{_PATH}/workflows",
        "destination": "nav",
        "url_route": "chassis-workflows",
        "nav_top_level": True,
        "icon": f"{_PATH}/static/icon-light.svg",
        "icon_dark_mode": f"{_PATH}/static/icon-dark.svg",
    },
    {
        "name": "Chassis",
        "href": f"{_PATH}/dags/{{DAG_ID}}/runs/{{RUN_ID}}",
        "destination": "dag_run",
        "url_route": TAB,
        "icon": f"{_PATH}/static/icon-light.svg",
        "icon_dark_mode": f"{_PATH}/static/icon-dark.svg",
    },
]
"""Addresses without a leading slash: Airflow's page resolves them against its own base, even below a sub-path."""
_LINKS: list[Any] = [BoardLink()]


class ChassisPlugin(AirflowPlugin):
    """Adds Chassis's pages to Airflow: a page of all workflows, a tab on each run, a button on each task."""

    name = "chassis"
    fastapi_apps = _APPS
    external_views = _VIEWS
    operator_extra_links = _LINKS
