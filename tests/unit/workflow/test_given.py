"""What people gave to a workflow stays when it is planned again, until a person changes it or takes it away."""

from __future__ import annotations

from typing import Any

import pytest

from chassis.errors import PlanError
from chassis.workflow import Given, WorkflowSpec, check_given, check_plan
from chassis.workflow.given import check_inputs_size, check_timezone, with_given_inputs
from chassis.workflow.plan_changes import told_changes
from chassis.workflow.planner_answer import plan_from_delta, plan_from_proposal
from tests.with_each import with_each

HEAD = check_plan(
    {
        "schema_version": 1,
        "id": "add_product",
        "title": "Add a product",
        "requirement": "Add pets.",
        "inputs": {
            "product": {"type": "string", "default": "pets", "given": True},
            "count": {"type": "integer", "default": 1},
        },
        "schedule": {"cron": "0 6 * * 1", "timezone": "Europe/Berlin", "catchup": True},
        "owner": "ann",
        "tags": ["mine"],
        "limits": {"budget_usd": 5.0, "max_minutes": 9, "per_task": {"max_calls": 3}},
        "approve": "always",
        "tasks": [{"id": "update", "name": "Update", "instruction": "Add {product}.", "retries": 7}],
    }
)
PROPOSAL: dict[str, Any] = {
    "title": "Add a product",
    "id": "add_product",
    "inputs": [
        {"name": "product", "type": "string", "default": "boats", "description": "What."},
        {"name": "count", "type": "integer", "default": 2, "description": ""},
    ],
    "tasks": [
        {
            "id": "update",
            "name": "Update",
            "instruction": "Add {product} {count} times.",
            "agent": "task-executor",
            "depends_on": [],
        }
    ],
}
NO_CHANGES: dict[str, Any] = {"title": "Add a product", "inputs": [], "tasks": []}


def planned(head: WorkflowSpec | None = HEAD, **given: Any) -> WorkflowSpec:
    """The workflow planned again from nothing, with what was given this time."""
    return check_plan(plan_from_proposal(PROPOSAL, check_given({"requirement": "Add pets.", **given}), head))


def changed(**given: Any) -> WorkflowSpec:
    """The workflow's plan with changes that Claude made to it."""
    return check_plan(plan_from_delta(NO_CHANGES, HEAD, check_given({"requirement": "Add pets.", **given})))


@pytest.mark.parametrize("plan", [planned, changed])
def test_what_people_gave_to_a_workflow_stays_when_nothing_is_given(plan: Any) -> None:
    found = plan()
    for part in ("schedule", "limits", "approve", "owner", "tags"):
        assert getattr(found, part) == getattr(HEAD, part), f"{part}: what isn't given anew stays"
    assert found.inputs["product"].default == "pets", "a person gave it; Claude's own value doesn't count"
    assert found.inputs["product"].given
    assert found.tasks[0].retries == 7, "planners don't set it, so a person did"


def test_more_inputs_than_a_plan_may_have_are_refused_before_claude_is_asked() -> None:
    with pytest.raises(PlanError, match="there are 101, and at most 100 are allowed"):
        check_given({"requirement": "x", "inputs": {f"i{n}": n for n in range(101)}})


def test_values_that_no_prompt_holds_whole_are_refused_with_the_biggest() -> None:
    with pytest.raises(PlanError, match=r"11 characters, most of them in 'b', and at most 10 fit"):
        check_inputs_size({"a": 1, "b": "12345678"}, 10)
    check_inputs_size({"a": 1, "b": "1234567"}, 10)


def test_what_claude_said_of_an_input_is_claudes_to_change() -> None:
    assert planned().inputs["count"].default == 2
    assert planned(inputs={"product": None}).inputs["product"].default == "boats", "null: no longer given"


