"""``chassis list``, ``pause``, ``unpause``, ``retire``, ``delete``, ``runs``, ``stop`` and ``publish``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from chassis.plans.store import PlanStore
from chassis.workflow import check_plan
from tests.unit.cli.made_up_runs import SPEC
from tests.unit.fake_airflow import FakeDag, FakeRun

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.cli.conftest import Chassis
    from tests.unit.fake_airflow import FakeAirflow

SCHEDULE = {"cron": "0 6 * * 1", "timezone": "Europe/Berlin"}


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> PlanStore:
    """The plan store beside the fake Airflow, with one workflow."""
    store = PlanStore(str(tmp_path / "plans"))
    monkeypatch.setattr("chassis.cli.target.open_store", lambda home: store)
    store.publish(check_plan({**SPEC, "schedule": SCHEDULE}))
    return store


@pytest.fixture
def dag(fake: FakeAirflow) -> FakeDag:
    runs = {"r1": FakeRun("success", [[]], looks=1), "r2": FakeRun("failed", [[]], looks=1)}
    fake.dags["onboard"] = FakeDag(runs=runs, next_run="2026-11-30T05:00:00Z")
    return fake.dags["onboard"]


def listed(chassis: Chassis) -> dict[str, Any]:
    result = chassis("list", "--json")
    assert result.exit_code == 0, result.output
    (workflow,) = json.loads(result.stdout)["workflows"]
    return dict(workflow)


class TestList:
    def test_it_shows_paused_next_run_in_its_timezone_and_the_last_runs_state(
        self, chassis: Chassis, store: PlanStore, dag: FakeDag
    ) -> None:
        assert listed(chassis) == {
            "workflow_id": "onboard",
            "revision": 1,
            "retired": False,
            "title": "Onboard [bold]a product",
            "tasks": 2,
            "schedule": "0 6 * * 1",
            "timezone": "Europe/Berlin",
            "paused": False,
            "next_run": "2026-11-30T06:00:00+01:00",
            "last_run_state": "failed",
        }
        (line,) = [line for line in chassis("list").stdout.splitlines() if "onboard" in line]
        for words in ("no", "2026-11-30 06:00 Europe/Berlin", "failed"):
            assert words in line

    def test_a_paused_or_retired_workflow_has_no_next_run(
        self, chassis: Chassis, store: PlanStore, dag: FakeDag
    ) -> None:
        dag.paused = True
        assert (listed(chassis)["paused"], listed(chassis)["next_run"]) == (True, None)
        dag.paused = False
        store.retire("onboard")
        assert (listed(chassis)["retired"], listed(chassis)["next_run"]) == (True, None)

    def test_without_airflow_the_plans_are_listed_all_the_same(
        self, chassis: Chassis, store: PlanStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("CHASSIS_AIRFLOW_URL")
        assert listed(chassis)["paused"] is None
        assert "No local Airflow runs" in chassis("list").stderr

    def test_its_requests_do_not_grow_with_the_workflows(
        self, chassis: Chassis, fake: FakeAirflow, store: PlanStore, dag: FakeDag
    ) -> None:
        for number in range(20):
            store.publish(check_plan({**SPEC, "id": f"workflow_{number}"}))
            fake.dags[f"workflow_{number}"] = FakeDag()
        chassis("list")
        paths = [path for _, path, _ in fake.requests]
        assert paths == ["/auth/token", "/chassis/api/v1/workflows"]


def test_pause_and_unpause_say_what_is_so_now(chassis: Chassis, dag: FakeDag) -> None:
    assert "onboard is paused." in chassis("pause", "onboard").stdout
    assert dag.paused
    assert "was already paused" in chassis("pause", "onboard").stdout
    assert "onboard is unpaused." in chassis("unpause", "onboard").stdout
    assert not dag.paused


@pytest.mark.parametrize("command", ["pause", "unpause", "stop", "runs", "delete", "status"])
def test_a_wrong_name_exits_with_2_and_names_the_nearest(
    chassis: Chassis, dag: FakeDag, command: str
) -> None:
    result = chassis(command, "onbord")
    assert result.exit_code == 2
    assert "Did you mean 'onboard'?" in result.stderr


class TestRuns:
    def test_they_come_the_newest_first_with_state_and_duration(self, chassis: Chassis, dag: FakeDag) -> None:
        lines = [line.split() for line in chassis("runs", "onboard").stdout.splitlines()]
        assert ["r2", "failed", "2026-03-01", "06:00", "12", "s", "ann"] in lines
        runs = json.loads(chassis("runs", "onboard", "--json").stdout)["runs"]
        assert [(run["run_id"], run["state"], run["seconds"]) for run in runs] == [
            ("r2", "failed", 12.0),
            ("r1", "success", 12.0),
        ]

    def test_a_workflow_that_has_not_run_says_so(self, chassis: Chassis, dag: FakeDag) -> None:
        dag.runs.clear()
        result = chassis("runs", "onboard")
        assert (result.exit_code, result.stdout) == (0, "")
        assert "has no run yet" in result.stderr


class TestStop:
    def test_the_unfinished_run_fails(self, chassis: Chassis, fake: FakeAirflow, dag: FakeDag) -> None:
        dag.runs["r2"].looks = 0
        assert chassis("stop", "onboard").exit_code == 0
        assert fake.sent("PATCH", "/dagRuns/r2") == [{"state": "failed"}]

    def test_what_has_ended_is_left_alone(self, chassis: Chassis, fake: FakeAirflow, dag: FakeDag) -> None:
        assert "has no unfinished run" in chassis("stop", "onboard").stderr
        ended = chassis("stop", "onboard", "--run", "r1")
        assert (ended.exit_code, fake.sent("PATCH", "/dagRuns/r1")) == (2, [])
        assert "already ended: success" in ended.stderr

    def test_of_several_one_must_be_named(self, chassis: Chassis, dag: FakeDag) -> None:
        for run in dag.runs.values():
            run.looks = 0
        result = chassis("stop", "onboard")
        assert result.exit_code == 2
        assert "chassis stop onboard --run r1" in result.stderr
        assert chassis("stop", "onboard", "--run", "r1").exit_code == 0


class TestRetire:
    def test_it_is_a_revision_and_can_be_taken_back(self, chassis: Chassis, store: PlanStore) -> None:
        retired = chassis("retire", "onboard")
        assert "onboard is retired: revision 2." in retired.stdout
        assert "chassis retire onboard --undo" in retired.stderr
        assert store.get("onboard").retired
        assert "was already retired" in chassis("retire", "onboard").stdout
        assert "onboard is back: revision 3." in chassis("retire", "onboard", "--undo").stdout
        assert not store.get("onboard").retired


class TestDelete:
    def test_a_workflow_is_retired_and_its_runs_are_gone_from_airflow(
        self, chassis: Chassis, fake: FakeAirflow, store: PlanStore, dag: FakeDag
    ) -> None:
        result = chassis("delete", "onboard", "--yes")
        assert result.exit_code == 0, result.output
        assert "Deleted 2 runs of onboard from Airflow. Its records are kept." in result.stdout
        assert "onboard" not in fake.dags
        assert store.get("onboard").retired

    def test_one_run(self, chassis: Chassis, store: PlanStore, dag: FakeDag) -> None:
        assert chassis("delete", "onboard", "--run", "r1", "--yes").exit_code == 0
        assert list(dag.runs) == ["r2"]
        assert not store.get("onboard").retired

    @pytest.mark.parametrize("which", [(), ("--run", "r2")])
    def test_nothing_is_deleted_while_it_runs_or_without_a_yes(
        self, chassis: Chassis, store: PlanStore, dag: FakeDag, which: tuple[str, ...]
    ) -> None:
        unsure = chassis("delete", "onboard", *which)
        assert unsure.exit_code == 2
        assert "Add --yes." in unsure.stderr
        dag.runs["r2"].looks = 0
        running = chassis("delete", "onboard", *which, "--yes")
        assert running.exit_code == 2
        assert "chassis stop onboard --run r2" in running.stderr
        assert list(dag.runs) == ["r1", "r2"]
        assert not store.get("onboard").retired


class TestPublish:
    def write(self, folder: Path, **changes: Any) -> str:
        file = folder / "plan.yaml"
        file.write_text(json.dumps({**SPEC, **changes}))
        return str(file)

    def test_a_file_becomes_the_next_revision_once(
        self, chassis: Chassis, store: PlanStore, tmp_path: Path
    ) -> None:
        file = self.write(tmp_path, title="Onboard two products")
        result = chassis("publish", file)
        assert result.exit_code == 0, result.output
        assert "Published revision 2 of onboard." in result.stdout
        assert "title: " in result.stdout, "what changed"
        assert store.read(store.get("onboard")).title == "Onboard two products"
        assert "nothing was published" in chassis("publish", file).stdout
        assert json.loads(chassis("publish", file, "--json").stdout)["changed"] is False

    def test_what_could_not_run_here_is_refused_before_it_is_stored(
        self, chassis: Chassis, store: PlanStore, tmp_path: Path
    ) -> None:
        tasks = [{**SPEC["tasks"][0], "agent": "nobody"}, SPEC["tasks"][1]]
        result = chassis("publish", self.write(tmp_path, tasks=tasks))
        assert result.exit_code == 2
        assert "nobody" in result.stderr
        assert store.get("onboard").revision == 1
