from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from chassis.cli import doctor
from chassis.cli.deployment_facts import Facts, _records
from chassis.cli.doctor import Check, examine
from chassis.errors import StoreError
from chassis.errors.client import StackError
from chassis.files.folder import FolderFiles
from chassis.settings import Settings
from tests.unit.deployment.compose_file import PROJECT
from tests.unit.fake_airflow import FakeAirflow, FakeDag

if TYPE_CHECKING:
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
    records="/srv/records",
    claude_ok=True,
    claude="Claude answered.",
)


@pytest.fixture
def healthy(fake: FakeAirflow, chassis: Chassis, monkeypatch: pytest.MonkeyPatch) -> FakeAirflow:
    """A deployment where all is right; ``chassis`` points the client at it."""
    fake.dags["plan_workflow"] = FakeDag()
    fake.dags["chassis_upkeep"] = FakeDag()
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
    page = (PROJECT / "docs" / "reference" / "doctor.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(.+?)` \|", page, re.MULTILINE) == names, "the documentation lists each check"
    assert names == [
        "Python",
        "Airflow's version",
        "Airflow",
        "Planner",
        "Upkeep",
        "DAG bundle",
        "Serialised DAGs",
        "Plan store",
        "Record store",
        "Agents",
        "Services",
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
        ({"records_fault": "read-only"}, "Record store", "records_root"),
        ({"agent_faults": ("a.md: name is missing",)}, "Agents", "the other agents can be used"),
        ({"service_faults": ("services[1]: name is missing",)}, "Services", "services_file"),
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


@pytest.mark.parametrize(("dag_id", "name"), [("plan_workflow", "Planner"), ("chassis_upkeep", "Upkeep")])
def test_one_of_chassis_own_dags_that_is_paused_or_missing_fails(
    healthy: FakeAirflow, tmp_path: Path, dag_id: str, name: str
) -> None:
    healthy.dags[dag_id].paused = True
    [paused] = failed(tmp_path).values()
    assert (paused.name, paused.detail) == (name, f"DAG {dag_id} is paused")
    del healthy.dags[dag_id]
    [missing] = failed(tmp_path).values()
    assert (missing.name, missing.detail) == (name, f"there is no DAG {dag_id}")
    assert f"dags/{dag_id}.py" in missing.fix


class TestRecordStore:
    def test_it_is_tried_with_a_file_that_is_gone_afterwards(self, tmp_path: Path) -> None:
        assert _records(Settings(records_root=str(tmp_path))) == {}
        assert list(tmp_path.iterdir()) == []

    def test_what_can_not_be_written_is_told_with_its_place(self, tmp_path: Path) -> None:
        (tmp_path / "records").write_text("a file, not a folder")
        found = _records(Settings(records_root=str(tmp_path / "records")))
        assert "record store can't create" in found["records_fault"]
        assert str(tmp_path / "records") in found["records_fault"]

    def test_what_can_be_written_but_not_read_or_deleted_fails(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object) -> None:
            raise StoreError("The record store can't delete it.")

        settings = Settings(records_root=str(tmp_path))
        monkeypatch.setattr(FolderFiles, "read", lambda *_: b"another")
        assert "something else" in _records(settings)["records_fault"]
        monkeypatch.setattr(FolderFiles, "delete", refuse)
        assert "can't delete" in _records(settings)["records_fault"]


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


def test_looking_where_no_stack_was_ever_started_changes_nothing(
    chassis: Chassis, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    looked_at = []

    def probe(environment: dict[str, str]) -> Facts:
        looked_at.append(environment["AIRFLOW_HOME"])
        return GOOD.model_copy(update={"store": f"{environment['AIRFLOW_HOME']}/plans"})

    monkeypatch.setattr(doctor, "_probe", probe)
    monkeypatch.delenv("CHASSIS_AIRFLOW_URL")
    home = tmp_path / "empty" / "home"
    result = chassis("doctor", "--home", str(home))
    assert f"Plan store: {home}/" in result.stdout
    assert not home.parent.exists()
    assert [folder for folder in looked_at if Path(folder).exists()] == []


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        (["--yes"], "--yes belongs to --bedrock"),
        (["--report", "new.md"], "--report belongs to --bedrock"),
        (["--bedrock", "--yes", "--report", "{there}/old.md"], "exists already"),
        (["--bedrock", "--yes", "--report", "{there}"], "exists already"),
        (["--bedrock", "--yes", "--report", "{there}/none/new.md"], "There is no folder"),
    ],
)
def test_options_of_the_live_check_that_can_not_be_meant_are_refused(
    options: list[str], fault: str, chassis: Chassis, tmp_path: Path
) -> None:
    (tmp_path / "old.md").write_text("of yesterday")
    result = chassis("doctor", *(option.format(there=tmp_path) for option in options))
    assert result.exit_code == 2
    assert fault in result.stderr
    assert (tmp_path / "old.md").read_text() == "of yesterday"


def test_the_live_check_has_nobody_to_ask_without_credentials_and_a_stack(
    chassis: Chassis, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("CHASSIS_AIRFLOW_URL")
    monkeypatch.setattr("chassis.local.stack_environment.has_aws_credentials", lambda: False)
    result = chassis("doctor", "--bedrock", "--yes", "--report", str(tmp_path / "new.md"))
    assert result.exit_code == 3
    assert "no AWS credentials" in result.stderr
    assert not (tmp_path / "new.md").exists()