@with_each("plan", [planned, changed])
@with_each(
    "given, part, expected",
    [
        ({"schedule": {"cron": "0 7 * * 1"}}, "schedule", ("0 7 * * 1", None, "Europe/Berlin", True)),
        (
            {"schedule": {"cron": "0 7 * * 1", "timezone": "UTC"}},
            "schedule",
            ("0 7 * * 1", None, "UTC", True),
        ),
        ({"schedule": {"preset": "@daily"}}, "schedule", (None, "@daily", "Europe/Berlin", True)),
        ({"timezone": "Asia/Tokyo"}, "schedule", ("0 6 * * 1", None, "Asia/Tokyo", True)),
        ({"schedule": None}, "schedule", None),
        ({"limits": {"budget_usd": 7}}, "limits", (7, 9, 16, 3)),
        ({"limits": {"budget_usd": None}}, "limits", (None, 9, 16, 3)),
        ({"limits": {"max_parallel": 4}}, "limits", (5, 9, 4, 3)),
        ({"approve": "changed"}, "approve", "changed"),
        ({"approve": None}, "approve", None),
        ({"owner": "bob"}, "owner", "bob"),
        ({"inputs": {"product": "cars"}}, "inputs", "cars"),
    ],
)
def test_what_is_given_takes_the_place_of_that_alone_and_none_takes_it_away(
    plan: Any, given: dict[str, Any], part: str, expected: Any
) -> None:
    found = plan(**given)
    others = {"schedule", "limits", "approve", "owner", "tags"} - {part}
    assert {name: getattr(found, name) for name in others} == {name: getattr(HEAD, name) for name in others}
    value = getattr(found, part)
    if part == "schedule" and value is not None:
        value = (value.cron, value.preset, value.timezone, value.catchup)
    elif part == "limits":
        value = (value.budget_usd, value.max_minutes, value.max_parallel, value.per_task.max_calls)
    elif part == "inputs":
        value = value["product"].default
    assert value == expected


def test_the_default_of_a_limit_can_be_given_too() -> None:
    narrow = HEAD.model_copy(update={"limits": HEAD.limits.model_copy(update={"max_parallel": 4})})
    assert planned(narrow).limits.max_parallel == 4
    assert planned(narrow, limits={"max_parallel": 16}).limits.max_parallel == 16


def test_a_kept_value_whose_input_is_gone_or_of_another_type_is_no_fault() -> None:
    for inputs in ([], [{"name": "product", "type": "array", "default": ["cars"], "description": ""}]):
        tasks = [{**PROPOSAL["tasks"][0], "instruction": "Add it."}]
        proposal = PROPOSAL | {"inputs": inputs, "tasks": tasks}
        found = check_plan(plan_from_proposal(proposal, Given(requirement="Add cars."), HEAD))
        assert not any(each.given for each in found.inputs.values())


@pytest.mark.parametrize(
    "data",
    [
        {"requirement": "x"},
        {"requirement": "x", "schedule": {"cron": "0 7 * * 1"}, "limits": {"budget_usd": None}},
        {"requirement": "x", "schedule": None, "approve": None, "inputs": {"product": None}},
    ],
    ids=str,
)
def test_what_was_not_given_is_not_given_on_the_other_side_of_json_either(data: dict[str, Any]) -> None:
    given = check_given(data)
    assert given.model_dump(mode="json") == data, "in a trigger's arguments"
    assert planned(**given.model_dump(mode="json")) == planned(**data)


def test_a_timezone_alone_needs_a_schedule_that_it_can_be_of() -> None:
    given = check_given({"requirement": "x", "workflow_id": "w", "timezone": "Europe/Berlin"})
    check_timezone(given, HEAD)
    for head in (None, HEAD.model_copy(update={"schedule": None})):
        with pytest.raises(PlanError, match="timezone: is given without a schedule"):
            check_timezone(given, head)


def test_inputs_whose_values_an_edit_changed_are_the_persons() -> None:
    inputs = {**HEAD.inputs, "count": HEAD.inputs["count"].model_copy(update={"default": 9})}
    edited = with_given_inputs(HEAD.model_copy(update={"inputs": inputs}), HEAD)
    assert {name: each.given for name, each in edited.inputs.items()} == {"product": True, "count": True}
    assert not with_given_inputs(HEAD, HEAD).inputs["count"].given


def test_after_planning_again_it_is_told_what_stays_and_what_changed() -> None:
    again = planned(limits={"budget_usd": 10.0}, timezone="Asia/Tokyo")
    assert told_changes(HEAD, again) == [
        "maximum minutes kept: 9",
        "maximum calls per task kept: 3",
        "approval kept: always",
        "input 'product' kept: pets",
        "schedule: 0 6 * * 1 Europe/Berlin, with catchup -> 0 6 * * 1 Asia/Tokyo, with catchup",
        "budget in US dollars: 5.0 -> 10.0",
        "input 'product' changed: description",
        "input 'count' changed: default: 1 -> 2",
        "task 'update' changed: instruction",
    ]
    assert told_changes(HEAD, HEAD)[0] == "schedule kept: 0 6 * * 1 Europe/Berlin, with catchup"
    assert "schedule: 0 6 * * 1 Europe/Berlin, with catchup -> none" in told_changes(
        HEAD, planned(schedule=None)
    )
    assert told_changes(None, HEAD) == [], "of a new workflow everything is new"
