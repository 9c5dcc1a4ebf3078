"""``chassis list``, ``show``, ``diff`` and ``validate``: the plan store on the command line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from chassis.plans.store import PlanStore
from chassis.workflow import check_plan
from tests.unit.cli.made_up_runs import SPEC

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.cli.conftest import Chassis


def publish(home: Path, **changes: Any) -> None:
    PlanStore(str(home / "plans")).publish(check_plan({**SPEC, **changes}))


@pytest.fixture
def local(chassis: Chassis, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The local home, with two revisions of a plan in its store."""
    monkeypatch.delenv("CHASSIS_AIRFLOW_URL")
    home = tmp_path / "home"
    publish(home)
    publish(home, title="Onboard two products", schedule={"cron": "0 6 * * 1", "timezone": "Europe/Berlin"})
    return home


def test_list_shows_each_workflow_with_its_newest_revision(chassis: Chassis, local: Path) -> None:
    result = chassis("list")
    assert result.exit_code == 0
    (line,) = [line for line in result.stdout.splitlines() if "onboard" in line]
    assert line.split() == ["onboard", "2", "2", *"06**1", "Europe/Berlin", "Onboard", "two", "products"]


def test_list_goes_on_past_a_broken_plan(chassis: Chassis, local: Path) -> None:
    PlanStore(str(local / "plans")).publish(check_plan({**SPEC, "id": "other"}))
    (head,) = (local / "plans" / "other").glob("*.yaml")
    head.write_text("id: [")
    result = chassis("list")
    assert result.exit_code == 0
    assert "broken:" in result.stdout
    assert "Onboard two products" in result.stdout


def test_show_prints_a_revision_as_yaml_that_validates(chassis: Chassis, local: Path, tmp_path: Path) -> None:
    result = chassis("show", "onboard", "--revision", "1")
    assert result.exit_code == 0
    file = tmp_path / "plan.yaml"
    file.write_text(result.stdout)
    checked = chassis("validate", str(file))
    assert checked.exit_code == 0
    assert "Onboard [bold]a product" in result.stdout
    assert chassis("show", "onboard", "--revision", "9").exit_code == 2


def test_diff_shows_what_changed_and_only_that(chassis: Chassis, local: Path) -> None:
    result = chassis("diff", "onboard", "1", "2")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "title: Onboard [bold]a product -> Onboard two products",
        "schedule cron: none -> 0 6 * * 1",
        "schedule timezone: none -> Europe/Berlin",
    ]
    same = chassis("diff", "onboard", "1", "1")
    assert same.stdout == ""
    assert "same plan" in same.stderr


def test_diff_compares_the_texts_on_demand(chassis: Chassis, local: Path) -> None:
    result = chassis("diff", "onboard", "1", "2", "--text")
    assert result.exit_code == 0
    changed = [
        line for line in result.stdout.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")
    ]
    assert "-title: Onboard [bold]a product" in changed
    assert "+title: Onboard two products" in changed
    assert not [line for line in changed if "instruction" in line]


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ({"agent": "code-reviewer"}, "names an agent that doesn't exist: 'code-reviewer'"),
        ({"model": "opus"}, "'opus' is a short name that Bedrock doesn't know"),
    ],
)
def test_validate_refuses_what_a_run_would_fail_by(
    chassis: Chassis, tmp_path: Path, part: dict[str, str], said: str
) -> None:
    task = {"id": "add", "name": "Add", "instruction": "Add 5 and 3."} | part
    plan = {"schema_version": 1, "id": "w", "title": "W", "requirement": "R", "tasks": [task]}
    (tmp_path / "plan.yaml").write_text(json.dumps(plan))
    result = chassis("validate", str(tmp_path / "plan.yaml"))
    assert result.exit_code == 2
    assert said in result.stderr


def test_validate_takes_a_list_with_a_word_of_the_catalogue_and_warns(
    chassis: Chassis, tmp_path: Path
) -> None:
    each = {"items": ["Introduction", "Findings", "Recommendations"]}
    task = {"id": "write", "name": "Write", "instruction": "Write the section {item}.", "for_each": each}
    plan = {"schema_version": 1, "id": "w", "title": "W", "requirement": "R", "tasks": [task]}
    (tmp_path / "plan.yaml").write_text(json.dumps(plan))
    result = chassis("validate", str(tmp_path / "plan.yaml"))
    assert result.exit_code == 0
    assert "is a valid plan" in result.stdout
    assert "Warning: task 'write': 'Recommendations' is not a service of the catalogue" in result.stderr


def test_validate_lists_every_fault_and_exits_with_2(chassis: Chassis, tmp_path: Path) -> None:
    file = tmp_path / "plan.yaml"
    tasks = [
        {"id": "a", "name": "A", "instruction": "x", "depends_on": ["b"]},
        {"id": "b", "name": "B", "instruction": "{nothing}", "depends_on": ["a"]},
    ]
    file.write_text(json.dumps({**SPEC, "tasks": tasks}))
    result = chassis("validate", str(file))
    assert result.exit_code == 2
    assert "a -> b -> a" in result.stderr
    assert "nothing" in result.stderr
