"""Who may ask for a page. Airflow doesn't sign anybody in for a plugin's app, so each route says its rule itself.

Invariants that must not be relaxed:

- A route is declared through :class:`Routes`, which takes no route without a rule. A test lists all routes of the
  app and fails when one has none.
- What changes something is a POST, and refuses a request that another site made a browser send with the person's
  cookie. A request with a bearer token isn't one: no browser sends that by itself.
- The answer to "may they?" is Airflow's auth manager's alone, whichever is configured.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

from airflow.api_fastapi.app import API_BASE_URL, get_auth_manager
from airflow.api_fastapi.auth.managers.base_auth_manager import ResourceMethod
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from airflow.models.dag import DagModel
from fastapi import APIRouter, Depends, HTTPException, Request, status

F = TypeVar("F", bound=Callable[..., Any])


class Rule:
    """Who may use a route; as FastAPI's dependency it refuses everybody else.

    :raises HTTPException: 401 without sign-in, 403 without the right
    """

    @abstractmethod
    def __call__(self, request: Request, user: GetUserDep) -> None: ...


@dataclass(frozen=True)
class SignedIn(Rule):
    """Everybody who has signed in. What the page then lists is the page's matter, see ``PermittedDagFilter``."""

    def __call__(self, request: Request, user: GetUserDep) -> None:
        """That there is a user is all that is asked."""


class Read(Rule):
    """Who may read those parts of the path's DAG; a run, where none is named."""

    def __init__(self, *entities: DagAccessEntity) -> None:
        self.entities = entities or (DagAccessEntity.RUN,)

    def __call__(self, request: Request, user: GetUserDep) -> None:
        # What ``requires_access_dag`` does, with one look into the database for all of them.
        manager, details = get_auth_manager(), _details(request.path_params["dag_id"])
        for entity in self.entities:
            if not manager.is_authorized_dag(method="GET", access_entity=entity, details=details, user=user):
                raise HTTPException(status.HTTP_403_FORBIDDEN, "Forbidden")


@dataclass(frozen=True)
class Change(Rule):
    """Who may change that part of the path's DAG.

    :ivar method: what the auth manager is asked for: PUT to change, POST to add
    """

    entity: DagAccessEntity
    method: ResourceMethod = "PUT"

    def __call__(self, request: Request, user: GetUserDep) -> None:
        requires_access_dag(method=self.method, access_entity=self.entity)(request, user)


@dataclass(frozen=True)
class Every(Rule):
    """Who meets each of several rules.

    :ivar rules: at least one
    """

    rules: tuple[Rule, ...]

    def __call__(self, request: Request, user: GetUserDep) -> None:
        for rule in self.rules:
            rule(request, user)


def may(user: BaseUser, method: ResourceMethod, dag_id: str, entity: DagAccessEntity | None = None) -> bool:
    """Whether a user may do that with a DAG other than the path's; also with one that doesn't exist yet.

    :param entity: None for the DAG itself
    """
    manager = get_auth_manager()
    return manager.is_authorized_dag(method=method, access_entity=entity, details=_details(dag_id), user=user)


def _details(dag_id: str) -> DagDetails:
    return DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id))


def same_site(request: Request) -> None:
    """Refuse what another site may have made a browser send.

    A browser says in ``Sec-Fetch-Site`` where a request comes from, over HTTPS and on this machine; elsewhere it
    says so in ``Origin``, which must then be this server as the browser, or the configuration, calls it.

    :raises HTTPException: 403
    """
    headers = request.headers
    if headers.get("authorization", "").lower().startswith("bearer "):
        return
    site = headers.get("sec-fetch-site")
    if site is not None:
        trusted = site == "same-origin"
    else:
        origin = urlsplit(headers.get("origin", "")).netloc
        trusted = bool(origin) and origin in {headers.get("host"), urlsplit(API_BASE_URL).netloc}
    if not trusted:
        raise HTTPException(
            status.HTTP_403_FORBIDDEN, "This was sent from another site, so nothing was done."
        )


class Routes:
    """A router that takes no route without its rule.

    ``api`` is what the app includes.
    """

    def __init__(self) -> None:
        self.api = APIRouter()

    def get(self, path: str, *, rule: Rule, **options: Any) -> Callable[[F], F]:
        """A page, or data for one. It changes nothing."""
        return self.api.get(path, dependencies=[Depends(rule)], **options)

    def post(self, path: str, *, rule: Rule, **options: Any) -> Callable[[F], F]:
        """An action. Requests from other sites are refused before anything else is looked at."""
        return self.api.post(path, dependencies=[Depends(same_site), Depends(rule)], **options)
