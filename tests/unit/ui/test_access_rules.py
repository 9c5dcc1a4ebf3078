from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI, HTTPException, Request
from fastapi.routing import APIRoute

from chassis.ui.access_rules import Change, Every, Read, Routes, Rule, SignedIn, same_site

EXPECTED = {
    "GET /static/{name}": "SignedIn",
    "GET /workflows": "SignedIn",
    "GET /api/v1/workflows": "SignedIn",
    "GET /dags/{dag_id}/runs/{run_id:path}": "Read RUN, TASK_INSTANCE, XCOM",
    "GET /api/v1/dags/{dag_id}/runs/{run_id:path}": "Read RUN, TASK_INSTANCE, XCOM",
    "GET /dags/{dag_id}/runs/{run_id:path}/changes": "Read RUN, TASK_INSTANCE, XCOM",
    "GET /dags/{dag_id}/runs/{run_id:path}/plan": "Read RUN + Read XCOM",
    "GET /dags/{dag_id}/runs/{run_id:path}/plan/news": "Read RUN + Read XCOM",
    "POST /dags/{dag_id}/runs/{run_id:path}/check": "PUT HITL_DETAIL + Read RUN + Read XCOM",
    "POST /dags/{dag_id}/runs/{run_id:path}/decision": "PUT HITL_DETAIL + Read RUN + Read XCOM",
    "GET /dags/{dag_id}/runs/{run_id:path}/amendments": "Read RUN",
    "GET /dags/{dag_id}/runs/{run_id:path}/tasks/{task_id}/{map_index}": "Read RUN + Read XCOM + Read TASK_LOGS",
    "GET /dags/{dag_id}/runs/{run_id:path}/tasks/{task_id}/{map_index}/transcript": "Read RUN, XCOM, TASK_LOGS",
    "POST /dags/{dag_id}/runs/{run_id:path}/tasks/{task_id}/{map_index}/amend": "PUT TASK_INSTANCE",
}
"""Every route of the pages, and who may use it. A new route needs a line here: somebody has thought of who may."""


def told(rule: Rule) -> str:
    if isinstance(rule, Read):
        return "Read " + ", ".join(entity.name for entity in rule.entities)
    if isinstance(rule, Change):
        return f"{rule.method} {rule.entity.name}"
    if isinstance(rule, Every):
        return " + ".join(map(told, rule.rules))
    return type(rule).__name__


def dependencies(route: APIRoute) -> list[Any]:
    return [each.dependency for each in route.dependencies]


def rules(app: FastAPI) -> dict[str, str]:
    found = {}
    for route in app.routes:
        assert isinstance(route, APIRoute), f"{route} is no route that a rule could be on"
        declared = [each for each in dependencies(route) if isinstance(each, Rule)]
        assert len(declared) == 1, f"{route.path} has no rule of who may use it"
        for method in route.methods:
            found[f"{method} {route.path}"] = told(declared[0])
    return found


def test_every_route_has_the_rule_that_is_written_down_for_it(app: FastAPI) -> None:
    assert rules(app) == EXPECTED


def test_the_list_of_rules_sees_a_route_without_one() -> None:
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.get("/open")(lambda: "anybody")
    with pytest.raises(AssertionError, match="no rule"):
        rules(app)


def test_whatever_changes_something_refuses_other_sites_before_anything_else(app: FastAPI) -> None:
    for route in app.routes:
        assert isinstance(route, APIRoute)
        if route.methods != {"GET"}:
            assert route.methods == {"POST"}, f"{route.path}: what changes something is a POST"
            assert dependencies(route)[0] is same_site, f"{route.path} takes requests from other sites"


def test_a_route_can_not_be_declared_without_a_rule() -> None:
    with pytest.raises(TypeError, match="rule"):
        Routes().get("/open")  # type: ignore[call-arg]
    assert Routes().get("/closed", rule=SignedIn()) is not None


def sent(**headers: str) -> Request:
    named = {"host": "airflow.example", **headers}
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in named.items()]
    return Request({"type": "http", "headers": raw, "method": "POST", "path": "/", "query_string": b""})


@pytest.mark.parametrize(
    "headers",
    [
        {"sec_fetch_site": "same-origin"},
        {"origin": "https://airflow.example"},
        {"sec_fetch_site": "same-origin", "origin": "https://elsewhere.example"},
        {"authorization": "Bearer x", "sec_fetch_site": "cross-site"},
    ],
)
def test_a_request_of_ones_own_is_taken(headers: dict[str, str]) -> None:
    same_site(sent(**headers))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"sec_fetch_site": "none"},
        {"sec_fetch_site": "cross-site", "origin": "https://airflow.example"},
        {"origin": "https://elsewhere.example"},
        {"origin": "null"},
        {"origin": "https://airflow.example.elsewhere.example"},
        {"authorization": "Basic x", "sec_fetch_site": "cross-site"},
        {"referer": "https://airflow.example/"},
    ],
)
def test_a_request_that_another_site_may_have_made_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(HTTPException) as refusal:
        same_site(sent(**headers))
    assert refusal.value.status_code == 403
