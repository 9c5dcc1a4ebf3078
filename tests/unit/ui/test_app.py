from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException
from fastapi.testclient import TestClient

from chassis.errors import SettingsError, ThrottledError
from chassis.ui import page_templates
from chassis.ui.app import HEADERS, build_app

UI = Path(page_templates.__file__).parent


@pytest.fixture
def client() -> TestClient:
    """A client of an app with pages that fail."""
    airflow: Any = SimpleNamespace(state=FastAPI().state)
    app = build_app(airflow)

    def fail(error: Exception) -> Any:
        def page() -> None:
            raise error

        return page

    routes = app.router.routes
    app.get("/broken")(fail(SettingsError("It is <b>wrong</b>.", hint="Correct it.")))
    app.get("/later")(fail(ThrottledError("Not now.")))
    app.get("/forbidden")(fail(HTTPException(403, "Forbidden")))
    routes.sort(key=lambda route: "{run_id" in getattr(route, "path", ""))
    return TestClient(app, headers={"Accept": "text/html"})


@pytest.mark.parametrize("path", ["/workflows", "/nothing", "/broken", "/dags/d/runs/r"])
def test_every_answer_tells_the_browser_what_it_may_not_do(client: TestClient, path: str) -> None:
    answer = client.get(path)
    for name, value in HEADERS.items():
        assert answer.headers[name] == value
    assert answer.headers["cache-control"] == "no-store"


def test_the_policy_allows_nothing_inline_and_no_other_host() -> None:
    policy = HEADERS["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ")
    sources = {source for part in policy.split("; ") for source in part.split()[1:]}
    assert sources == {"'none'", "'self'"}


def test_no_template_needs_what_the_policy_forbids() -> None:
    templates = sorted((UI / "templates").glob("*.html"))
    assert len(templates) >= 5
    for template in templates:
        text = template.read_text()
        assert not re.search(r"\sstyle\s*=", text), f"{template.name}: an inline style"
        assert not re.search(r"\son[a-z]+\s*=", text), f"{template.name}: an inline handler"
        assert not re.search(r"<script(?![^>]*\ssrc=)", text), f"{template.name}: an inline script"
        assert not re.search(r"\|\s*safe\b|autoescape\s+false", text), f"{template.name}: unescaped text"
        assert not re.search(r"(?:https?:)?//[a-z]", text), f"{template.name}: another host"


def test_a_stranger_is_asked_to_sign_in(client: TestClient) -> None:
    answer = client.get("/workflows")
    assert answer.status_code == 401
    assert 'target="_top">Sign in</a>' in answer.text


def test_a_program_gets_an_error_as_data(client: TestClient) -> None:
    answer = client.get("/broken", headers={"Accept": "application/json"})
    assert answer.json() == {"detail": "It is <b>wrong</b>.", "remedy": "Correct it."}


def test_a_person_gets_an_error_as_a_page_with_what_to_do(client: TestClient) -> None:
    answer = client.get("/broken")
    assert answer.status_code == 500
    assert "It is &lt;b&gt;wrong&lt;/b&gt;." in answer.text
    assert "Correct it." in answer.text


def test_what_may_work_later_says_so_in_its_status(client: TestClient) -> None:
    assert client.get("/later").status_code == 503


@pytest.mark.parametrize(
    ("path", "said"), [("/nothing", "There is no page at this address"), ("/forbidden", "roles")]
)
def test_what_is_refused_says_why(client: TestClient, path: str, said: str) -> None:
    assert said in client.get(path).text
