from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from chassis.cli import doctor
from chassis.cli.doctor import Check, examine
from chassis.cli.errors import StackError
from chassis.cli.probe import Facts
from tests.unit.cli.fake_airflow import FakeAirflow, FakeDag

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.cli.conftest import Chassis

GOOD = Facts(
    python="3.12.4",
    airflow="3.3.2",
    bundles=("airflow.dag_processing.bundles.local.LocalDagBundle", "chassis.plans.bundle.PlanBundle"),
    min_update_interval=0,
    pool="bedrock",
    conn_id="claude_bedrock",
    connection_found=True,
    store="/srv/plans",
    claude_ok=True,
    claude="Claude answered.",
)


@pytest.fixture
def healthy(fake: FakeAirflow, chassis: Chassis, monkeypatch: pytest.MonkeyPatch) -> FakeAirflow:
    """A deployment where all is right; ``chassis`` points the client at it."""
    fake.dags["plan_workflow"] = FakeDag()
    fake.entries["pools"]["bedrock"] = {"name": "bedrock", "slots": 16, "include_deferred": True}
    see(monkeypatch)
    return fake


def see(monkeypatch: pytest.MonkeyPatch, **changes: object) -> None:
    facts = GOOD.model_copy(update=changes)
    monkeypatch.setattr(doctor, "_probe", lambda _: facts)


def failed(home: Path) -> dict[str, Check]:
    return {check.name: check for check in examine(home) if not check.ok}


def test_a_good_deployment_passes_every_check(healthy: FakeAirflow, chassis: Chassis) -> None:
    result = chassis("doctor")
    assert result.exit_code == 0, result.output
    names = [line.split(":")[0].removeprefix("ok    ") for line in result.stdout.splitlines()]
    assert names == [
        "Python",
        "Airflow's version",
        "Airflow",
        "Planner",
        "DAG bundle",
        "Serialised DAGs",
        "Plan store",
        "Pool",
        "Connection",
        "Claude",
    ]


@pytest.mark.parametrize(
    ("changes", "name", "words"),
    [
        ({"python": "3.10.1"}, "Python", "3.11"),
        ({"airflow": "3.2.0"}, "Airflow's version", "apache-airflow>=3.3"),
        ({"airflow": "4.0.0"}, "Airflow's version", "<4"),
        ({"bundles": ("other",)}, "DAG bundle", "dag_bundle_config_list"),
        ({"min_update_interval": 30}, "Serialised DAGs", "to 0"),
        ({"settings_fault": "shards = 'x'"}, "[chassis] settings", "Correct"),
        ({"store_fault": "no access"}, "Plan store", "plans_root"),
        ({"connection_found": False}, "Connection", "claude_bedrock"),
        ({"claude_ok": False, "claude": "Expired token."}, "Claude", "chassis up"),
    ],
)
def test_each_fault_fails_its_own_check_and_has_a_fix(
    healthy: FakeAirflow,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    changes: dict[str, object],
    name: str,
    words: str,
) -> None:
    see(monkeypatch, **changes)
    checks = failed(tmp_path)
    assert list(checks) == [name]
    assert words in checks[name].fix


@pytest.mark.parametrize(
    ("pool", "words"), [(None, "there is no pool 'bedrock'"), (False, "without deferred tasks")]
)
def test_a_pool_that_is_missing_or_does_not_count_waiting_tasks_fails(
    healthy: FakeAirflow, tmp_path: Path, pool: bool | None, words: str
) -> None:
    del healthy.entries["pools"]["bedrock"]
    if pool is not None:
        healthy.entries["pools"]["bedrock"] = {"name": "bedrock", "slots": 16, "include_deferred": pool}
    assert words in failed(tmp_path)["Pool"].detail


def test_an_airflow_that_does_not_answer_fails_and_the_rest_is_still_checked(
    healthy: FakeAirflow, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CHASSIS_AIRFLOW_URL", "http://127.0.0.1:1")
    see(monkeypatch, min_update_interval=30)
    assert list(failed(tmp_path)) == ["Airflow", "Serialised DAGs"]


def test_a_paused_planner_fails(healthy: FakeAirflow, tmp_path: Path) -> None:
    healthy.dags["plan_workflow"].paused = True
    assert "paused" in failed(tmp_path)["Planner"].detail


def test_a_deployment_that_can_not_be_looked_into_is_a_failed_check(
    healthy: FakeAirflow, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(_: object) -> Facts:
        raise StackError("No module named 'airflow'", hint="Install it.")

    monkeypatch.setattr(doctor, "_probe", fail)
    assert failed(tmp_path)["Airflow's set-up"].fix == "Install it."


def test_doctor_exits_with_1_and_json_has_every_check(
    healthy: FakeAirflow, chassis: Chassis, monkeypatch: pytest.MonkeyPatch
) -> None:
    see(monkeypatch, min_update_interval=30)
    result = chassis("doctor", "--json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert document["ok"] is False
    assert {"name", "ok", "detail", "fix"} == document["checks"][0].keys()
    assert [check["name"] for check in document["checks"] if not check["ok"]] == ["Serialised DAGs"]
    assert "fix: " in chassis("doctor").stdout
