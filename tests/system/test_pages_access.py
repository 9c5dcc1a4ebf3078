"""Who may see and do what on the pages, in a real Airflow with FAB's accounts: with passwords, and rights by DAG."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from chassis.contract.addresses import URL_PREFIX
from chassis.local.stack import LocalStack
from chassis.ui.app import HEADERS, build_app
from tests.system.approving import PLANNER, Approval
from tests.system.driver import AirflowDriver, run_chassis, started
from tests.system.fab_accounts import ADMIN_ID, FAB, Accounts, add_admin

OUTSIDER = "outsider"
"""May do what a user may, but with one DAG only."""
OPEN_DAG = "recurring_onboarding"
REQUIREMENT = "Add pet insurance product to services pricing and claims"
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}


@dataclass
class Site:
    """A running Airflow with one finished workflow's run, and its people."""

    url: str
    home: Path
    passwords: dict[str, str]
    workflow_id: str
    run_id: str
    approval: Approval
    """Of a planner's run that waits for a decision."""
    tokens: dict[str, str] = field(default_factory=dict)

    def client(self, user: str | None) -> httpx.Client:
        """A browser of somebody who has signed in: the cookie goes along with every request, whoever made it."""
        client = httpx.Client(base_url=self.url, timeout=60, headers={"Accept": "text/html"})
        if user is not None:
            client.cookies.set("_token", self.token(user))
        return client

    def token(self, user: str) -> str:
        """What signing in gives; once for each person, because to check a password is made to take its time."""
        if user not in self.tokens:
            body = {"username": user, "password": self.passwords[user]}
            answer = httpx.post(f"{self.url}/auth/token", json=body, timeout=60)
            self.tokens[user] = answer.json()["access_token"]
        return self.tokens[user]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("chassis-home")
    add_admin(home)
    with started(LocalStack(home, env=FAB | {"AIRFLOW__CHASSIS__APPROVERS": ADMIN_ID})) as stack:
        airflow = AirflowDriver(stack.url, stack.username, stack.password)
        passwords = {stack.username: stack.password}
        accounts = Accounts(airflow)
        accounts.add_role_for_one_dag("Onboarding", OPEN_DAG, like="User")
        for name, role in (("viewer", "Viewer"), ("user", "User"), (OUTSIDER, "Onboarding")):
            passwords[name] = accounts.add(name, role)
        asking = {
            "requirement": REQUIREMENT,
            "workflow_id": "asked",
            "action": "publish",
            "approve": "always",
        }
        waiting = airflow.trigger(PLANNER, asking)
        workflow_id, run_id, state = airflow.plan_and_run(REQUIREMENT, workflow_id="guarded")
        assert state == "success"
        approval = Approval(airflow, waiting, str(home / "records"))
        yield Site(stack.url, home, passwords, workflow_id, run_id, approval)


def routes() -> list[tuple[str, str]]:
    """Every route of the app: method and path."""
    airflow: Any = SimpleNamespace(state=FastAPI().state)
    app = build_app(airflow)
    return sorted(
        (method, route.path)
        for route in app.routes
        if isinstance(route, APIRoute)
        for method in route.methods
    )


ROUTES = routes()


def address(site: Site, path: str) -> str:
    """A route's address for the finished run; what a planner's run alone has, for the one that waits."""
    planner = path.endswith("/plan/news")
    filled = {
        "dag_id": PLANNER if planner else site.workflow_id,
        "run_id:path": quote(site.approval.run_id if planner else site.run_id, safe=""),
        "task_id": "update_service",
        "map_index": "0",
        "name": "chassis.css",
    }
    return URL_PREFIX + re.sub(r"{([^}]+)}", lambda match: filled[match[1]], path)


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_no_route_answers_without_sign_in(site: Site, method: str, path: str) -> None:
    with site.client(None) as nobody:
        answer = nobody.request(method, address(site, path), headers=SAME_ORIGIN)
    assert answer.status_code == 401, answer.text[:200]
    assert site.workflow_id not in answer.text
    for name, value in HEADERS.items():
        assert answer.headers[name] == value


@pytest.mark.parametrize("path", [path for method, path in ROUTES if method == "GET"])
def test_a_viewer_can_read(site: Site, path: str) -> None:
    with site.client("viewer") as viewer:
        answer = viewer.get(address(site, path), params={"try": 1})
    assert answer.status_code == 200, answer.text[:500]
    for name, value in HEADERS.items():
        assert answer.headers[name] == value


