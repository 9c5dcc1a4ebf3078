"""The planner's answer: what Claude may say, and what the person gave lies over it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chassis.errors import DefinitionError, PlanError
from chassis.workflow import Given, InputSpec, Limits, Schedule, check_given, check_plan
from chassis.workflow.planner_answer import plan_from_proposal
from chassis.workflow.planner_schemas import proposal_schema

PROPOSAL: dict[str, Any] = {
    "id": "add_product",
    "title": "Add a product",
    "inputs": [{"name": "product", "type": "string", "default": None, "description": "What to add."}],
    "tasks": [
        {
            "id": "discover",
            "name": "Discover",
            "instruction": "List the services.",
            "agent": "task-executor",
            "depends_on": [],
            "for_each": None,
            "output_schema": '{"type": "array", "items": {"type": "string"}}',
        },
        {
            "id": "update",
            "name": "Update",
            "instruction": "Add {product} to {item}.",
            "agent": "reviewer",
            "depends_on": ["discover"],
            "for_each": {"output_of": "discover", "path": ""},
            "output_schema": None,
        },
    ],
}
SCHEMA = proposal_schema(["task-executor", "reviewer"])


def places_refused(proposal: Any) -> list[str]:
    """Where a proposal breaks the schema; the schema itself must be one."""
    from jsonschema import Draft202012Validator

    Draft202012Validator.check_schema(SCHEMA)
    return [error.json_path for error in Draft202012Validator(SCHEMA).iter_errors(proposal)]


def schemas(schema: Any) -> list[dict[str, Any]]:
    """The schema and all that are inside it."""
    if isinstance(schema, list):
        return [inner for part in schema for inner in schemas(part)]
    if not isinstance(schema, dict):
        return []
    inside = [*schema.get("properties", {}).values(), *schema.get("anyOf", []), schema.get("items")]
    return [schema, *schemas(inside)]


def test_the_schema_is_a_json_schema_that_takes_a_proposal() -> None:
    assert places_refused(PROPOSAL) == []
    assert places_refused(PROPOSAL | {"schedule": None}) == ["$"]


def test_the_schema_is_within_what_constrained_decoding_can_follow() -> None:
    """The limits that Anthropic documents for structured outputs."""
    found = schemas(SCHEMA)
    assert len(found) > 20
    for schema in found:
        known = {
            "type",
            "description",
            "properties",
            "required",
            "additionalProperties",
            "items",
            "anyOf",
            "enum",
        }
        assert schema.keys() <= known, "numbers and lengths can't be bounded, and nothing can refer"
        assert ("type" in schema) != ("anyOf" in schema)
        assert isinstance(schema.get("type", ""), str)
        if schema.get("type") == "object":
            assert schema["additionalProperties"] is False
            assert schema["properties"], "an object without named keys would have dynamic ones"
    optional = sum(len(schema.get("properties", {})) - len(schema.get("required", [])) for schema in found)
    assert optional <= 24
    assert sum("anyOf" in schema for schema in found) <= 16


def test_the_sdk_leaves_the_schema_as_it_is() -> None:
    import anthropic

    def plain(schema: Any) -> Any:
        """Of a choice between given values the SDK leaves out the type: the values say it."""
        if isinstance(schema, list):
            return [plain(part) for part in schema]
        if not isinstance(schema, dict):
            return schema
        return {
            key: plain(value) for key, value in schema.items() if not (key == "type" and "enum" in schema)
        }

    assert plain(anthropic.transform_schema(SCHEMA)) == plain(SCHEMA)


def test_only_offered_agents_can_be_named() -> None:
    wrong = json.loads(json.dumps(PROPOSAL).replace("reviewer", "root"))
    assert places_refused(wrong) == ["$.tasks[1].agent"]
    with pytest.raises(DefinitionError, match="no agent"):
        proposal_schema([])


def test_a_proposal_becomes_a_plan_with_what_the_person_gave_laid_over_it() -> None:
    given = Given(
        requirement="Add pet insurance",
        workflow_id="onboard_pet",
        inputs={"product": "pet insurance"},
        schedule=Schedule(cron="0 6 * * 1", timezone="Europe/Berlin"),
        limits=Limits(budget_usd=2.5),
        owner="insurance",
    )
    spec = check_plan(plan_from_proposal(PROPOSAL, given))
    assert (spec.id, spec.requirement, spec.owner) == ("onboard_pet", "Add pet insurance", "insurance")
    assert (spec.schedule, spec.limits) == (given.schedule, given.limits)
    assert spec.inputs == {
        "product": InputSpec(type="string", default="pet insurance", description="What to add.", given=True)
    }
    assert spec.tasks[0].output_schema == {"type": "array", "items": {"type": "string"}}
    assert spec.tasks[1].for_each is not None
    assert spec.tasks[1].for_each.output_of == "discover"


def test_what_the_person_left_open_is_the_planners_or_the_default() -> None:
    spec = check_plan(plan_from_proposal(PROPOSAL, Given(requirement="Add it")))
    assert (spec.id, spec.schedule, spec.limits, spec.owner) == ("add_product", None, Limits(), "chassis")
    assert spec.inputs["product"].default is None


@pytest.mark.parametrize(
    "key", ["schedule", "limits", "owner", "requirement", "schema_version", "provenance", "tags"]
)
def test_claude_can_not_say_what_is_the_persons_to_say(key: str) -> None:
    with pytest.raises(PlanError, match=f"'{key}' is not a valid key of a proposal"):
        plan_from_proposal(PROPOSAL | {key: "x"}, Given(requirement="Add it"))


@pytest.mark.parametrize("key", ["model", "retries", "timeout_minutes"])
def test_claude_can_not_choose_what_a_task_costs(key: str) -> None:
    tasks = [PROPOSAL["tasks"][0] | {key: 1}]
    with pytest.raises(PlanError, match=f"task 'discover': '{key}' is not a valid key of a proposal"):
        plan_from_proposal(PROPOSAL | {"tasks": tasks}, Given(requirement="Add it"))


def test_faults_of_the_proposal_and_of_the_plan_are_listed_at_once() -> None:
    tasks = [
        PROPOSAL["tasks"][0] | {"output_schema": "{"},
        PROPOSAL["tasks"][1] | {"depends_on": ["dicover"]},
    ]
    with pytest.raises(PlanError) as refused:
        plan_from_proposal(PROPOSAL | {"tasks": tasks}, Given(requirement="Add it", inputs={"x": 1}))
    found = {fault.code for fault in refused.value.faults}
    assert {"bad_output_schema", "unknown_given_input", "unknown_dependency"} <= found


def test_the_proposal_is_left_alone() -> None:
    before = json.dumps(PROPOSAL)
    plan_from_proposal(PROPOSAL, Given(requirement="Add it", inputs={"product": "x"}))
    assert json.dumps(PROPOSAL) == before


def test_what_was_given_survives_the_way_through_json() -> None:
    given = check_given(
        {
            "requirement": "Add it",
            "workflow_id": "w",
            "inputs": {"a": "x", "b": ["y"], "c": 1.5, "d": True},
            "schedule": {"preset": "@daily"},
            "limits": {"budget_usd": 5},
        }
    )
    assert Given.model_validate(given.model_dump(mode="json")) == given
    assert Given.model_validate_json(given.model_dump_json()) == given


def test_all_that_is_wrong_with_what_was_given_is_said_at_once() -> None:
    with pytest.raises(PlanError) as refused:
        check_given(
            {
                "requirement": "",
                "workflow_id": "plan_workflow",
                "schedule": {"cron": "0 25 * * *", "timezone": "Europe/Berln"},
                "limits": {"budget_usd": -1},
            }
        )
    assert str(refused.value).startswith("Your input has 5 faults:")
    assert {fault.where for fault in refused.value.faults} == {
        "requirement",
        "workflow_id",
        "schedule",
        "limits",
    }


def test_a_given_input_is_not_held_against_a_type_that_does_not_exist() -> None:
    given = Given(requirement="Add it", inputs={"product": "pet insurance"})
    proposed = plan_from_proposal(PROPOSAL | {"inputs": [{"name": "product", "type": "strng"}]}, given)
    with pytest.raises(PlanError) as refused:
        check_plan(proposed)
    assert [fault.code for fault in refused.value.faults] == ["not_allowed"]
