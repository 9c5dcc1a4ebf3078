"""``chassis approve`` against a fake Airflow."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from chassis.workflow import load_plan
from tests.unit.cli.made_up_runs import RUN, asking_run, planner_run, proposal, rejected_run, workflow_run
from tests.unit.fake_airflow import FakeDag, task

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.cli.conftest import Chassis
    from tests.unit.fake_airflow import FakeAirflow, FakeRun


def waiting(fake: FakeAirflow, *then: FakeRun, run_id: str = "p1", **facts: object) -> str:
    """Have a planner's run wait; the digest of its plan."""
    document = proposal(**facts)
    dag = fake.dags.setdefault("plan_workflow", FakeDag())
    dag.runs[run_id] = asking_run(document, *then)
    return str(document["digest"])


def answers(fake: FakeAirflow) -> list[tuple[str, str, str, str]]:
    """Option, plan, comment and edited plan of each answer that was given."""
    return [
        (
            *body["chosen_options"],
            *(body["params_input"][name] for name in ("plan", "comment", "edited_plan")),
        )
        for body in fake.sent("PATCH", "/hitlDetails")
    ]


def test_the_plans_that_wait_are_listed(chassis: Chassis, fake: FakeAirflow) -> None:
    assert "No plan is waiting" in chassis("approve").stderr
    digest = waiting(fake)
    listed = chassis("approve", "--list").stdout
    for words in ("onboard", f"plan:{digest[:12]}", "plan_workflow", "p1", "2026-03-04 06:00"):
        assert words in listed
    (document,) = json.loads(chassis("approve", "--list", "--json").stdout)
    assert (document["planner"], document["run_id"], document["digest"]) == ("plan_workflow", "p1", digest)


@pytest.mark.parametrize("name", ["onboard", "plan_workflow", "p1"])
def test_a_plan_is_found_by_its_workflow_its_planner_or_its_run(
    chassis: Chassis, fake: FakeAirflow, name: str
) -> None:
    waiting(fake)
    result = chassis("approve", name)
    assert result.exit_code == 0
    assert "update" in result.stdout
    assert "/chassis/dags/plan_workflow/runs/p1/plan" in result.stderr
    assert answers(fake) == [], "without a terminal and without an option, nothing is decided"


def test_a_revised_plan_is_compared_with_the_proposal_before_too(chassis: Chassis, fake: FakeAirflow) -> None:
    waiting(fake, number=2, instruction="Report in two lines", before=proposal("Report in a line")["plan"])
    shown = chassis("approve", "onboard").stdout
    first, second = shown.index("Changes since proposal 1:"), shown.index("Changes since revision 3:")
    assert "instruction: Report in a line -> Report in two lines" in shown[first:second]
    assert "instruction: Report -> Report in two lines" in shown[second:]


def test_who_is_asked_about_none_or_several_is_told(chassis: Chassis, fake: FakeAirflow) -> None:
    waiting(fake)
    result = chassis("approve", "onbord", "--approve")
    assert result.exit_code == 2
    assert "Did you mean 'onboard'?" in result.stderr
    waiting(fake, run_id="p2")
    result = chassis("approve", "onboard", "--approve")
    assert result.exit_code == 2
    assert "chassis approve onboard --run p2" in result.stderr
    assert answers(fake) == []


def test_an_approval_is_for_exactly_the_plan_that_was_read(chassis: Chassis, fake: FakeAirflow) -> None:
    digest = waiting(fake, planner_run())
    result = chassis("approve", "onboard", "--approve")
    assert result.exit_code == 0, result.output
    assert answers(fake) == [("Approve", digest, "", "")]
    assert "Approved" in result.stderr


def test_an_edited_plan_is_sent_along(chassis: Chassis, fake: FakeAirflow, tmp_path: Path) -> None:
    digest = waiting(fake, planner_run())
    file = tmp_path / "plan.yaml"
    file.write_text("schema_version: 1")
    assert chassis("approve", "onboard", "--edit", str(file)).exit_code == 0
    assert answers(fake) == [("Approve", digest, "", "schema_version: 1")]
    assert chassis("approve", "onboard", "--edit", str(tmp_path / "none")).exit_code == 2


