"""Every kind of wrong plan is refused, with a message that names the task and the fault.

Plans as text are in ``wrong_plans``; here are plans as data, proposals and what a person gave. The last test
holds the tables to the package: a fault that it can report and no case brings about is a fault of the tables.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import chassis.workflow
from chassis.errors import PlanError, PlanFault
from chassis.workflow import Given, check_given, check_plan, load_plan
from chassis.workflow.given import check_inputs_size, check_timezone
from chassis.workflow.planner_answer import plan_from_proposal
from chassis.workflow.yaml_text import read_yaml
from tests.unit.workflow.wrong_plans import AGENTS, CASES, PLAN, SERVICES, Case


def test_the_plan_that_the_cases_edit_is_right() -> None:
    load_plan(PLAN, agents=AGENTS, services=SERVICES)


def find(faults: tuple[PlanFault, ...], code: str, where: str, words: str) -> None:
    found = [
        fault for fault in faults if (fault.code, fault.where) == (code, where) and words in fault.message
    ]
    assert found, f"no fault {code} at {where} with {words!r} among:\n" + "\n".join(map(repr, faults))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_wrong_plan_is_refused_with_the_place_and_the_fault(case: Case) -> None:
    with pytest.raises(PlanError) as refused:
        load_plan(case.text, agents=AGENTS, services=SERVICES)
    find(refused.value.faults, case.code, case.where, case.words)


def _nested(depth: int) -> Any:
    value: Any = "x"
    for _ in range(depth):
        value = [value]
    return value


def _with(**parts: Any) -> dict[str, Any]:
    return read_yaml(PLAN) | parts


Refusal = tuple[Callable[[], Any], str, str, str]

DATA: list[Refusal] = [
    (lambda: load_plan(""), "wrong_type", "the plan", "must be a mapping, not nothing (null)"),
    (lambda: load_plan("- a"), "wrong_type", "the plan", "must be a mapping, not a list"),
    (lambda: load_plan(b"\xff\xfe"), "not_utf8", "the text", "is not UTF-8"),
    (lambda: load_plan("title: \ud800"), "not_utf8", "the text", "is not UTF-8"),
    (lambda: check_plan(_with(tasks=[])), "too_few", "tasks", "at least one task"),
    (
        lambda: check_plan(_with(tasks=["build"])),
        "wrong_type",
        "tasks[0]",
        "must be a mapping, not the text 'build'",
    ),
    (
        lambda: check_plan(_with(title="Add \u202etep")),
        "not_one_line",
        "title",
        "must be one line without control characters",
    ),
    (
        lambda: check_plan(_with(owner="me\U000e0041")),
        "not_one_line",
        "owner",
        "must be one line without control characters",
    ),
    (lambda: check_plan(_with(title=b"bytes")), "not_plain", "title", "not a bytes"),
    (lambda: check_plan(_with(tags={"b", "a"})), "not_plain", "tags", "not a set"),
    (lambda: check_plan(_with(inputs={1: {}})), "not_plain", "inputs", "has a key that must be text"),
    (lambda: check_plan(_with(title="\ud800")), "not_text", "title", "half of a character"),
    (
        lambda: check_plan(_with(tasks=_nested(100))),
        "too_deep",
        "tasks[0]",
        f"{'[0]' * 10}… is more than 64 levels",
    ),
    (lambda: check_plan(_with(tasks=[[]] * 300_000)), "too_big", "the plan", "more than 200,000 values"),
    (
        lambda: load_plan("- !a\n" * 200_000),
        "more_faults",
        "the text",
        "perhaps more faults; these are the first 100",
    ),
    (lambda: check_plan(_with(tasks=[{}] * 201)), "too_many", "tasks", "has 201 entries, and at most 200"),
    (lambda: check_plan(_with(tasks=[{}] * 200)), "more_faults", "the plan", "these are the first 100"),
]

GIVEN = Given(requirement="Add it", inputs={"product": "pet insurance"})
TASK = {"id": "a", "name": "A", "instruction": "Do it.", "agent": "task-executor", "depends_on": []}
PROPOSAL = {
    "id": "add_it",
    "title": "Add it",
    "inputs": [{"name": "product", "type": "string"}],
    "tasks": [TASK],
}


def _proposed(**parts: Any) -> dict[str, Any]:
    return check_plan(plan_from_proposal(PROPOSAL | parts, GIVEN)).model_dump()


PROPOSALS: list[Refusal] = [
    (
        lambda: plan_from_proposal("Sure!", GIVEN),
        "wrong_type",
        "the plan",
        "must be a mapping with title, id",
    ),
    (
        lambda: _proposed(schedule={"preset": "@hourly"}),
        "unknown_key",
        "the plan",
        "'schedule' is not a valid key of a proposal",
    ),
    (
        lambda: _proposed(tasks=[TASK | {"model": "x"}]),
        "unknown_key",
        "task 'a'",
        "'model' is not a valid key of a proposal",
    ),
    (
        lambda: _proposed(inputs=[]),
        "unknown_given_input",
        "inputs",
        "gave the input 'product', which the plan doesn't",
    ),
    (lambda: _proposed(inputs=["product"]), "wrong_type", "inputs[0]", "must be a mapping with a name"),
    (
        lambda: _proposed(inputs=PROPOSAL["inputs"] * 2),
        "duplicate_id",
        "inputs[1]",
        "the name 'product' is there twice",
    ),
    (
        lambda: _proposed(inputs=[{"name": "product", "type": "integer"}]),
        "given_input_type",
        "input 'product'",
        "is given by the person and must be a whole number, not the text 'pet insurance'",
    ),
    (
        lambda: _proposed(tasks=[TASK | {"output_schema": "{type: object}"}]),
        "bad_output_schema",
        "task 'a'",
        "output_schema is not valid JSON text",
    ),
    (
        lambda: _proposed(tasks=[TASK | {"depends_on": ["b"], "output_schema": "{"}]),
        "unknown_dependency",
        "task 'a'",
        "depends on 'b', which does not exist",
    ),
    (lambda: check_given({}), "missing", "the plan", "requirement is missing"),
    (lambda: check_given({"requirement": " "}), "blank", "requirement", "must not be blank"),
    (lambda: check_given({"requirement": "x", "workflow_id": "No"}), "bad_id", "workflow_id", "'No' must be"),
    (
        lambda: check_given({"requirement": "x", "schedule": {"cron": "daily"}}),
        "bad_cron",
        "schedule",
        "cron 'daily' must be minute, hour",
    ),
    (
        lambda: check_given({"requirement": "x", "inputs": {"a": {"b": 1}, "item": 1}}),
        "bad_given_input",
        "inputs",
        "the name 'item' is taken",
    ),
    (
        lambda: check_timezone(check_given({"requirement": "x", "timezone": "Europe/Berlin"}), None),
        "timezone_alone",
        "timezone",
        "give a schedule, too",
    ),
    (
        lambda: check_inputs_size({"a": "x" * 99}, 50),
        "too_long",
        "inputs",
        "at most 50 fit into a prompt",
    ),
    (
        lambda: check_given({"requirement": "x", "timezone": "Europe/Berln"}),
        "unknown_timezone",
        "timezone",
        "'Europe/Berlin'",
    ),
]


@pytest.mark.parametrize(
    ("refused", "code", "where", "words"), [*DATA, *PROPOSALS], ids=range(len([*DATA, *PROPOSALS]))
)
def test_wrong_data_is_refused_with_the_place_and_the_fault(
    refused: Callable[[], Any], code: str, where: str, words: str
) -> None:
    with pytest.raises(PlanError) as error:
        refused()
    find(error.value.faults, code, where, words)


def test_the_tables_bring_about_every_fault_that_the_package_can_report() -> None:
    covered = {case.code for case in CASES} | {code for _, code, _, _ in [*DATA, *PROPOSALS]}
    warnings = {"near_service"}
    assert _codes_of_the_package() == covered | warnings


def _codes_of_the_package() -> set[str]:
    """The codes in the sources: what makes a fault is always given its code as the first of its arguments."""
    assert chassis.workflow.__file__
    sources = sorted(Path(chassis.workflow.__file__).parent.glob("*.py"))
    assert sources
    return {code for path in sources for code in _codes(ast.parse(path.read_text(encoding="utf-8")))}


def _codes(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        first: ast.expr | None = None
        if isinstance(node, ast.Call) and node.args:
            function = (
                node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            )
            first = node.args[0] if function in ("PlanFault", "fault", "_fault") else None
        elif isinstance(node, ast.Yield | ast.Return) and isinstance(node.value, ast.Tuple):
            first = next(iter(node.value.elts), None)
        for part in [first.body, first.orelse] if isinstance(first, ast.IfExp) else [first]:
            if isinstance(part, ast.Constant) and re.fullmatch("[a-z0-9_]+", str(part.value)):
                yield part.value
