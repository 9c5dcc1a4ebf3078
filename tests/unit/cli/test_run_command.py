"""``chassis run`` and ``plan`` against a fake Airflow: what they print, and their exit codes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from chassis.cli import follow as follow_module
from tests.unit.cli.made_up_runs import (
    RUN,
    asking_run,
    planner_run,
    proposal,
    rejected_run,
    workflow_run,
)

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Chassis
    from tests.unit.fake_airflow import FakeAirflow, FakeDag


def test_run_shows_agent_plan_changes_results_and_totals(chassis: Chassis, planner: FakeDag) -> None:
    result = chassis("run", "Onboard a product")
    assert result.exit_code == 0, result.output
    expected = (
        "Agent planning-agent · Claude on Amazon Bedrock",
        "Plan onboard · revision 3 · by simulated, attempt 1 · simulated: not Claude",
        "schedule kept: 0 6 * * 1 UTC",
        "Warning: task 'update': 'pricin' is not a service",
        "pricing, claims",
        "update [pricing]: running",
        "update [claims]: success",
        "report: success",
        "== update [pricing] (simulated: not Claude): update pricing is done",
        "the **output**",
        "Run success: 45 tokens (30 in; 15 out) · planning: 15 tokens · together: 60 tokens · simulated: not Claude",
    )
    for words in expected:
        assert words in result.stdout
    assert "\x1b" not in result.stdout, "no colours in a pipe"


def test_run_sends_the_planner_what_the_person_gave(
    chassis: Chassis, fake: FakeAirflow, planner: FakeDag
) -> None:
    options = (
        "--input",
        "product=pet insurance",
        "--input",
        "n:=2",
        "--workflow-id",
        "onboard",
        "--max-parallel",
        "4",
    )
    chassis(
        "run", "Onboard", *options, "--schedule", "0 6 * * 1", "--timezone", "Europe/Berlin", "--budget", "5"
    )
    (sent,) = fake.sent("POST", "/dags/plan_workflow/dagRuns")
    assert sent["conf"] == {
        "requirement": "Onboard",
        "workflow_id": "onboard",
        "inputs": {"product": "pet insurance", "n": 2},
        "schedule": "0 6 * * 1",
        "timezone": "Europe/Berlin",
        "budget_usd": 5.0,
        "max_parallel": 4,
        "action": "run",
    }


@pytest.mark.parametrize("command", ["run", "plan"])
def test_what_was_not_given_is_not_sent_so_that_the_workflow_keeps_it(
    chassis: Chassis, fake: FakeAirflow, planner: FakeDag, command: str
) -> None:
    chassis(command, "Onboard")
    (sent,) = fake.sent("POST", "/dags/plan_workflow/dagRuns")
    assert sent["conf"] == {"requirement": "Onboard", "action": "run" if command == "run" else "publish"}


def test_none_is_sent_to_take_away_what_the_workflow_has(
    chassis: Chassis, fake: FakeAirflow, planner: FakeDag
) -> None:
    chassis("run", "Onboard", "--schedule", "none", "--budget", "None", "--no-approve")
    (sent,) = fake.sent("POST", "/dags/plan_workflow/dagRuns")
    assert {name: sent["conf"][name] for name in ("schedule", "budget_usd", "approve")} == {
        "schedule": "none",
        "budget_usd": "none",
        "approve": "none",
    }


@pytest.mark.parametrize("budget", ["inf", "nan", "0", "-1", "much"])
def test_a_budget_that_is_no_amount_is_refused(chassis: Chassis, planner: FakeDag, budget: str) -> None:
    result = chassis("run", "Onboard", "--budget", budget)
    assert result.exit_code == 2
    assert "is not a valid amount" in result.stderr


def test_run_plans_on_from_the_run_that_is_named(
    chassis: Chassis, fake: FakeAirflow, planner: FakeDag
) -> None:
    chassis("run", "Onboard", "--workflow-id", "onboard", "--continue", "latest")
    (sent,) = fake.sent("POST", "/dags/plan_workflow/dagRuns")
    assert sent["conf"]["continue_from"] == "latest"


def test_run_json_prints_the_document_and_nothing_else(chassis: Chassis, planner: FakeDag) -> None:
    result = chassis("run", "Onboard", "--json")
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert document["state"] == "success"
    assert document["revision"] == 3
    assert document["dag_run_id"] == RUN
    assert document["simulated"] is True
    assert [(row["id"], row["item"], row["depends_on"]) for row in document["tasks"]] == [
        ("update", "pricing", []),
        ("update", "claims", []),
        ("report", None, ["update"]),
    ]
    sums = [document[name]["input_tokens"] for name in ("usage", "planning_usage", "total_usage")]
    assert sums == [30, 10, 40], "three tasks, the planner, and both together"
    assert sum(row["usage"]["input_tokens"] for row in document["tasks"]) == document["usage"]["input_tokens"]
    assert "update [claims]: success" in result.stderr


def test_a_failed_run_exits_with_1_and_says_how_to_retry(
    chassis: Chassis, fake: FakeAirflow, planner: FakeDag
) -> None:
    fake.dags["onboard"].runs[RUN] = workflow_run(broken="claims")
    result = chassis("run", "Onboard")
    assert result.exit_code == 1
    assert "update [claims]: failed: No access to the repository. Give it." in result.stdout
    assert "report: upstream_failed" in result.stdout
    assert f"chassis retry onboard update --item claims --run {RUN}" in result.stdout


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (
            {"class": "ThrottledError", "message": "Too many requests.", "hint": "Later."},
            1,
            "Too many requests.",
        ),
        ({"class": "AnswerInvalidError", "message": "Not a plan.", "hint": ""}, 1, "Not a plan."),
        (
            {
                "class": "PlanError",
                "subject": "Your input",
                "hint": "",
                "faults": [{"code": "c", "where": "schedule", "message": "no cron"}],
            },
            2,
            "schedule: no cron",
        ),
        ({"class": "UnreachableError", "message": "No way there.", "hint": "Check."}, 3, "No way there."),
        ({"class": "CredentialsMissingError", "message": "No keys.", "hint": "Set."}, 3, "No keys."),
        ({"class": "ModelNotFoundError", "message": "No model.", "hint": "Set."}, 3, "No model."),
    ],
)
def test_a_failed_planner_gives_its_reason_and_its_exit_code(
    chassis: Chassis, planner: FakeDag, error: dict[str, Any], code: int, words: str
) -> None:
    run = planner_run(
        plan="failed", publish="upstream_failed", await_dag="upstream_failed", trigger="upstream_failed"
    )
    run.xcoms[("plan", -1, "error")] = error
    planner.starts["p1"] = run
    result = chassis("run", "Onboard")
    assert result.exit_code == code
    assert words in result.stderr
    run.looks = 0
    document = json.loads(chassis("run", "Onboard", "--json").stdout)
    assert document["state"] == "failed"
    assert document["error"]["class"] == error["class"]
    assert words in document["error"]["message"]


def test_a_planner_that_could_not_say_why_is_explained_by_its_log(chassis: Chassis, planner: FakeDag) -> None:
    run = planner_run(plan="failed", publish="upstream_failed")
    run.logs[("plan", -1)] = [{"level": "error", "event": "No module named 'anthropic'"}]
    planner.starts["p1"] = run
    result = chassis("run", "Onboard")
    assert result.exit_code == 1
    assert "No module named 'anthropic'" in result.stderr
    assert "chassis logs plan_workflow plan --run p1" in result.stderr


def test_a_planner_run_that_somebody_ended_by_hand_ends_the_waiting(
    chassis: Chassis, planner: FakeDag
) -> None:
    run = planner_run(publish="skipped", await_dag="skipped", trigger="skipped")
    run.state = "failed"
    planner.starts["p1"] = run
    assert chassis("run", "Onboard").exit_code == 1


def test_refused_parameters_exit_with_2_and_airflows_first_line(chassis: Chassis, planner: FakeDag) -> None:
    planner.refuses = "Invalid input for param workflow_id: '9' does not match\n\nFailed validating 'pattern'"
    result = chassis("run", "Onboard", "--workflow-id", "9")
    assert result.exit_code == 2
    assert "'9' does not match" in result.stderr
    assert "Failed validating" not in result.stderr


def test_a_paused_planner_is_told_before_anything_waits(chassis: Chassis, planner: FakeDag) -> None:
    planner.paused = True
    result = chassis("run", "Onboard")
    assert result.exit_code == 2
    assert "paused" in result.stderr


def test_a_paused_workflow_is_told_before_anything_is_paid(
    chassis: Chassis, fake: FakeAirflow, planner: FakeDag
) -> None:
    fake.dags["onboard"].paused = True
    result = chassis("run", "Onboard", "--workflow-id", "onboard")
    assert result.exit_code == 2
    assert "onboard is paused. Add --unpause" in " ".join(result.stderr.split())
    assert fake.sent("POST", "/dags/plan_workflow/dagRuns") == []


def test_unpause_lets_planner_and_workflow_run_also_one_that_only_the_planner_names(
    chassis: Chassis, fake: FakeAirflow, planner: FakeDag
) -> None:
    for named in ((), ("--workflow-id", "onboard")):
        planner.starts["p1"] = planner_run()
        planner.paused = fake.dags["onboard"].paused = True
        assert chassis("run", "Onboard", "--unpause", *named).exit_code == 0
        assert not planner.paused
        assert not fake.dags["onboard"].paused


@pytest.mark.parametrize(
    ("command", "words"), [("run", "its run will not start"), ("plan", "by its schedule")]
)
def test_a_paused_workflow_that_only_the_planner_names_is_told(
    chassis: Chassis, fake: FakeAirflow, planner: FakeDag, command: str, words: str
) -> None:
    fake.dags["onboard"].paused = True
    planner.starts["p1"] = planner_run(trigger="skipped" if command == "plan" else "success")
    assert words in " ".join(chassis(command, "Onboard").stderr.split())


def test_approve_asks_before_anything_is_published_and_goes_on_to_the_results(
    chassis: Chassis, fake: FakeAirflow, planner: FakeDag
) -> None:
    planner.starts["p1"] = asking_run(proposal("Report in two lines"), planner_run())
    result = chassis("run", "Onboard", "--approve", stdin="a\n")
    assert result.exit_code == 0, result.output
    assert fake.sent("POST", "/dags/plan_workflow/dagRuns")[0]["conf"]["approve"] == "always"
    (answer,) = fake.sent("PATCH", "/hitlDetails")
    assert answer["chosen_options"] == ["Approve"]
    assert answer["params_input"]["plan"] == proposal("Report in two lines")["digest"]
    for words in ("Changes since revision 3:", "instruction: Report -> Report in two lines", "Estimate: "):
        assert words in result.stdout
    assert "report: success" in result.stdout


@pytest.mark.parametrize("answer", ["l\n", "\n", "what?\n", ""])
def test_approve_leaves_the_plan_waiting_without_a_yes(
    chassis: Chassis, fake: FakeAirflow, planner: FakeDag, answer: str
) -> None:
    planner.starts["p1"] = asking_run(proposal(), planner_run())
    result = chassis("run", "Onboard", "--approve", stdin=answer)
    assert result.exit_code == 1
    assert fake.sent("PATCH", "/hitlDetails") == []
    assert "chassis approve plan_workflow --run p1" in result.stderr


def test_a_rejected_plan_ends_the_run_with_who_and_why(
    chassis: Chassis, fake: FakeAirflow, planner: FakeDag
) -> None:
    planner.starts["p1"] = asking_run(proposal(), rejected_run())
    result = chassis("run", "Onboard", "--approve", stdin="j\ntoo dear\n")
    assert result.exit_code == 1
    assert fake.sent("PATCH", "/hitlDetails")[0]["params_input"]["comment"] == "too dear"
    assert "ann rejected the plan of 'onboard': too dear" in result.stderr


def test_a_deployment_that_demands_approval_has_a_pipe_wait_and_says_where(
    chassis: Chassis, fake: FakeAirflow, planner: FakeDag
) -> None:
    run = asking_run(proposal())
    run.state = "success"
    run.snapshots = [run.snapshots[0], run.snapshots[0], planner_run().snapshots[-1]]
    run.xcoms |= planner_run().xcoms
    planner.starts["p1"] = run
    result = chassis("run", "Onboard")
    assert result.exit_code == 0, result.output
    assert f"{fake.url}/chassis/dags/plan_workflow/runs/p1/plan" in result.stderr
    assert fake.sent("PATCH", "/hitlDetails") == []


def test_plan_publishes_without_running(chassis: Chassis, fake: FakeAirflow, planner: FakeDag) -> None:
    planner.starts["p1"] = planner_run(trigger="skipped")
    result = chassis("plan", "Onboard")
    assert result.exit_code == 0
    assert "Plan onboard" in result.stdout
    assert fake.sent("POST", "/dags/plan_workflow/dagRuns")[0]["conf"]["action"] == "publish"


@pytest.mark.parametrize("when", ["planning", "running"])
def test_ctrl_c_leaves_the_run_going_and_says_how_to_follow_it(
    chassis: Chassis, fake: FakeAirflow, planner: FakeDag, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    target = "chassis.cli.planner_client.patiently" if when == "planning" else "chassis.cli.follow.patiently"

    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(target, interrupt)
    result = chassis("run", "Onboard")
    assert result.exit_code == 130
    run = ("plan_workflow", "p1") if when == "planning" else ("onboard", RUN)
    assert f"chassis status {run[0]} --run {run[1]}" in result.stderr
    assert f"{fake.url}/dags/{run[0]}/runs/{run[1]}" in result.stderr


def test_an_api_server_that_stays_away_in_mid_run_exits_with_3(
    chassis: Chassis, fake: FakeAirflow, planner: FakeDag, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow_module, "_PATIENCE_SECONDS", 0.05)
    fake.dags["onboard"].runs[RUN].snapshots = [[]] * 1_000
    real = fake.answer

    def answer(method: str, target: str, headers: dict[str, str], body: Any) -> tuple[int, Any]:
        return (503, {}) if "/dags/onboard/" in target else real(method, target, headers, body)

    monkeypatch.setattr(fake, "answer", answer)
    result = chassis("run", "Onboard")
    assert result.exit_code == 3
    assert "503" in result.stderr
