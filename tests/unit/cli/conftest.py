from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner, Result

from chassis.cli import follow, planner_client
from chassis.cli.main import app
from tests.unit.cli.made_up_runs import RUN, planner_run, workflow_run
from tests.unit.fake_airflow import PASSWORD, USERNAME, FakeAirflow, FakeDag, task

if TYPE_CHECKING:
    from pathlib import Path

Chassis = Callable[..., Result]


@pytest.fixture(autouse=True)
def _quick_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "_POLL_SECONDS", 0.01)
    monkeypatch.setattr(planner_client, "_POLL_SECONDS", 0.01)


@pytest.fixture(autouse=True)
def _nobodys_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("URL", "TOKEN", "USERNAME", "PASSWORD"):
        monkeypatch.delenv(f"CHASSIS_AIRFLOW_{name}", raising=False)
    monkeypatch.delenv("CHASSIS_HOME", raising=False)


@pytest.fixture
def chassis(fake: FakeAirflow, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Chassis:
    """The command line against the fake Airflow."""
    monkeypatch.setenv("CHASSIS_AIRFLOW_URL", fake.url)
    monkeypatch.setenv("CHASSIS_AIRFLOW_USERNAME", USERNAME)
    monkeypatch.setenv("CHASSIS_AIRFLOW_PASSWORD", PASSWORD)
    monkeypatch.setenv("CHASSIS_HOME", str(tmp_path / "home"))

    def run(*arguments: str, stdin: str = "") -> Result:
        return CliRunner().invoke(app, list(arguments), input=stdin, catch_exceptions=False)

    return run


@pytest.fixture
def planner(fake: FakeAirflow) -> FakeDag:
    """An Airflow in which planning works, and so does the planned run."""
    fake.dags["plan_workflow"] = FakeDag(starts={"p1": planner_run()})
    tasks = [task("update", "report", mapped=True), task("report")]
    items = {"update": ("pricing", "claims")}
    fake.dags["onboard"] = FakeDag(tasks, {RUN: workflow_run()}, ("chassis", "revision:3"), items=items)
    return fake.dags["plan_workflow"]
