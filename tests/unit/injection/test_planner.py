"""A text as requirement, as a given input, and anywhere in the plan that Claude proposes."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from chassis.agents import AgentDefinition
from chassis.catalogue import Catalogue, Service
from chassis.claude.answer_schema import parse_answer, value_faults
from chassis.claude.request import ClaudeRequest
from chassis.errors import PlanError
from chassis.planning import DoneTask, build_request
from chassis.settings import Settings
from chassis.text import CONTROLS, DECEIVING, signs
from chassis.workflow import Given, WorkflowSpec, check_given, check_plan, dump_plan, load_plan
from chassis.workflow.names import is_id
from chassis.workflow.placeholders import placeholders
from chassis.workflow.planner_answer import plan_from_proposal
from chassis.workflow.planner_schemas import proposal_schema
from tests.injection.corpus import OBJECTS, Attack, each_text
from tests.unit.injection.prompts import read

AGENT = AgentDefinition(name="task-executor", description="Does a task.", prompt="You do one task.")
PLANNER = AgentDefinition(name="planning-agent", description="Plans.", prompt="You plan.")
CATALOGUE = Catalogue(services=(Service(name="claims", description="Claims."),))

HALF = re.compile("[\ud800-\udfff]")
"""Half of a character: no file can hold it, so it is refused wherever a plan would have it."""


def request(requirement: str, inputs: dict[str, Any]) -> ClaudeRequest:
    return build_request(
        given=Given(requirement=requirement, inputs=inputs),
        catalogue=CATALOGUE,
        agents=[AGENT],
        agent=PLANNER,
        settings=Settings(),
    )


def accepted(data: dict[str, Any]) -> Given | None:
    """What the person gave; None if it is refused, which must be in words that nothing obeys."""
    try:
        return check_given(data)
    except PlanError as error:
        told(error)
        return None


def told(error: PlanError) -> list[str]:
    """The lines of a refusal, each one that nothing obeys."""
    assert not DECEIVING.search(str(error))
    head, *lines = error.message.rstrip("\n").split("\n")
    assert head.endswith(("fault:", "faults:"))
    assert len(lines) == len(error.faults)
    assert all(line.startswith("- ") for line in lines)
    assert len(str(error)) < 10_000
    return lines


@each_text
def test_a_requirement_is_the_requirement_and_nothing_else(attack: Attack) -> None:
    given = accepted({"requirement": attack.text})
    assert given is not None or len(attack.text) > 100_000 or HALF.search(attack.text)
    if given is not None:
        found = read(request(attack.text, {}))
        assert found.contents("requirement") == [signs(attack.text, CONTROLS)]
        assert found.frame == read(request("plain", {})).frame


@each_text
def test_a_given_input_is_the_inputs_value_and_nothing_else(attack: Attack) -> None:
    for value, plain in ((attack.text, "plain"), ([attack.text], ["plain"])):
        given = accepted({"requirement": "Do it.", "inputs": {"product": value}})
        assert (given is None) is bool(HALF.search(attack.text))
        if given is None:
            continue
        found = read(request("Do it.", {"product": value}))
        (inputs,) = found.contents("inputs")
        assert found.frame == read(request("Do it.", {"product": plain})).frame
        if len(attack.text) < 10_000 and not CONTROLS.search(attack.text):
            assert json.loads(inputs) == {"product": value}
    named = accepted({"requirement": "Do it.", "inputs": {attack.text: "x"}})
    assert named is None or is_id(attack.text), "what is no name is refused"


CURRENT = check_plan(
    {
        "schema_version": 1,
        "id": "add_it",
        "title": "Add it",
        "requirement": "Add pets.",
        "tasks": [{"id": "find", "name": "Find", "instruction": "Find them."}],
    }
)


def change_request(text: str) -> ClaudeRequest:
    """A request for changes, with the text wherever somebody may have written it."""
    return build_request(
        given=Given(requirement="Do it."),
        catalogue=CATALOGUE,
        agents=[AGENT],
        agent=PLANNER,
        settings=Settings(),
        current=CURRENT,
        comment=text,
        done=[
            DoneTask(task="find", state="success", summary=text),
            DoneTask(task="b", state="failed", error=text),
        ],
    )


@each_text
def test_a_comment_and_what_tasks_gave_and_why_they_failed_are_data(attack: Attack) -> None:
    found = read(change_request(attack.text))
    assert found.frame == read(change_request("plain")).frame
    if len(attack.text) < 10_000:
        assert found.contents("comment") == [signs(attack.text, CONTROLS)]
        assert len(found.contents("done")[0].splitlines()) >= 2


def proposal(**parts: Any) -> dict[str, Any]:
    first = {
        "id": "find",
        "name": "Find",
        "instruction": "Find them.",
        "agent": "task-executor",
        "depends_on": [],
        "output_schema": '{"type": "object"}',
    }
    second = {
        "id": "update",
        "name": "Update",
        "instruction": "Update {item} for {product}.",
        "agent": "task-executor",
        "depends_on": ["find"],
        "for_each": {"items": ["claims", "pricing"]},
    }
    given = {"name": "product", "type": "string", "default": "pets", "description": "What to add."}
    proposed: dict[str, Any] = {
        "title": "Add it",
        "id": "add_it",
        "inputs": [given],
        "tasks": [first, second],
    }
    for path, value in parts.items():
        here: Any = proposed
        *way, last = path.split("__")
        for key in way:
            here = here[int(key) if key.isdecimal() else key]
        here[int(last) if last.isdecimal() else last] = value
    return proposed


PLACES = {
    "the title": "title",
    "the id": "id",
    "an input's name": "inputs__0__name",
    "an input's type": "inputs__0__type",
    "an input's default": "inputs__0__default",
    "an input's description": "inputs__0__description",
    "a task's id": "tasks__0__id",
    "a task's name": "tasks__0__name",
    "an instruction": "tasks__1__instruction",
    "an agent": "tasks__0__agent",
    "a dependency": "tasks__1__depends_on__0",
    "an item": "tasks__1__for_each__items__0",
    "the name of a list": "tasks__1__for_each",
    "an output schema": "tasks__0__output_schema",
    "tags": "tags",
}


def proposed(path: str, text: str) -> dict[str, Any]:
    if path == "tasks__1__for_each":
        return proposal(tasks__1__for_each={"output_of": "find", "path": text})
    return proposal(**{path: [text] if path == "tags" else text})


@each_text
def test_a_proposed_plan_holds_a_text_as_data_or_is_refused(attack: Attack) -> None:
    text, _ = parse_answer(json.dumps(attack.text))
    specs = {place: spec_of(proposed(path, attack.text)) for place, path in PLACES.items()}
    held = [place for place, spec in specs.items() if spec is not None]
    for place in set(held) & {"the title", "an instruction", "an item"}:
        assert load_plan(dump_plan(specs[place])) == specs[place]
    assert not DECEIVING.search(text) or not {"the title", "a task's name", "an item"} & set(held)
    instruction = text.strip() and len(text) <= 20_000 and set(placeholders(text)) <= {"item", "product"}
    assert ("an instruction" in held) is bool(instruction), "an instruction may be any text"


def spec_of(proposed: dict[str, Any]) -> WorkflowSpec | None:
    """The plan that Claude's proposal comes to; None if it is refused."""
    answer, unreadable = parse_answer(json.dumps(proposed))
    assert not unreadable
    given = Given(requirement="Do it.")
    try:
        spec = check_plan(plan_from_proposal(answer, given), agents=["task-executor"], services=["contracts"])
    except PlanError as error:
        told(error)
        return None
    keeps_its_shape(spec)
    return spec


