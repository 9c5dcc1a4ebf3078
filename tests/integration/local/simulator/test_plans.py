"""What the simulator plans keeps every rule of a plan, in the planner's real schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from chassis.errors import PlanError
from chassis.prompts import planner_message
from chassis.workflow import Given, WorkflowSpec, check_plan, plan_digest
from chassis.workflow.planner_answer import plan_from_proposal
from chassis.workflow.planner_schemas import proposal_schema
from tests.integration.local.simulator.calls import MODEL, PRODUCT, SERVICES, SUM, Form, answer_of, send

if TYPE_CHECKING:
    import anthropic

    from chassis.local.simulator import SimulatorControl

AGENTS = {"task-executor": "Does one task.", "writer": "Writes."}


def proposal(
    sdk: anthropic.AnthropicBedrock, requirement: str, form: Form = "output_config", **inputs: Any
) -> Any:
    text = planner_message(
        requirement=requirement,
        catalogue="services:\n" + "".join(f"- name: {name}\n" for name in SERVICES),
        agents=AGENTS,
        inputs=inputs,
        limit=10_000,
    )
    schema = proposal_schema(list(AGENTS))
    asked: dict[str, Any] = {
        "model": MODEL,
        "extra_body": {"anthropic_version": "bedrock-2023-05-31"},
        "max_tokens": 5_000,
        "messages": [{"role": "user", "content": text}],
    }
    if form == "output_config":
        asked["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
    else:
        asked |= {"tools": [{"name": "answer", "input_schema": schema}], "tool_choice": {"type": "any"}}
    return answer_of(send(sdk, asked, stream=True))


def checked(answer: Any, requirement: str, **inputs: Any) -> WorkflowSpec:
    plan = plan_from_proposal(answer, Given(requirement=requirement, inputs=inputs))
    return check_plan(plan, agents=list(AGENTS), services=SERVICES)


@pytest.mark.parametrize("form", ["output_config", "tool"])
@pytest.mark.parametrize(
    ("requirement", "inputs"),
    [
        (SUM, {}),
        (PRODUCT, {}),
        (PRODUCT, {"product": "cyber risk", "priority": 3, "regions": ["eu"]}),
        ("Add cyber product to services pricing and claims", {}),
        ("Write a report {item} on {{ churn }}", {"quarter": "Q3", "draft": True, "share": 0.5}),
        ("Приветствуй клиентов \x00\x1b[31m", {}),
    ],
    ids=["sum", "product", "product with inputs", "two services", "templates", "other letters"],
)
def test_a_simulated_plan_keeps_every_rule(
    sdk: anthropic.AnthropicBedrock, form: Form, requirement: str, inputs: dict[str, Any]
) -> None:
    spec = checked(proposal(sdk, requirement, form, **inputs), requirement, **inputs)
    assert {name: spec.inputs[name].default for name in inputs}.keys() == inputs.keys()
    again = checked(proposal(sdk, requirement, form, **inputs), requirement, **inputs)
    assert plan_digest(again) == plan_digest(spec)


def test_the_product_goes_to_every_service_of_the_catalogue(sdk: anthropic.AnthropicBedrock) -> None:
    spec = checked(proposal(sdk, PRODUCT), PRODUCT)
    (each,) = [task for task in spec.tasks if task.for_each]
    assert each.for_each is not None
    assert each.for_each.items == tuple(SERVICES)
    assert spec.inputs["product"].default == "pet insurance"


def test_a_wrong_plan_is_refused_for_its_cycle_and_its_unknown_dependency(
    sdk: anthropic.AnthropicBedrock, control: SimulatorControl
) -> None:
    control.add_fault("wrong_plan")
    with pytest.raises(PlanError) as refused:
        checked(proposal(sdk, SUM), SUM)
    assert {fault.code for fault in refused.value.faults} == {"cycle", "unknown_dependency"}
