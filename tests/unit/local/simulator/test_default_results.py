from __future__ import annotations

import json
import time
from typing import Any

import pytest

from chassis.local.simulator.claude_request import ClaudeRequest
from chassis.local.simulator.faults import spoil
from chassis.local.simulator.reply_forms import make_reply
from chassis.local.simulator.scenario import FaultRule
from chassis.prompts import run_message, task_message

TEXT = {"type": "string"}
SCHEMA = {
    "type": "object",
    "properties": {
        "status": {"enum": ["completed", "blocked"]},
        "reason": TEXT,
        "summary": TEXT,
        "output": TEXT,
    },
    "required": ["status", "reason", "summary", "output"],
}


def answer_for(request: ClaudeRequest, **output: Any) -> dict[str, Any]:
    """The answer, with an output of that schema."""
    found: dict[str, Any] = json.loads(make_reply(formed(request, **output)).text)
    return found


def formed(request: ClaudeRequest, **output: Any) -> ClaudeRequest:
    schema = SCHEMA | {"properties": SCHEMA["properties"] | {"output": output or TEXT}}
    format_ = {"format": {"type": "json_schema", "schema": schema}}
    return ClaudeRequest("m", request.body | {"output_config": format_}, False)


def asked(
    task: str,
    instruction: str,
    *results: tuple[str, str | None, str],
    item: str | None = None,
    requirement: str = "Calculate the sum of 5 and 3",
) -> ClaudeRequest:
    data = [("result", {"task": of, "item": each}, text) for of, each, text in results]
    texts = [
        run_message(requirement=requirement, inputs={}, limit=300_000),
        task_message(
            task_id=task, item=item, instruction=instruction, service=None, results=data, limit=300_000
        ),
    ]
    content = [{"type": "text", "text": text} for text in texts]
    return ClaudeRequest("m", {"messages": [{"role": "user", "content": content}]}, False)


def handed_on(answer: dict[str, Any]) -> str:
    return f"{answer['summary']}\n\n{answer['output']}"


def test_the_numbers_flow_through_the_results_to_the_sum() -> None:
    found = answer_for(asked("identify_numbers", "Identify the numbers that the requirement wants added."))
    assert found["summary"] == "[simulated] The numbers are 5 and 3."
    added = answer_for(asked("add_numbers", "Add the numbers.", ("identify_numbers", None, handed_on(found))))
    assert added["summary"] == "[simulated] 5 + 3 = 8"
    told = answer_for(asked("report_result", "Report the sum.", ("add_numbers", None, handed_on(added))))
    assert told["summary"] == "[simulated] The sum is 8."
    assert told["output"].startswith("[simulated] The sum is 8.")


def test_the_sum_is_of_what_the_results_say_and_not_of_the_requirement() -> None:
    answer = answer_for(
        asked("add_numbers", "Add the numbers.", ("identify_numbers", None, "Numbers: 40, 2.5"))
    )
    assert "42.5" in answer["summary"]


@pytest.mark.parametrize(
    ("numbers", "total"),
    [
        ("0.1, 0.2", "0.3"),
        ("100, 200", "300"),
        ("5, -5", "0"),
        ("-1, -2", "-3"),
        ("1, 2, 3", "6"),
        ("9" * 40 + ", 1", "1" + "0" * 40),
    ],
)
def test_sums_are_exact_and_plainly_written(numbers: str, total: str) -> None:
    answer = answer_for(asked("add_numbers", "Add them.", ("find", None, f"Numbers: {numbers}")))
    assert answer["summary"].endswith(f"= {total}")


def test_one_task_alone_adds_the_numbers_of_its_instruction() -> None:
    assert (
        answer_for(asked("calculate", "Calculate the sum of 20 and 22."))["summary"]
        == "[simulated] 20 + 22 = 42"
    )


def test_results_given_as_json_carry_numbers_too() -> None:
    answer = answer_for(
        asked("add", "Add the numbers.", ("find", None, '{"output": "[simulated]\\n\\nNumbers: 5, 3"}'))
    )
    assert answer["summary"] == "[simulated] 5 + 3 = 8"


def test_adding_numbers_that_nobody_handed_on_is_blocked_and_not_done() -> None:
    answer = answer_for(asked("add_numbers", "Add the numbers that were identified."))
    assert answer["status"] == "blocked"
    assert answer["reason"].startswith("[simulated]")


def test_work_on_an_item_is_described_with_its_name_and_what_it_builds_on() -> None:
    answer = answer_for(
        asked(
            "verify_service",
            "Check pet insurance in claims.",
            ("update_service", "claims", "done"),
            ("discover", None, "found"),
            item="claims",
            requirement="Add pet insurance product to all services",
        )
    )
    assert answer["status"] == "completed"
    assert answer["summary"] == "[simulated] verify_service for claims: taken as done, nothing was changed."
    for part in (
        "### claims",
        "> Check pet insurance in claims.",
        "update_service / claims",
        "result of discover",
    ):
        assert part in answer["output"]
    assert "[simulated]" in answer["output"]


def test_a_product_whose_name_holds_a_number_is_not_added_up() -> None:
    answer = answer_for(
        asked("update_service", "Add 5G plan 2 to the product list of claims.", item="claims")
    )
    assert "taken as done" in answer["summary"]


def test_a_blocked_answer_names_what_is_blocked() -> None:
    request = formed(asked("update_service", "Do.", item="claims"))
    answer = json.loads(spoil(FaultRule(fault="blocked"), request, make_reply(request)).text)
    assert answer["status"] == "blocked"
    assert "claims" in answer["reason"]


def test_output_schemas_are_filled_from_the_prompts_names_and_the_answers_numbers() -> None:
    names, number = {"type": "array", "items": TEXT}, {"type": "number"}
    services = "services:\n- name: pricing\n  description: x\n- name: claims"
    found = answer_for(asked("discover", "Discover the services.", ("list", None, services)), **names)
    assert found["output"] == ["pricing", "claims"]
    added = answer_for(asked("add", "Add the numbers.", ("find", None, "Numbers: 5, 3")), **number)
    assert added["output"] == 8
    assert answer_for(asked("discover", "Discover the services."), **names)["output"] == [
        "alpha",
        "beta",
        "gamma",
    ]


@pytest.mark.parametrize("filler", ["\n", " ", "list ", "sum ", "1 ", "- name: ", "1" * 50])
def test_a_result_of_any_text_is_read_in_no_time(filler: str) -> None:
    text = filler * (200_000 // len(filler))
    request = asked("find_numbers", f"List the sum: {text}", ("other", None, text), requirement=text)
    started = time.process_time()
    answer_for(request)
    assert time.process_time() - started < 2
