"""A plan with one task's instruction, and values of inputs, changed."""

from __future__ import annotations

from typing import Any

import pytest

from chassis.errors import PlanError
from chassis.workflow import load_plan, plan_digest
from chassis.workflow.amended_plan import amended_plan
from tests.with_each import with_each

PLAN = load_plan("""
schema_version: 1
id: onboard
title: Onboard
requirement: Onboard a product.
inputs:
  product: {type: string, default: pet insurance}
  services: {type: array, default: [a, b]}
  count: {type: integer}
tasks:
  - {id: plan, name: Plan, instruction: "Plan {product}, {count} times."}
  - id: update
    name: Update
    instruction: Add {product} to {item}.
    for_each: {input: services}
    depends_on: [plan]
  - {id: report, name: Report, instruction: Report., depends_on: [update]}
""")


def test_only_what_is_amended_changes() -> None:
    plan = amended_plan(PLAN, "update", instruction="Add {product} to {item} now.", inputs={"count": 3})
    assert plan.tasks[1].instruction == "Add {product} to {item} now."
    assert plan.inputs["count"].default == 3
    back = amended_plan(plan, "update", instruction=PLAN.tasks[1].instruction, inputs={})
    restored = back.model_copy(update={"inputs": PLAN.inputs})
    assert plan_digest(restored) == plan_digest(PLAN)
    assert amended_plan(PLAN, "plan", instruction=None, inputs={}) == PLAN


@with_each(
    "task, instruction, inputs, words",
    [
        ("updat", None, {"count": 1}, ["is not a task of the plan; did you mean 'update'?"]),
        ("update", "Add {produkt}.", {}, ["{produkt}", "did you mean {product}?"]),
        ("report", "Report on {item}.", {}, ["no for_each and so no item"]),
        ("report", "  ", {}, ["must not be blank"]),
        ("report", "x" * 20_001, {}, ["20,000"]),
        ("report", "half \ud800", {}, ["half of a character"]),
        ("report", None, {"produkt": "x"}, ["is not an input of the plan; did you mean 'product'?"]),
        ("report", None, {"zzz": "x"}, ["is not an input of the plan; there are count, product, services"]),
        ("report", None, {"count": "3"}, ["must be a whole number, not the text '3'"]),
        ("report", None, {"count": True}, ["must be a whole number, not true"]),
        ("report", None, {"product": None}, ["must have a value of type string, not nothing (null)"]),
        ("update", None, {"services": ["a", "a"]}, ["'a' is there 2 times"]),
        ("update", None, {"services": "a"}, ["must be a list of texts"]),
        ("report", "{no}", {"count": "x", "nope": 1}, ["{no}", "a whole number", "'nope'"]),
    ],
)
def test_all_that_is_wrong_is_told_at_once(
    task: str, instruction: str | None, inputs: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(PlanError) as caught:
        amended_plan(PLAN, task, instruction=instruction, inputs=inputs)
    for word in words:
        assert word in str(caught.value)


def test_a_plan_to_be_published_is_held_to_the_agents_and_services_there_are() -> None:
    with pytest.raises(PlanError, match="names an agent that doesn't exist: 'task-executor'"):
        amended_plan(PLAN, "report", instruction="Report all.", inputs={}, agents=["other"])
