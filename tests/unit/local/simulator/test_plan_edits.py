"""Changes that the simulator proposes: other services, what a comment asks for; each a plan that keeps the rules."""

from __future__ import annotations

from typing import Any

import pytest

from chassis.local.simulator.claude_request import ClaudeRequest
from chassis.local.simulator.reply_forms import proposal
from chassis.prompts import planner_message
from chassis.workflow import Given, WorkflowSpec, check_plan, dump_plan
from chassis.workflow.plan_changes import plan_changes
from chassis.workflow.planner_answer import plan_from_delta, plan_from_proposal
from chassis.workflow.planner_schemas import delta_schema

SERVICES = ["availability", "contracts", "pricing", "claims"]
CATALOGUE = "services:\n" + "".join(f"- name: {name}\n  description: The {name}.\n" for name in SERVICES)
PRODUCT = "Add pet insurance product to services availability and contracts"
SUM = "Calculate the sum of 5 and 3"
OTHER = "Write a poem"


def asked(requirement: str, **more: Any) -> dict[str, Any]:
    message = planner_message(
        requirement=requirement,
        catalogue=CATALOGUE,
        agents={"planning-agent": "Plans.", "task-executor": "Does."},
        inputs=more.pop("inputs", {}),
        limit=100_000,
        **more,
    )
    return proposal(ClaudeRequest("m", {"messages": [{"role": "user", "content": message}]}, stream=False))


def planned(requirement: str) -> WorkflowSpec:
    return check_plan(
        plan_from_proposal(asked(requirement), Given(requirement=requirement)), services=SERVICES
    )


def changed(
    before: str, after: str | None = None, comment: str = "", **inputs: Any
) -> tuple[list[str], WorkflowSpec]:
    """What changes of a plan, the requirement aside, and the new plan, which keeps every rule."""
    current = planned(before)
    requirement = after or before
    answer = asked(requirement, current=dump_plan(current), comment=comment, inputs=inputs)
    plan = plan_from_delta(answer, current, Given(requirement=requirement, inputs=inputs))
    spec = check_plan(plan, agents=["task-executor"], services=SERVICES)
    lines = plan_changes(current, spec.model_copy(update={"requirement": before})).lines()
    return lines, spec


@pytest.mark.parametrize("requirement", [PRODUCT, SUM, OTHER])
def test_the_same_requirement_changes_nothing(requirement: str) -> None:
    assert changed(requirement)[0] == []


@pytest.mark.parametrize(
    ("services", "expected"),
    [
        ("services availability, contracts and claims", "items: + claims"),
        ("services availability", "items: - contracts"),
        ("services claims and availability", "items: + claims, - contracts"),
        ("all services", "items: + pricing, + claims"),
        ("all services, but leave out contracts", "items: + pricing, + claims, - contracts"),
    ],
)
def test_a_requirement_that_names_other_services_changes_the_items_alone(
    services: str, expected: str
) -> None:
    lines, _ = changed(PRODUCT, f"Add pet insurance product to {services}")
    assert lines == ["task 'update_service': changed", f"  {expected}"]


def test_services_that_stay_keep_their_place() -> None:
    _, spec = changed(PRODUCT, "Add pet insurance product to services claims, contracts and availability")
    assert spec.tasks[0].for_each is not None
    assert spec.tasks[0].for_each.items == ("availability", "contracts", "claims")


def test_another_product_changes_the_input() -> None:
    lines, spec = changed(PRODUCT, PRODUCT.replace("pet", "cyber"))
    assert spec.inputs["product"].default == "cyber insurance"
    assert [line for line in lines if line.startswith("task ")] == []


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        ("also include the claims service", ["task 'update_service': changed", "  items: + claims"]),
        ("Please also add claims and pricing.", ["task 'update_service': changed", "  items: + pricing, + claims"]),
        ("leave out contracts", ["task 'update_service': changed", "  items: - contracts"]),
        (
            "instruction of update_service: Do X for {item}",
            [
                "task 'update_service': changed",
                "  instruction: Add {product} to the product list of {item}. -> Do X for {item}",
            ],
        ),
        (
            "remove task update_contracts",
            [
                "task 'update_admin_ui': changed",
                "  depends on: + update_service, - update_contracts",
                "task 'update_contracts': removed",
            ],
        ),
        ("Looks good to me.", []),
        ("instruction of no_such_task: Do X", []),
    ],
)  # fmt: skip
def test_a_comment_is_done(comment: str, expected: list[str]) -> None:
    assert changed(PRODUCT, comment=comment)[0] == expected


def test_a_sum_of_other_numbers_is_told_to_the_task_that_finds_them() -> None:
    lines, spec = changed(SUM, "Calculate the sum of 5 and 4")
    assert [line for line in lines if line.startswith("task ")] == ["task 'identify_numbers': changed"]
    assert spec.tasks[0].instruction.endswith("now: 5 and 4")
    again = check_plan(
        plan_from_delta(
            asked("Calculate the sum of 6 and 4", current=dump_plan(spec)),
            spec,
            Given(requirement="Calculate the sum of 6 and 4"),
        )
    )
    assert again.tasks[0].instruction.count("The requirement is now") == 1


def test_a_requirement_that_no_task_speaks_of_gets_a_task_of_its_own() -> None:
    current = check_plan(
        {
            "schema_version": 1,
            "id": "w",
            "title": "T",
            "requirement": "Old.",
            "tasks": [{"id": "do_the_rest", "name": "R", "instruction": "Do."}],
        }
    )
    answer = asked("New {x} thing", current=dump_plan(current))
    spec = check_plan(plan_from_delta(answer, current, Given(requirement="New {x} thing")))
    assert [(task.id, task.depends_on) for task in spec.tasks] == [
        ("do_the_rest", ()),
        ("do_the_rest_2", ("do_the_rest",)),
    ]


def test_inputs_that_a_person_gives_are_declared() -> None:
    _, spec = changed(PRODUCT, priority=3, product="boats")
    assert spec.inputs["priority"].default == 3
    assert spec.inputs["product"].default == "boats"


def test_an_answer_fits_the_planners_schema() -> None:
    from jsonschema import Draft202012Validator

    answer = asked(
        PRODUCT.replace("contracts", "claims"), current=dump_plan(planned(PRODUCT)), comment="also pricing"
    )
    assert list(Draft202012Validator(delta_schema(["task-executor"])).iter_errors(answer)) == []


@pytest.mark.parametrize("text", ["no: [yaml", "[]", "tasks: 3", "- x"])
def test_a_current_plan_that_is_none_changes_nothing(text: str) -> None:
    answer = asked(OTHER, current=text)
    assert answer["removed"] == []
    assert len(answer["tasks"]) <= 1
