from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from starlette.routing import Match

from chassis.contract.addresses import URL_PREFIX, Links
from chassis.dag.links import BoardLink
from chassis.plugin import ChassisPlugin
from chassis.ui.app import build_app

RUN = "manual__2026-11-22T18:58:37+00:00"


def endpoint(app: FastAPI, path: str, method: str = "GET") -> tuple[str, dict[str, Any]]:
    """Whose address it is, as Airflow's server decodes and routes it, and what it makes of the ids."""
    scope = {
        "type": "http",
        "method": method,
        "path": unquote(path.removeprefix(URL_PREFIX)),
        "root_path": "",
        "headers": [],
    }
    for route in app.routes:
        match, found = route.matches(scope)
        if match is Match.FULL:
            return found["endpoint"].__name__, found["path_params"]
    raise AssertionError(f"no route for {path}")


@pytest.mark.parametrize("root", ["", "/sub/path"])
def test_every_address_is_below_airflows_own(root: str) -> None:
    links = Links(root)
    addresses = [
        links.static("x.css"),
        links.workflows(),
        links.board("d", RUN),
        links.task("d", RUN, "t", 3),
        links.amend("d", RUN, "t"),
        links.airflow_tab("d", RUN),
        links.airflow_task("d", RUN, "t", 3),
        links.sign_in(),
    ]
    assert all(address.startswith(f"{root}/") for address in addresses)
    assert links.airflow_task("d", RUN, "t", 3).endswith("/tasks/t/mapped/3")
    assert links.airflow_task("d", RUN, "t").endswith("/tasks/t")


@given(run_id=st.from_regex(r"[A-Za-z0-9_.~:+/ %?#-]{1,40}", fullmatch=True))
def test_a_page_finds_the_ids_that_its_address_was_made_of(app: FastAPI, run_id: str) -> None:
    if run_id.endswith(("/changes", "/plan", "/amendments")) or "/tasks/" in run_id:
        return  # a run that is called as a page below another run can't be told apart from it
    links = Links()
    assert endpoint(app, links.board("d", run_id)) == ("show_board", {"dag_id": "d", "run_id": run_id})
    assert endpoint(app, links.changes("d", run_id)) == ("show_changes", {"dag_id": "d", "run_id": run_id})
    name, ids = endpoint(app, links.plan("d", run_id))
    assert (name, ids["run_id"]) == ("show_plan", run_id)


def test_no_id_leads_out_of_its_place() -> None:
    assert Links().board("..", "../..") == f"{URL_PREFIX}/dags/%2E%2E/runs/..%2F.."


def test_what_airflow_is_told_has_no_slash_in_front_so_that_it_holds_below_a_sub_path() -> None:
    for view in ChassisPlugin.external_views:
        for key in ("href", "icon", "icon_dark_mode"):
            assert view[key].startswith("chassis/")


def test_the_tabs_address_is_the_boards() -> None:
    (tab,) = [view for view in ChassisPlugin.external_views if view["destination"] == "dag_run"]
    filled = tab["href"].replace("{DAG_ID}", "d").replace("{RUN_ID}", "r")
    assert f"/{filled}" == Links().board("d", "r")


def test_the_button_on_a_task_leads_to_the_tab(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example/sub")
    key: Any = type("Key", (), {"dag_id": "d", "run_id": RUN})
    operator: Any = None
    assert BoardLink().get_link(operator, ti_key=key) == Links("/sub").airflow_tab("d", RUN)


def test_an_app_shares_the_state_of_the_server_that_it_is_mounted_in() -> None:
    airflow = FastAPI()
    airflow.state.auth_manager = "whichever is configured"
    assert build_app(airflow).state.auth_manager == "whichever is configured"
