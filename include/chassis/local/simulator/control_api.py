"""The control endpoints below ``/_simulator``: request log, scenarios, models.

They need no credentials and answer on the loopback interface only.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from aiohttp import web

from chassis import __version__
from chassis.local.simulator.model_files import Play
from chassis.local.simulator.scenario import Scenario, parse
from chassis.local.simulator.simulator_errors import SimulatorError

if TYPE_CHECKING:
    from chassis.local.simulator.server_state import State

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ControlApi:
    """The handlers; ``add_to`` puts them into an application."""

    def __init__(self, state: State) -> None:
        self._state = state

    def add_to(self, app: web.Application) -> None:
        """Register the endpoints."""
        routes: list[tuple[str, str, Callable[[Any], Any]]] = [
            ("GET", "health", self._health),
            ("GET", "requests", lambda _: self._state.log.as_data()),
            ("DELETE", "requests", lambda _: self._state.log.clear()),
            ("POST", "scenario", lambda data: self._state.add(parse(Scenario, data, "The scenario"))),
            ("DELETE", "faults", lambda _: self._state.faults.clear()),
            ("DELETE", "answers", lambda _: self._state.answers.clear()),
            ("POST", "models", lambda data: self._state.cast.add(parse(Play, data, "The play"))),
            ("DELETE", "models", lambda _: self._state.cast.clear()),
            ("POST", "reset", lambda _: self._state.reset()),
        ]
        for method, name, action in routes:
            app.router.add_route(method, f"/_simulator/{name}", _guarded(action))

    def _health(self, _: Any) -> dict[str, Any]:
        state = self._state
        return {
            "simulated": True,
            "version": __version__,
            "in_flight": state.log.in_flight,
            "latency": state.latency.seconds,
            "quota": state.gate.quota.model_dump(),
        }


def _guarded(action: Callable[[Any], Any]) -> _Handler:
    async def handler(http: web.Request) -> web.StreamResponse:
        if not _is_local(http):
            return web.json_response(
                {"error": "The simulator is controlled from its own machine only."}, status=403
            )
        try:
            data = json.loads(await http.read() or b"null")
            result = action(data)
        except ValueError:
            return web.json_response({"error": "The body is no JSON."}, status=400)
        except SimulatorError as error:
            return web.json_response({"error": str(error)}, status=400)
        return web.json_response({} if result is None else result)

    return handler


def _is_local(http: web.Request) -> bool:
    """Whether a program on this machine asks. A web page is none, even if its name points at loopback."""
    named = urlsplit(f"//{http.host}").hostname or ""
    return "Origin" not in http.headers and _is_loopback(http.remote or "") and _is_loopback(named)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
