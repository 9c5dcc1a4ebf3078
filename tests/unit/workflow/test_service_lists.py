"""Which lists are lists of services, and what is said of the others."""

from __future__ import annotations

from typing import Any

import pytest

from chassis.errors import PlanError
from chassis.workflow import WorkflowSpec, check_plan, plan_warnings

SERVICES = ("claims", "pricing", "recommendation")


def plan(items: list[str], instruction: str, **parts: Any) -> dict[str, Any]:
    task = {"id": "a", "name": "A", "instruction": instruction, "for_each": {"items": items}}
    data = {"schema_version": 1, "id": "w", "title": "W", "requirement": "Do it.", "tasks": [task]} | parts
    data["tasks"] += data.pop("more", [])
    return data


def checked(*args: Any, **parts: Any) -> WorkflowSpec:
    return check_plan(plan(*args, **parts), services=SERVICES)


def test_a_word_of_the_catalogue_in_an_ordinary_list_is_a_warning_at_most() -> None:
    spec = checked(["Introduction", "Findings", "Recommendations"], "Write the section {item}.")
    (warning,) = plan_warnings(spec, SERVICES)
    assert str(warning).startswith(
        "task 'a': 'Recommendations' is not a service of the catalogue, 'recommendation' is."
    )


@pytest.mark.parametrize(
    "items", [["de", "fr"], ["claims", "pricing"]], ids=["none is a service", "all are services"]
)
def test_a_list_that_leaves_no_doubt_brings_no_warning(items: list[str]) -> None:
    assert plan_warnings(checked(items, "Do {item}."), SERVICES) == []


def test_an_item_that_is_no_service_among_services_is_a_warning() -> None:
    (warning,) = plan_warnings(checked(["claims", "website"], "Do {item}."), SERVICES)
    assert "'website' is not a service of the catalogue, other items of its list are" in warning.message


@pytest.mark.parametrize(
    "instruction",
    [
        "Change service {item}.",
        'Change the service "{item}".',
        "Change the {item} service.",
        "Services: {item}",
    ],
)
def test_a_list_is_of_services_where_the_task_says_so(instruction: str) -> None:
    with pytest.raises(PlanError, match=r"calls 'clams' a service, .* did you mean 'claims'"):
        checked(["claims", "clams"], instruction)
    assert plan_warnings(checked(["claims"], instruction), SERVICES) == []


def test_a_further_step_for_the_same_items_can_say_so() -> None:
    step = {"id": "b", "name": "B", "instruction": "See service {item}.", "for_each": {"same_as": "a"}}
    with pytest.raises(PlanError, match="'clams'"):
        checked(["clams"], "Do {item}.", more=[step])


def test_what_the_person_wrote_is_never_a_fault() -> None:
    spec = checked(
        ["claims", "Cla\u0301ms"], "Change service {item}.", requirement="For claims and cl\u00e1ms"
    )
    assert [warning.where for warning in plan_warnings(spec, SERVICES)] == ["task 'a'"]


def test_the_default_of_an_input_that_a_task_goes_through_is_looked_at() -> None:
    given = {
        "names": {"type": "array", "default": ["clams"]},
        "other": {"type": "array", "default": ["clams"]},
    }
    data = plan(["x"], "Do {item}.", inputs=given)
    data["tasks"][0]["for_each"] = {"input": "names"}
    assert [warning.where for warning in plan_warnings(check_plan(data), SERVICES)] == ["input 'names'"]


def test_without_a_catalogue_nothing_is_said() -> None:
    assert plan_warnings(check_plan(plan(["clams"], "Change service {item}.")), ()) == []
