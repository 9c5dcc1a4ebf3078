"""Who may use a route. Airflow doesn't authenticate requests to a plugin's app, so each route declares its rule.

Invariants that must not be relaxed:

- Routes are declared through :class:`Routes`, which takes none without a rule. A test lists all routes of the app and
  fails if one has no rule.
- A route that changes something is a POST, and refuses requests that another site made a browser send with the
  person's cookie. A request with a bearer token is never one of those: no browser sends a token by itself.
- Airflow's configured auth manager alone decides who may do what.
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
    """Who may use a route; as FastAPI's dependency, it refuses everybody else.

    :raises HTTPException: 401 without sign-in, 403 without the right
    """

    @abstractmethod
    def __call__(self, request: Request, user: GetUserDep) -> None: ...


@dataclass(frozen=True)
class SignedIn(Rule):
    """Everybody who has signed in. The page decides what it lists, see ``PermittedDagFilter``."""

    def __call__(self, request: Request, user: GetUserDep) -> None:
        """Require a user, nothing more."""


class Read(Rule):
    """Who may read those parts of the path's DAG; a run if none is named."""

    def __init__(self, *entities: DagAccessEntity) -> None:
        self.entities = entities or (DagAccessEntity.RUN,)

    def __call__(self, request: Request, user: GetUserDep) -> None:
        # Like ``requires_access_dag``, but with one database query for all parts.
        manager, details = get_auth_manager(), _details(request.path_params["dag_id"])
        for entity in self.entities:
            if not manager.is_authorized_dag(method="GET", access_entity=entity, details=details, user=user):
                raise HTTPException(status.HTTP_403_FORBIDDEN, "Forbidden")


@dataclass(frozen=True)
class Change(Rule):
    """Who may change that part of the path's DAG.

    :ivar method: what to ask the auth manager for: PUT to change, POST to add
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
    """Whether a user may do that with a DAG other than the path's, even one that doesn't exist yet.

    :param entity: None for the DAG itself
    """
    manager = get_auth_manager()
    return manager.is_authorized_dag(method=method, access_entity=entity, details=_details(dag_id), user=user)


def _details(dag_id: str) -> DagDetails:
    return DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id))


def same_site(request: Request) -> None:
    """Refuse what another site may have made a browser send.

    Over HTTPS and on this machine, a browser names the source of a request in ``Sec-Fetch-Site``; elsewhere in
    ``Origin``, which must then be this server as the browser, or the configuration, calls it.

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
    """A router that takes no route without a rule. The app includes ``api``."""

    def __init__(self) -> None:
        self.api = APIRouter()

    def get(self, path: str, *, rule: Rule, **options: Any) -> Callable[[F], F]:
        """Declare a page, or data for one. It changes nothing."""
        return self.api.get(path, dependencies=[Depends(rule)], **options)

    def post(self, path: str, *, rule: Rule, **options: Any) -> Callable[[F], F]:
        """Declare an action. It refuses requests from other sites before it looks at anything else."""
        return self.api.post(path, dependencies=[Depends(same_site), Depends(rule)], **options)