def test_a_revision_shows_the_next_proposal(chassis: Chassis, fake: FakeAirflow) -> None:
    revised = proposal("Report in two lines", number=2, comment="shorter")
    digest = waiting(fake, asking_run(revised))
    result = chassis("approve", "onboard", "--revise", "shorter")
    assert result.exit_code == 0, result.output
    assert answers(fake) == [("Revise", digest, "shorter", "")]
    assert "proposal 2" in result.stdout
    assert "Made from your comment: shorter" in result.stdout
    assert "Report -> Report in two lines" in result.stdout


def test_a_rejection_is_what_was_asked_for(chassis: Chassis, fake: FakeAirflow) -> None:
    waiting(fake, rejected_run())
    result = chassis("approve", "onboard", "--reject", "too dear")
    assert result.exit_code == 0, result.output
    assert "Rejected" in result.stderr


def test_an_answer_that_was_not_carried_out_fails_with_the_reason(
    chassis: Chassis, fake: FakeAirflow
) -> None:
    waiting(fake, asking_run(proposal(asked=2, refused="The plan was made anew meanwhile.")))
    result = chassis("approve", "onboard", "--approve")
    assert result.exit_code == 1
    assert "made anew meanwhile" in result.stderr


def test_who_comes_second_is_told_so(
    chassis: Chassis, fake: FakeAirflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting(fake, planner_run())
    monkeypatch.setattr(fake, "_take_answer", lambda *_: (409, {"detail": "has already been updated"}))
    result = chassis("approve", "onboard", "--approve")
    assert result.exit_code == 1
    assert "doesn't wait for an answer any more" in result.stderr


@pytest.mark.parametrize(
    "options",
    [("--approve", "--reject", "no"), ("--revise", "a", "--reject", "b"), ("--reject", "no", "--edit", "f")],
)
def test_two_decisions_at_once_are_refused(
    chassis: Chassis, fake: FakeAirflow, options: tuple[str, ...]
) -> None:
    waiting(fake)
    assert chassis("approve", "onboard", *options).exit_code == 2
    assert answers(fake) == []


def test_a_plan_is_revised_edited_and_approved_in_one_sitting(
    chassis: Chassis, fake: FakeAirflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor = tmp_path / "editor.py"
    editor.write_text(
        "import pathlib, sys; file = pathlib.Path(sys.argv[1]);"
        "file.write_text(file.read_text().replace('two lines', 'three lines'))"
    )
    monkeypatch.setenv("VISUAL", f"{sys.executable} {editor}")
    first = proposal()
    second = proposal("Report in two lines", number=2, comment="shorter")
    fake.dags["plan_workflow"] = FakeDag(starts={"p1": asking_run(first, asking_run(second, planner_run()))})
    tasks = [task("update", "report", mapped=True), task("report")]
    fake.dags["onboard"] = FakeDag(tasks, {RUN: workflow_run()}, ("chassis", "revision:3"))
    result = chassis("run", "Onboard", "--approve", stdin="r\n\nr\nshorter\ne\na\n")
    assert result.exit_code == 0, result.output
    assert "A revision needs a comment." in result.stderr
    assert "two lines -> Report in three lines" in result.stderr
    revise, approve = answers(fake)
    assert revise == ("Revise", first["digest"], "shorter", "")
    assert approve[:3] == ("Approve", second["digest"], "")
    assert load_plan(approve[3]).tasks[1].instruction == "Report in three lines"


def test_an_edit_that_is_no_plan_is_told_and_not_sent(
    chassis: Chassis, fake: FakeAirflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor = tmp_path / "editor.py"
    editor.write_text("import pathlib, sys; pathlib.Path(sys.argv[1]).write_text('tasks: [')")
    monkeypatch.setenv("VISUAL", f"{sys.executable} {editor}")
    fake.dags["plan_workflow"] = FakeDag(starts={"p1": asking_run(proposal())})
    result = chassis("run", "Onboard", "--approve", stdin="e\nl\n")
    assert result.exit_code == 1
    assert "The plan as edited has" in result.stderr
    assert answers(fake) == []
