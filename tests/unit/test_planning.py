from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chassis.agents import AgentDefinition
from chassis.catalogue import Catalogue, Service
from chassis.claude.connection_options import ClaudeOptions
from chassis.local.simulator.claude_request import read_fences
from chassis.planning import DoneTask, build_request
from chassis.prompts import DATA_RULES
from chassis.settings import Settings
from chassis.workflow import Given, check_plan, load_plan
from chassis.workflow.planner_schemas import delta_schema, proposal_schema

if TYPE_CHECKING:
    from chassis.claude.request import ClaudeRequest

PLANNER = AgentDefinition(name="planning-agent", description="Plans.", prompt="You plan.")
WORKERS = [
    AgentDefinition(name="task-executor", description="Does a task.", prompt="secret prompt"),
    AgentDefinition(name="reviewer", description="Reviews.", prompt="secret prompt"),
]
CATALOGUE = Catalogue(services=(Service(name="claims", description="Claims of customers."),))


def built(**changed: Any) -> ClaudeRequest:
    arguments: dict[str, Any] = {
        "given": Given(requirement="Add pets.", inputs={"product": "pets"}),
        "catalogue": CATALOGUE,
        "agents": WORKERS,
        "agent": PLANNER,
        "settings": Settings(model="of-the-settings"),
    }
    return build_request(**(arguments | changed))


def test_the_planner_gets_the_requirement_the_catalogue_the_agents_and_the_inputs() -> None:
    (block,) = built().messages[0].content
    found = {fence.name: fence.content for fence in read_fences(block["text"])}
    assert list(found) == ["requirement", "catalogue", "agents", "inputs"]
    assert found["requirement"] == "Add pets."
    assert "name: claims" in found["catalogue"]
    assert found["agents"] == "task-executor: Does a task.\nreviewer: Reviews."
    assert "secret prompt" not in block["text"]


def test_the_plan_is_asked_for_under_its_schema_and_names_the_offered_agents_only() -> None:
    assert built().answer_schema == proposal_schema(["task-executor", "reviewer"])


def test_the_planning_agent_and_the_rules_of_data_are_the_system_prompt() -> None:
    assert built().system == ("You plan.", DATA_RULES)


def test_a_plan_that_needs_no_correction_does_not_pay_for_a_prefix_that_nobody_reads() -> None:
    (block,) = built(given=Given(requirement="Plan it. " * 9_000)).messages[0].content
    assert "cache_control" not in block


def test_the_model_is_the_persons_or_the_agents_or_the_configured_one() -> None:
    own = PLANNER.model_copy(update={"model": "of-the-agent"})
    assert built().model == "of-the-settings"
    assert built(agent=own).model == "of-the-agent"
    assert built(agent=own, model="of-the-person").model == "of-the-person"


def test_without_inputs_there_is_no_fence_of_them() -> None:
    (block,) = built(given=Given(requirement="Add pets.")).messages[0].content
    assert [fence.name for fence in read_fences(block["text"])] == ["requirement", "catalogue", "agents"]


CURRENT = check_plan(
    {
        "schema_version": 1,
        "id": "add_pets",
        "title": "Add pets",
        "requirement": "Add cats.",
        "tasks": [{"id": "add", "name": "Add", "instruction": "Add."}],
        "provenance": {
            "planner_model": "secret-model",
            "agents": {},
            "planned_at": "2026-11-22T12:00:00+00:00",
            "planner_run": "r",
        },
    }
)


def changes_fences(**asked: Any) -> dict[str, str]:
    (block,) = built(given=Given(requirement="Add pets."), current=CURRENT, **asked).messages[0].content
    return {fence.name: fence.content for fence in read_fences(block["text"])}


def test_where_there_is_a_plan_changes_to_it_are_asked_for() -> None:
    request = built(current=CURRENT)
    assert request.answer_schema == delta_schema(["task-executor", "reviewer"])
    text = request.messages[0].content[0]["text"]
    assert "Answer with the changes alone" in text
    assert "secret-model" not in text, "where the plan came from is no part of it"


def test_the_current_plan_comes_whole_with_what_is_done_and_what_a_reviewer_wants() -> None:
    done = [
        DoneTask(task="add", item="x", state="success", summary="It's in."),
        DoneTask(task="b", state="failed"),
    ]
    found = changes_fences(done=done, comment="Also dogs.")
    assert list(found) == ["requirement", "catalogue", "agents", "current_plan", "done", "comment"]
    assert load_plan(found["current_plan"]) == CURRENT.model_copy(update={"provenance": None})
    assert found["done"].splitlines() == [
        '{"item": "x", "state": "success", "summary": "It\'s in.", "task": "add"}',
        '{"state": "failed", "task": "b"}',
    ]
    assert found["comment"] == "Also dogs."


def test_without_a_run_and_a_comment_there_is_no_fence_of_them() -> None:
    assert list(changes_fences()) == ["requirement", "catalogue", "agents", "current_plan"]


def test_the_model_behind_the_planners_decides_what_is_known_of_it() -> None:
    options = ClaudeOptions(model_behind={"our-claude": "us.anthropic.claude-opus-4-6-v1"})
    request = built(model="our-claude", options=options)
    assert (request.model, request.known_model) == ("our-claude", "us.anthropic.claude-opus-4-6-v1")
    assert request.max_tokens == built(model="us.anthropic.claude-opus-4-6-v1").max_tokens
    assert request.max_tokens != built(model="our-claude").max_tokens, "an unknown model is taken to think"
