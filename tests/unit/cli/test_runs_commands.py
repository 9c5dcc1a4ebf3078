"""``chassis status``, ``retry`` and ``logs``, and what all commands do when Airflow can't be used."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from tests.unit.cli.made_up_runs import RUN, workflow_run
from tests.unit.fake_airflow import FakeAirflow, FakeDag, instance

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Chassis


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", "Onboard", "--input", "product"), "'product' is not NAME=TEXT"),
        (("run",), "Say what is to be done"),
        (("run", "Onboard", "--max-parallel", "0"), "--max-parallel"),
        (("status", "onbord"), "Did you mean 'onboard'?"),
        (("status", "onboard", "--run", "planned__p2"), f"Did you mean '{RUN}'?"),
        (("retry", "onboard", "updat"), "Did you mean 'update'?"),
        (("logs", "onboard", "reprot"), "Did you mean 'report'?"),
        (("validate", "no-such-file.yaml"), "can't be read"),
        (("show", "onboard"), "There is no workflow 'onboard' in the plan store"),
    ],
)
def test_wrong_usage_exits_with_2(
    chassis: Chassis,
    planner: FakeDag,
    arguments: tuple[str, ...],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if arguments[0] == "show":
        monkeypatch.delenv("CHASSIS_AIRFLOW_URL")
    result = chassis(*arguments)
    assert result.exit_code == 2
    assert words in result.stderr


def test_an_airflow_without_the_planner_or_out_of_reach_exits_with_3(
    chassis: Chassis, fake: FakeAirflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert chassis("run", "Onboard").exit_code == 3
    monkeypatch.setenv("CHASSIS_AIRFLOW_PASSWORD", "wrong")
    assert chassis("run", "Onboard").exit_code == 3
    monkeypatch.setenv("CHASSIS_AIRFLOW_URL", "http://127.0.0.1:1")
    for command in (("run", "Onboard"), ("status", "onboard"), ("retry", "onboard", "update")):
        result = chassis(*command)
        assert result.exit_code == 3, "an Airflow of one's own is never started"
        assert "does not answer" in result.stderr


def test_an_airflow_without_the_plugin_exits_with_3_before_anything_is_paid(
    chassis: Chassis, fake: FakeAirflow, planner: FakeDag, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fake, "pages", lambda *_: (404, {"detail": "Not Found"}))
    for command in (("run", "Onboard"), ("status", "onboard"), ("retry", "onboard", "update")):
        result = chassis(*command)
        assert result.exit_code == 3
        assert "doesn't have the Chassis plugin" in result.stderr
        assert "Install airflow-chassis" in result.stderr
    assert fake.sent("POST", "/dagRuns") == []


def test_without_a_local_airflow_the_commands_say_how_to_start_one(
    chassis: Chassis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CHASSIS_AIRFLOW_URL")
    result = chassis("status", "onboard")
    assert result.exit_code == 3
    assert "chassis up" in result.stderr


def test_an_airflow_of_ones_own_needs_somebody_to_sign_in(
    chassis: Chassis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CHASSIS_AIRFLOW_PASSWORD")
    result = chassis("status", "onboard")
    assert result.exit_code == 2
    assert "CHASSIS_AIRFLOW_TOKEN" in result.stderr


def test_status_of_a_finished_run_gives_its_results_and_exit_code(
    chassis: Chassis, fake: FakeAirflow, planner: FakeDag
) -> None:
    fake.dags["onboard"].runs[RUN].looks = 2
    result = chassis("status", "onboard")
    assert result.exit_code == 0
    assert "== update [pricing] (simulated: not Claude): update pricing is done" in result.stdout
    assert re.search(r"^ *update \[pricing\] .* success", result.stdout, re.MULTILINE), (
        "how each task stands, piped too"
    )
    fake.dags["onboard"].runs[RUN] = workflow_run(broken="claims")
    fake.dags["onboard"].runs[RUN].looks = 2
    assert chassis("status", "onboard").exit_code == 1
    assert json.loads(chassis("status", "onboard", "--json").stdout)["state"] == "failed"


def test_retry_clears_the_item_by_name_and_follows_the_run(
    chassis: Chassis, fake: FakeAirflow, planner: FakeDag
) -> None:
    run = workflow_run(broken="claims")
    for snapshot in run.snapshots:
        snapshot[1]["rendered_map_index"] = "claims"
    run.looks = 2
    run.downstream = [instance("update", "failed", 1), instance("report", "upstream_failed")]
    run.after_clear = workflow_run()
    fake.dags["onboard"].runs[RUN] = run
    result = chassis("retry", "onboard", "update", "--item", "claims")
    assert result.exit_code == 0, result.output
    assert fake.sent("POST", "/clearTaskInstances")[-1]["task_ids"] == [["update", 1], "report"]
    assert "Again in run planned__p1: update [claims], report" in result.stdout
    assert "update pricing is done" not in result.stdout, "only what ran again is shown again"


def test_retry_no_wait_ends_at_once(chassis: Chassis, fake: FakeAirflow, planner: FakeDag) -> None:
    run = workflow_run(broken="claims")
    run.looks = 2
    run.downstream = [instance("report", "upstream_failed")]
    fake.dags["onboard"].runs[RUN] = run
    result = chassis("retry", "onboard", "update", "--no-wait")
    assert result.exit_code == 0
    assert fake.sent("POST", "/clearTaskInstances")[-1]["task_ids"] == [["update", 1], "report"]


def test_logs_prints_events_levels_and_errors_without_terminal_codes(
    chassis: Chassis, fake: FakeAirflow, planner: FakeDag
) -> None:
    run = workflow_run()
    run.looks = 2
    run.logs[("report", -1)] = [
        {"timestamp": "2026-03-01T06:00:01.5Z", "level": "info", "event": "calling \x1b[31mClaude"},
        {
            "level": "error",
            "event": "failed",
            "error_detail": [
                {"exc_type": "ValueError", "exc_value": "boom\n2026-03-01 06:00:02 INFO all is well"}
            ],
        },
        {"level": "info", "event": "blocked:\r\n2026-03-01 06:00:03 INFO all is well\u2028ERROR not so"},
    ]
    fake.dags["onboard"].runs[RUN] = run
    result = chassis("logs", "onboard", "report")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "2026-03-01 06:00:01 INFO calling Claude",
        "ERROR failed",
        "    ValueError: boom",
        "    2026-03-01 06:00:02 INFO all is well",
        "INFO blocked:",
        "    2026-03-01 06:00:03 INFO all is well�ERROR not so",
    ], "what an event quotes can't pass for an event of its own"
