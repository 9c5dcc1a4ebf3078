"""Changes on their way into a plan: what is named changes, all else stays, and what doesn't fit is sent back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from chassis.errors import PlanError
from chassis.workflow import Given, Limits, Schedule, WorkflowSpec, check_plan
from chassis.workflow.plan_changes import plan_changes
from chassis.workflow.planner_answer import plan_from_delta
from chassis.workflow.planner_schemas import delta_schema
from tests.unit.workflow.strategies import ids, plans, spoken
from tests.with_each import with_each

CURRENT = check_plan(
    {
        "schema_version": 1,
        "id": "add_product",
        "title": "Add a product",
        "requirement": "Add pets to pricing.",
        "inputs": {
            "product": {"type": "string", "default": "pets"},
            "old": {"type": "integer", "default": 1},
        },
        "schedule": {"cron": "0 6 * * 1"},
        "owner": "ann",
        "tags": ["mine"],
        "limits": {"budget_usd": 5.0, "max_minutes": 9},
        "tasks": [
            {
                "id": "update",
                "name": "Update",
                "instruction": "Add {product} to {item}.",
                "for_each": {"items": ["pricing"]},
                "retries": 7,
                "model": "m-special",
            },
            {"id": "check", "name": "Check", "instruction": "Check.", "depends_on": ["update"]},
            {"id": "report", "name": "Report", "instruction": "Report.", "depends_on": ["check"]},
        ],
    }
)
GIVEN = Given(requirement="Add pets to pricing and claims.")
EMPTY: dict[str, Any] = {
    "title": "Add a product",
    "inputs": [],
    "removed_inputs": [],
    "tasks": [],
    "removed": [],
}


def task(change: str, task_id: str, **fields: Any) -> dict[str, Any]:
    whole = {"name": "N", "instruction": "Do.", "agent": "task-executor", "depends_on": [], "for_each": None}
    return {"change": change, "id": task_id, **whole, "output_schema": None, **fields}


def applied(given: Given = GIVEN, **changes: Any) -> WorkflowSpec:
    return check_plan(plan_from_delta(EMPTY | changes, CURRENT, given))


def faults(**changes: Any) -> list[tuple[str, str, str]]:
    with pytest.raises(PlanError) as refused:
        applied(**changes)
    return [(fault.code, fault.where, fault.message) for fault in refused.value.faults]


@given(plans(), spoken)
def test_no_change_leaves_everything_but_the_requirement(plan: WorkflowSpec, requirement: str) -> None:
    answer = EMPTY | {"title": plan.title}
    found = check_plan(plan_from_delta(answer, plan, Given(requirement=requirement)))
    expected = [] if requirement == plan.requirement else ["requirement"]
    changes = plan_changes(plan, found)
    assert [change.field for change in changes.workflow] == expected
    assert (changes.tasks, changes.inputs, changes.reordered) == ((), (), False)


@given(plans(), st.data())
def test_a_changed_task_a_new_one_and_a_removed_one_are_all_that_changes(
    plan: WorkflowSpec, data: st.DataObject
) -> None:
    known = [each.id for each in plan.tasks]
    new = data.draw(ids.filter(lambda name: name not in known))
    target = data.draw(st.sampled_from(known))
    old = plan.tasks[known.index(target)].model_dump(mode="json")
    proposed = {
        key: old[key] for key in ("id", "instruction", "agent", "depends_on", "for_each", "output_schema")
    }
    tasks = [{"change": "changed", **proposed, "name": "Another name"}, task("new", new)]
    found = check_plan(
        plan_from_delta(
            EMPTY | {"title": plan.title, "tasks": tasks}, plan, Given(requirement=plan.requirement)
        )
    )
    kinds = {
        (part.name, part.kind): [f.field for f in part.fields] for part in plan_changes(plan, found).tasks
    }
    assert kinds.pop((new, "added"))
    assert kinds in ({}, {(target, "changed"): ["name"]})
    back = check_plan(
        plan_from_delta(
            EMPTY | {"title": plan.title, "removed": [new]}, found, Given(requirement=plan.requirement)
        )
    )
    assert [each.id for each in back.tasks] == known


def test_what_people_set_on_a_task_stays_when_claude_changes_it() -> None:
    each = {"for_each": {"items": ["pricing", "claims"]}, "instruction": "Add {product} to {item}."}
    changed = applied(tasks=[task("changed", "update", **each)]).tasks[0]
    assert changed.for_each is not None
    assert changed.for_each.items == ("pricing", "claims")
    assert (changed.retries, changed.model) == (7, "m-special")


def test_new_tasks_come_last_and_changed_ones_keep_their_place() -> None:
    tasks = [task("new", "tell", depends_on=["report"]), task("changed", "check", depends_on=["update"])]
    assert [each.id for each in applied(tasks=tasks).tasks] == ["update", "check", "report", "tell"]


def test_inputs_are_added_changed_and_removed_by_name() -> None:
    inputs = [
        {"name": "product", "type": "string", "default": "cars"},
        {"name": "n", "type": "integer", "default": 2},
    ]
    found = applied(inputs=inputs, removed_inputs=["old"]).inputs
    assert {name: given.default for name, given in found.items()} == {"product": "cars", "n": 2}


def test_what_the_person_left_open_stays_as_it_is() -> None:
    found = applied(Given(requirement="Other.", limits=Limits()))
    assert found.requirement == "Other."
    assert (found.id, found.owner, found.tags) == ("add_product", "ann", ("mine",))
    assert (found.schedule, found.limits) == (CURRENT.schedule, CURRENT.limits)


def test_what_the_person_gave_is_laid_over_the_changes() -> None:
    given = Given(
        requirement="Other.",
        inputs={"product": "boats"},
        schedule=Schedule(preset="@daily"),
        limits=Limits(budget_usd=9.0, max_parallel=3),
        owner="bob",
    )
    found = applied(given, inputs=[{"name": "product", "type": "string", "default": "cars"}])
    assert found.inputs["product"].default == "boats"
    assert (found.schedule, found.owner) == (Schedule(preset="@daily"), "bob")
    assert found.limits == Limits(budget_usd=9.0, max_parallel=3, max_minutes=9)


@with_each(
    "changes, code, where, part",
    [
        ({"tasks": [task("changed", "updat")]}, "unknown_task", "task 'updat'", "did you mean 'update'?"),
        ({"tasks": [task("new", "update")]}, "duplicate_id", "task 'update'", "say changed"),
        ({"removed": ["reprot"]}, "unknown_task", "removed", "did you mean 'report'?"),
        ({"removed": ["check"]}, "unknown_dependency", "task 'report'", "'check', which does not exist"),
        (
            {"removed": ["report"], "tasks": [task("changed", "report")]},
            "duplicate_id",
            "task 'report'",
            "removed, too",
        ),
        ({"tasks": [task("new", "a"), task("new", "a")]}, "duplicate_id", "task 'a'", "is there twice"),
        ({"tasks": [task("maybe", "check")]}, "wrong_type", "task 'check'", "new or changed"),
        ({"tasks": [task(3, "check")]}, "wrong_type", "task 'check'", "the number 3"),  # type: ignore[arg-type]
        ({"tasks": ["check"]}, "wrong_type", "tasks[0]", "mapping with an id"),
        ({"tasks": "check"}, "wrong_type", "tasks", "must be a list"),
        ({"removed": "check"}, "wrong_type", "removed", "list of names"),
        ({"removed": [["check"]]}, "wrong_type", "removed", "list of names"),
        ({"removed_inputs": ["prodct"]}, "unknown_input", "removed_inputs", "did you mean 'product'?"),
        ({"inputs": {"n": 2}}, "wrong_type", "inputs", "must be a list"),
        ({"inputs": [{"type": "string"}]}, "wrong_type", "inputs[0]", "mapping with a name"),
        ({"remove": []}, "unknown_key", "the changes", "did you mean 'removed'?"),
        ({"tasks": [task("new", "a", colour="red")]}, "unknown_key", "task 'a'", "'colour'"),
    ],
)
def test_changes_that_do_not_fit_are_told_with_the_nearest_name(
    changes: dict[str, Any], code: str, where: str, part: str
) -> None:
    found = faults(**changes)
    assert [fault for fault in found if fault[:2] == (code, where) and part in fault[2]], found


@pytest.mark.parametrize("answer", [None, [], "x", 3])
def test_what_is_no_mapping_is_refused(answer: Any) -> None:
    with pytest.raises(PlanError, match="must be a mapping"):
        plan_from_delta(answer, CURRENT, GIVEN)


def test_all_that_is_wrong_is_told_at_once() -> None:
    found = faults(tasks=[task("changed", "nothing", depends_on=["nobody"])], removed=["nowhere"])
    assert {code for code, _, _ in found} == {"unknown_task", "unknown_dependency"}


def test_a_task_that_is_removed_can_make_room_for_a_new_one_of_its_id() -> None:
    found = applied(removed=["update"], tasks=[task("new", "update")])
    assert found.tasks[-1].id == "update"
    assert found.tasks[-1].retries is None


def test_the_schema_is_one_and_takes_changes_only_from_offered_agents() -> None:
    schema = delta_schema(["task-executor"])
    Draft202012Validator.check_schema(schema)
    valid = Draft202012Validator(schema).is_valid
    assert valid(EMPTY | {"tasks": [task("new", "a")]})
    assert not valid(EMPTY | {"tasks": [task("new", "a", agent="other")]})
    assert not valid(EMPTY | {"tasks": [task("maybe", "a")]})
    assert not valid(EMPTY | {"id": "other"})
