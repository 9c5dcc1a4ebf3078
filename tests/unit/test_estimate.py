"""What a plan will take: counted where it is known, assumed where it isn't, and never past what is really allowed."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings

from chassis.agents import AgentDefinition
from chassis.catalogue import Catalogue, Service
from chassis.claude.connection_options import ClaudeOptions
from chassis.claude.prices import cost_usd
from chassis.claude.reply import BYTES_PER_TOKEN
from chassis.contract.usage import Usage
from chassis.estimate import ANSWER_TOKENS, Estimate, estimate_plan
from chassis.settings import Settings
from chassis.work.brief import TaskBrief
from chassis.workflow import TaskGraph, WorkflowSpec, check_plan
from tests.unit.workflow.strategies import plans

AGENTS = {
    "task-executor": AgentDefinition(
        name="task-executor", description="Does.", prompt="You do one task. " * 20
    ),
    "terse": AgentDefinition(
        name="terse", description="Does.", prompt="Do.", max_tokens=300, model="m-terse"
    ),
}
CATALOGUE = Catalogue(services=(Service(name="claims", description="Claims of customers."),))
SETTINGS = Settings(model="us.anthropic.claude-opus-4-6-v1", max_tokens=4_000, repair_attempts=2)


def spec(*tasks: dict[str, Any], **parts: Any) -> WorkflowSpec:
    whole = [{"name": "N", "instruction": "Do it.", **task} for task in tasks]
    plan = {"schema_version": 1, "id": "w", "title": "T", "requirement": "Do all of it.", "tasks": whole}
    return check_plan(plan | parts)


def estimated(plan: WorkflowSpec, **other: Any) -> Estimate:
    return estimate_plan(plan, agents=AGENTS, **{"settings": SETTINGS, "catalogue": CATALOGUE} | other)


FAN = {"id": "each", "instruction": "Do {item}.", "for_each": {"items": ["a", "b", "claims"]}}
STEP = {
    "id": "step",
    "instruction": "Go on with {item}.",
    "for_each": {"same_as": "each"},
    "depends_on": ["each"],
}
JOIN = {"id": "join", "depends_on": ["step"]}


def test_calls_are_counted_by_items_and_the_shape_is_the_graphs() -> None:
    found = estimated(spec(FAN, STEP, JOIN, {"id": "alone"}))
    assert [(task.task, task.instances, task.open_ended) for task in found.tasks] == [
        ("each", 3, False),
        ("step", 3, False),
        ("join", 1, False),
        ("alone", 1, False),
    ]
    assert (found.calls, found.calls_at_most, found.open_ended) == (8, 24, False)
    assert found.critical_path == ("each", "step", "join")
    assert (found.depth, found.width, found.width_bound_by) == (3, 4, "plan")


def test_the_plans_own_bound_limits_the_width() -> None:
    found = estimated(spec(FAN, limits={"max_parallel": 2}))
    assert (found.width, found.width_bound_by) == (2, "max_parallel")


@pytest.mark.parametrize(
    ("default", "items", "open_ended"), [(["a", "b"], 2, False), ([], 1, True), (None, 1, True)]
)
def test_items_of_an_input_count_by_its_default(
    default: list[str] | None, items: int, open_ended: bool
) -> None:
    inputs = {"services": {"type": "array", **({} if default is None else {"default": default})}}
    found = estimated(spec(FAN | {"for_each": {"input": "services"}}, STEP, inputs=inputs))
    assert {(task.instances, task.open_ended) for task in found.tasks} == {(items, open_ended)}
    assert ("known only at run time" in found.basis) is open_ended
    assert found.line.startswith("at least ") is open_ended


def test_items_that_a_task_finds_count_as_one_and_are_said_to_be_open() -> None:
    schema = {"type": "array", "items": {"type": "string"}}
    finder = {"id": "find", "output_schema": schema}
    found = estimated(spec(finder, FAN | {"for_each": {"output_of": "find"}, "depends_on": ["find"]}))
    assert [(task.instances, task.open_ended) for task in found.tasks] == [(1, False), (1, True)]
    assert "each are known only at run time" in found.basis


def test_the_tokens_of_a_prompt_are_those_of_the_real_one() -> None:
    plan = spec(
        {"id": "only", "instruction": "Add {product} to {item}. " * 9, "for_each": {"items": ["claims"]}},
        inputs={"product": {"type": "string", "default": "pets"}},
    )
    brief = TaskBrief(
        task=plan.tasks[0],
        agent=AGENTS["task-executor"],
        model="m",
        context_chars=SETTINGS.context_chars,
        requirement=plan.requirement,
        inputs={"product": "pets"},
        item="claims",
        service=CATALOGUE.find("claims"),
    )
    request = brief.request()
    texts = [*request.system, *(block["text"] for block in request.messages[0].content)]
    real = math.ceil(sum(len(text.encode()) for text in texts) / BYTES_PER_TOKEN) + ANSWER_TOKENS
    assert estimated(plan).tokens_expected == pytest.approx(real, rel=0.03)


def test_a_join_is_given_the_result_of_each_item_and_a_step_only_its_own() -> None:
    both = estimated(spec(FAN, STEP, JOIN))
    prompt = {task.task: task.tokens_expected / task.instances for task in both.tasks}
    assert prompt["step"] - prompt["each"] == pytest.approx(ANSWER_TOKENS, abs=60)
    assert prompt["join"] - prompt["step"] == pytest.approx(2 * ANSWER_TOKENS, abs=60)


def test_room_for_thinking_is_part_of_what_an_answer_may_cost() -> None:
    unset = SETTINGS.model_copy(update={"max_tokens": None})
    silent = estimated(spec({"id": "only"}), settings=unset)
    thinks = estimated(spec({"id": "only", "model": "us.anthropic.claude-opus-5-5"}), settings=unset)
    assert thinks.tokens_at_most > 1.9 * silent.tokens_at_most


def test_results_take_no_more_than_a_prompt_may_hold() -> None:
    many = FAN | {"for_each": {"items": [f"i{n}" for n in range(900)]}}
    small = estimated(spec(many, STEP, JOIN), settings=SETTINGS.model_copy(update={"context_chars": 9_000}))
    assert small.tasks[-1].tokens_expected < 9_000 / BYTES_PER_TOKEN + ANSWER_TOKENS + 1_000


def test_dollars_are_list_prices_of_each_tasks_model() -> None:
    (task,) = estimated(spec({"id": "only"})).tasks
    usage = Usage(input_tokens=task.tokens_expected - ANSWER_TOKENS, output_tokens=ANSWER_TOKENS)
    assert task.usd_expected == cost_usd(SETTINGS.model, usage)
    assert task.usd_at_most is not None
    assert task.usd_at_most > 3 * cost_usd(SETTINGS.model, Usage(output_tokens=SETTINGS.max_tokens))  # type: ignore[operator]


def test_one_model_without_a_price_leaves_the_sum_without_one() -> None:
    found = estimated(spec({"id": "known"}, {"id": "unknown", "agent": "terse"}))
    assert [task.usd_expected is None for task in found.tasks] == [False, True]
    assert (found.usd_expected, found.usd_at_most) == (None, None)
    assert "price unknown" in found.line


@pytest.mark.parametrize(
    ("task", "connection", "model"),
    [
        ({"model": "m-task", "agent": "terse"}, "m-conn", "m-task"),
        ({"agent": "terse"}, "m-conn", "m-terse"),
        ({}, "m-conn", "m-conn"),
        ({}, None, SETTINGS.model),
        ({"agent": "gone"}, None, SETTINGS.model),
    ],
)
def test_the_model_is_found_as_in_a_run(task: dict[str, Any], connection: str | None, model: str) -> None:
    (found,) = estimated(spec({"id": "only", **task}), options=ClaudeOptions(model=connection)).tasks
    assert found.model == model


def test_the_model_behind_a_name_is_what_it_costs() -> None:
    profile = "arn:aws:bedrock:us-east-1:111122223333:application-inference-profile/a1b2c3"
    task = spec({"id": "only", "model": profile})
    assert estimated(task).usd_at_most is None
    named = estimated(task, options=ClaudeOptions(model_behind={profile: SETTINGS.model}))
    assert named.usd_at_most == estimated(spec({"id": "only"})).usd_at_most
    assert named.tasks[0].model == profile


def test_an_agents_own_limit_bounds_its_answers() -> None:
    (own,) = estimated(spec({"id": "only", "agent": "terse"})).tasks
    (common,) = estimated(spec({"id": "only"})).tasks
    assert own.tokens_at_most < common.tokens_at_most / 5


@settings(max_examples=20, deadline=None)
@given(plans())
def test_any_plan_can_be_estimated_and_what_is_expected_is_allowed(plan: WorkflowSpec) -> None:
    found = estimated(plan)
    assert found.tokens_expected <= found.tokens_at_most
    assert found.calls <= found.calls_at_most
    if found.usd_expected is not None:
        assert found.usd_at_most is not None
        assert 0 < found.usd_expected <= found.usd_at_most
    assert found.depth == len(found.critical_path) == len(TaskGraph(plan.tasks).levels)
    assert found.width <= plan.limits.max_parallel
    assert Estimate.model_validate(json.loads(found.model_dump_json())) == found


def test_importing_it_imports_neither_the_claude_sdk_nor_the_prices() -> None:
    script = "import sys, chassis.estimate; print({'anthropic', 'genai_prices', 'boto3', 'httpx2'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