def keeps_its_shape(spec: WorkflowSpec) -> None:
    """No text made more of a plan than its own place in it."""
    assert [len(spec.tasks), len(spec.inputs), spec.schedule, spec.tags] == [2, 1, None, ()]
    assert spec.requirement == "Do it."
    assert all(is_id(name) for name in (spec.id, *spec.inputs, *(task.id for task in spec.tasks)))
    assert {task.agent for task in spec.tasks} == {"task-executor"}
    assert all(task.model is None for task in spec.tasks)


@each_text
def test_a_text_as_the_whole_answer_is_no_plan(attack: Attack) -> None:
    """What reads it is the one reader of answers: a fault, in words for Claude, or data that breaks the schema."""
    data, unreadable = parse_answer(attack.text)
    if not unreadable and not value_faults(data, proposal_schema(["task-executor"])):
        with pytest.raises(PlanError):
            check_plan(plan_from_proposal(data, Given(requirement="Do it.")))


@pytest.mark.parametrize("value", OBJECTS.values(), ids=OBJECTS.keys())
def test_no_schema_in_a_plan_has_keys_by_which_airflow_makes_objects(value: Any) -> None:
    schema = json.dumps({"type": "object", "default": [value]})
    answer, _ = parse_answer(json.dumps(proposal(tasks__0__output_schema=schema)))
    with pytest.raises(PlanError, match="by which Airflow knows its own objects"):
        check_plan(plan_from_proposal(answer, Given(requirement="Do it.")))
