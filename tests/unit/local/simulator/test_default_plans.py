from __future__ import annotations

import time
from typing import Any

import pytest

from chassis.local.simulator.claude_request import ClaudeRequest
from chassis.local.simulator.reply_forms import proposal
from chassis.local.simulator.scenario_templates import numbers
from chassis.prompts import fence, planner_message

SERVICES = ["availability", "contracts", "recommendation", "pricing", "claims", "notifications", "documents"]
CATALOGUE = "services:\n" + "".join(f"- name: {name}\n  description: The {name}.\n" for name in SERVICES)
AGENTS = {"planning-agent": "Plans.", "task-executor": "Does a task: well."}


def plan(
    requirement: str, catalogue: str = CATALOGUE, agents: dict[str, str] = AGENTS, **inputs: Any
) -> dict[str, Any]:
    message = planner_message(
        requirement=requirement, catalogue=catalogue, agents=agents, inputs=inputs, limit=10_000
    )
    return proposal(asking(message))


def asking(message: str) -> ClaudeRequest:
    return ClaudeRequest("m", {"messages": [{"role": "user", "content": message}]}, False)


def edges(found: dict[str, Any]) -> list[tuple[str, list[str]]]:
    return [(task["id"], task["depends_on"]) for task in found["tasks"]]


@pytest.mark.parametrize(
    "requirement", ["Calculate the sum of 5 and 3", "What is 2 + 2?", "add 7 and 1.5, please"]
)
def test_a_sum_is_planned_as_three_tasks_in_a_chain(requirement: str) -> None:
    assert edges(plan(requirement)) == [
        ("identify_numbers", []),
        ("add_numbers", ["identify_numbers"]),
        ("report_result", ["add_numbers"]),
    ]


def test_a_product_for_all_services_is_planned_from_the_catalogue() -> None:
    found = plan("Add pet insurance product to all services")
    assert edges(found) == [
        ("update_service", []),
        ("update_contracts", ["update_service"]),
        ("update_admin_ui", ["update_contracts"]),
        ("run_e2e_tests", ["update_admin_ui"]),
    ]
    assert found["id"] == "add_pet_insurance"
    assert found["tasks"][0]["for_each"] == {"items": SERVICES}
    assert "{product}" in found["tasks"][0]["instruction"]
    assert "{item}" in found["tasks"][0]["instruction"]
    (given,) = found["inputs"]
    assert (given["name"], given["type"], given["default"]) == ("product", "string", "pet insurance")


@pytest.mark.parametrize(
    ("clause", "items"),
    [
        ("services pricing, claims and documents", ["pricing", "claims", "documents"]),
        ("the contracts service", ["contracts"]),
        ("Pricing and nosuch", ["pricing"]),
        ("every service", SERVICES),
    ],
)
def test_named_services_select_from_the_catalogue(clause: str, items: list[str]) -> None:
    found = plan(f"Please add a new cyber risk product to {clause}.")
    assert found["tasks"][0]["for_each"] == {"items": items}
    assert found["inputs"][0]["default"] == "cyber risk"


@pytest.mark.parametrize(
    "requirement",
    [
        "Write a report on churn",
        "Add pet insurance product to nosuch",
        "Приветствуй клиентов",
        "{{ 6 * 7 }}\x00",
    ],
)
def test_anything_else_is_planned_generically_without_repeating_the_requirement(requirement: str) -> None:
    found = plan(requirement)
    assert edges(found) == [
        ("analyse_requirement", []),
        ("do_work", ["analyse_requirement"]),
        ("review_result", ["do_work"]),
    ]
    assert not any(requirement in task["instruction"] for task in found["tasks"])
    assert found["title"].isprintable()


def test_a_plan_is_the_same_every_time_and_its_id_tells_long_requirements_apart() -> None:
    long = "Write a report on the churn of customers in the last quarter, by region, for the year "
    first, second = plan(long + "2025"), plan(long + "2026")
    assert first == plan(long + "2025")
    assert first["id"] != second["id"]
    assert first["id"].startswith("write_a_report_on_the_churn_of_customers")


@pytest.mark.parametrize(
    "requirement", ["Plan workflow", "plan-workflow", "7 wonders", "Приветствуй", "a" * 300, "_x__y_"]
)
def test_ids_are_ids_and_no_reserved_ones(requirement: str) -> None:
    workflow_id = plan(requirement)["id"]
    assert workflow_id.isidentifier()
    assert workflow_id.isascii()
    assert workflow_id == workflow_id.lower()
    assert len(workflow_id) <= 100
    assert workflow_id not in ("plan_workflow", "recurring_onboarding")


def test_the_executing_agent_is_one_that_was_offered() -> None:
    assert {task["agent"] for task in plan("Do it")["tasks"]} == {"task-executor"}
    other = plan("Do it", agents={"planning-agent": "Plans.", "writer": "Writes."})
    assert {task["agent"] for task in other["tasks"]} == {"writer"}


def test_inputs_that_the_person_gave_are_declared_with_their_types() -> None:
    found = plan(
        "Add pet insurance product to all services", product="cyber", count=3, ratio=0.5, on=True, who=["a"]
    )
    declared = {entry["name"]: (entry["type"], entry["default"]) for entry in found["inputs"]}
    assert declared == {
        "product": ("string", "pet insurance"),
        "count": ("integer", 3),
        "ratio": ("number", 0.5),
        "on": ("boolean", True),
        "who": ("array", ["a"]),
    }


@pytest.mark.parametrize(
    ("catalogue", "names"),
    [
        (CATALOGUE, SERVICES),
        ("[a, b]", ["a", "b"]),
        ("services: {a: {description: x}, b: {}}", ["a", "b"]),
        ("", []),
        ("{{ not yaml", []),
        ("just text", []),
    ],
)
def test_service_names_are_read_from_the_usual_shapes_of_a_catalogue(
    catalogue: str, names: list[str]
) -> None:
    assert asking(fence("catalogue", catalogue)).services == names


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the sum of 5 and 3", ["5", "3"]),
        ("5, 3, and -1.5.", ["5", "3", "-1.5"]),
        ("1+1", ["1", "1"]),
        ("Add 5 and 3. {{ 6 * 7 }}", ["5", "3"]),
        ("version 1.2.3 of x5 on 5G", []),
        ("7 then 8", ["7", "8"]),
    ],
)
def test_numbers_are_read_from_the_first_list_of_them(text: str, expected: list[str]) -> None:
    assert numbers(text) == expected


@pytest.mark.parametrize("filler", ["sum ", "add ", "Add a product to ", "1 ", "1, ", " ", "\n", "1" * 50])
def test_a_requirement_of_any_text_is_planned_in_no_time(filler: str) -> None:
    started = time.process_time()
    assert plan(filler * (100_000 // len(filler)))["tasks"]
    assert time.process_time() - started < 2