@pytest.mark.parametrize("path", [path for method, path in ROUTES if method == "POST"])
class TestWhatChangesSomething:
    def test_a_viewer_can_not(self, site: Site, path: str) -> None:
        with site.client("viewer") as viewer:
            answer = viewer.post(address(site, path), data={}, headers=SAME_ORIGIN)
        assert answer.status_code == 403, answer.text[:500]

    def test_another_site_can_not_even_with_an_admins_cookie(self, site: Site, path: str) -> None:
        with site.client("admin") as admin:
            for elsewhere in (
                {"Sec-Fetch-Site": "cross-site"},
                {"Sec-Fetch-Site": "same-site"},
                {"Origin": "https://elsewhere.example"},
                {},
            ):
                answer = admin.post(address(site, path), data={}, headers=elsewhere)
                assert answer.status_code == 403, f"{elsewhere}: {answer.text[:300]}"
                assert "another site" in answer.text

    def test_ones_own_page_gets_as_far_as_the_content(self, site: Site, path: str) -> None:
        with site.client("admin") as admin:
            answer = admin.post(address(site, path), data={}, headers=SAME_ORIGIN)
        assert answer.status_code not in {401, 403, 500}, answer.text[:300]


@pytest.mark.parametrize(("method", "path"), [each for each in ROUTES if "{dag_id}" in each[1]])
def test_who_has_no_access_to_a_dag_has_none_to_its_pages(site: Site, method: str, path: str) -> None:
    with site.client(OUTSIDER) as outsider:
        answer = outsider.request(method, address(site, path), headers=SAME_ORIGIN)
    assert answer.status_code == 403
    assert REQUIREMENT not in answer.text


def test_the_list_has_only_what_one_may_read(site: Site) -> None:
    with site.client("viewer") as viewer:
        assert f"/{site.workflow_id}/" in viewer.get(f"{URL_PREFIX}/workflows").text
    for path in ("/workflows", "/api/v1/workflows"):
        with site.client(OUTSIDER) as outsider:
            text = outsider.get(f"{URL_PREFIX}{path}").text
        assert site.workflow_id not in text
        assert "pet insurance" not in text
        assert OPEN_DAG in text, "the list isn't empty for want of a right to see it at all"


def test_every_address_on_a_page_leads_somewhere(site: Site) -> None:
    with site.client("viewer") as viewer:
        for page in ("/workflows", "/dags/{dag_id}/runs/{run_id:path}"):
            text = viewer.get(address(site, page)).text
            found = {html.unescape(each) for each in re.findall(r'(?:href|src|data-changes)="([^"#]+)', text)}
            assert len(found) > 5
            for each in sorted(found):
                assert viewer.get(each, follow_redirects=True).status_code == 200, each


def test_the_button_on_a_task_leads_to_the_runs_tab(site: Site) -> None:
    with site.client("viewer") as viewer:
        path = f"/api/v2/dags/{site.workflow_id}/dagRuns/{quote(site.run_id, safe='')}/taskInstances"
        links = viewer.get(f"{path}/update_service/links", params={"map_index": 0}).json()["extra_links"]
    assert links["Board"].startswith(f"/dags/{site.workflow_id}/runs/")
    assert links["Board"].endswith("/plugin/chassis")


class TestADecision:
    """Airflow asks by a user's id, which isn't the name here."""

    @staticmethod
    def decide(site: Site, user: str) -> httpx.Response:
        page = f"{URL_PREFIX}/dags/{PLANNER}/runs/{quote(site.approval.run_id, safe='')}"
        form = {"digest": site.approval.asks()["digest"], "choice": "Approve", "comment": "Fine."}
        with site.client(user) as client:
            return client.post(f"{page}/decision", data=form, headers=SAME_ORIGIN)

    def test_is_refused_from_who_is_no_approver(self, site: Site) -> None:
        answer = self.decide(site, "user")
        assert answer.status_code == 403
        assert "Only these users can decide" in answer.text
        assert site.approval.state == "awaiting_input"

    def test_is_kept_with_the_name_and_the_id_of_who_made_it(self, site: Site) -> None:
        answer = self.decide(site, "admin")
        assert answer.status_code == 303, answer.text[:500]
        decision = site.approval.approved()["decision"]
        assert (decision["by"], decision["by_id"], decision["comment"]) == ("admin", ADMIN_ID, "Fine.")
        with site.client("viewer") as viewer:
            assert "Approved by admin" in viewer.get(answer.headers["location"]).text


def test_the_command_line_signs_in_and_says_so_when_it_may_not(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("URL", site.url), ("USERNAME", "viewer"), ("PASSWORD", site.passwords["viewer"])):
        monkeypatch.setenv(f"CHASSIS_AIRFLOW_{name}", value)
    done = run_chassis(site.home, "status", site.workflow_id)
    assert done.returncode == 0, done.stderr
    assert site.run_id in done.stdout
    monkeypatch.setenv("CHASSIS_AIRFLOW_PASSWORD", "wrong")
    done = run_chassis(site.home, "status", site.workflow_id)
    assert done.returncode != 0
    assert "CHASSIS_AIRFLOW_PASSWORD" in done.stderr
