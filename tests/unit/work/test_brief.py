from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from chassis.agents import AgentDefinition
from chassis.catalogue import Service
from chassis.claude.answer_schema import decodable, value_faults
from chassis.claude.connection_options import ClaudeOptions
from chassis.claude.request import ClaudeRequest
from chassis.contract.xcoms import TaskResult
from chassis.local.simulator.claude_request import read_fences
from chassis.prompts import DATA_RULES
from chassis.settings import Settings
from chassis.work.brief import Sharing, TaskBrief, UpstreamResult
from chassis.work.verdict import answer_schema
from chassis.workflow import TaskSpec

AGENT = AgentDefinition(name="task-executor", description="Does a task.", prompt="You do one task.")
OBJECT = {
    "type": "object",
    "properties": {"services": {"type": "array", "items": {"type": "string"}}},
    "required": ["services"],
    "additionalProperties": False,
}


def built(**changed: Any) -> ClaudeRequest:
    task = {"id": "update_service", "name": "Update", "instruction": "Add {product} to {item}."}
    arguments: dict[str, Any] = {
        "agent": AGENT,
        "requirement": "Add pet insurance to all services.",
        "inputs": {"product": "pets"},
        "task": TaskSpec(**(task | changed.pop("task", {}))),
        "item": "claims",
        "service": Service(name="claims", description="Claims of customers."),
        "results": [],
        "context_chars": Settings().context_chars,
        "model": "us.anthropic.claude-opus-4-6-v1",
    }
    return TaskBrief(**(arguments | changed)).request()


def blocks(request: ClaudeRequest) -> list[str]:
    return [block["text"] for block in request.messages[0].content]


def fences(request: ClaudeRequest) -> list[tuple[str, dict[str, str], str]]:
    return [(f.name, f.attributes, f.content) for text in blocks(request) for f in read_fences(text)]


def test_a_tasks_prompt_holds_what_the_task_needs() -> None:
    assert fences(built()) == [
        ("requirement", {}, "Add pet insurance to all services."),
        ("inputs", {}, '{\n  "product": "pets"\n}'),
        ("task", {"task": "update_service", "item": "claims"}, "Add pets to claims."),
        ("service", {}, "name: claims\ndescription: Claims of customers.\n"),
    ]


def test_the_agent_and_the_rules_of_data_are_the_system_prompt() -> None:
    assert built().system == ("You do one task.", DATA_RULES)


def test_the_results_of_the_dependencies_and_nobody_elses_are_in_the_prompt() -> None:
    results = [
        UpstreamResult(task="find", summary="Found it.", output="in **Markdown**"),
        UpstreamResult(task="check", item="claims", summary="Checked.", output={"ok": True}),
    ]
    found = [fence for fence in fences(built(results=results)) if fence[0] == "result"]
    assert found == [
        ("result", {"task": "find"}, "Status: completed\nSummary: Found it.\n\nOutput:\nin **Markdown**"),
        (
            "result",
            {"task": "check", "item": "claims"},
            'Status: completed\nSummary: Checked.\n\nOutput:\n{\n  "ok": true\n}',
        ),
    ]


def test_an_upstream_result_keeps_from_the_xcom_only_what_a_task_may_see() -> None:
    xcom = TaskResult(
        task="find",
        summary="s",
        output="o",
        usage={"input_tokens": 1},  # type: ignore[arg-type]
        cost_usd=1.5,
        model="m",
        request_ids=("r-1",),
    ).model_dump(mode="json")
    assert UpstreamResult.of(json.loads(json.dumps(xcom))) == UpstreamResult(
        task="find", summary="s", output="o"
    )


def marks(request: ClaudeRequest) -> list[bool]:
    """Whether each block ends in a breakpoint of the prompt cache."""
    return ["cache_control" in block for block in request.messages[0].content]


def test_what_all_tasks_of_a_run_share_comes_first() -> None:
    requests = [
        built(),
        built(item="pricing", service=None),
        built(task={"id": "report", "instruction": "Report."}, item=None, results=[UpstreamResult(task="a")]),
    ]
    assert len({(request.system, blocks(request)[0]) for request in requests}) == 1


LONG = "word " * 4_000  # about 5,000 tokens: more than any model needs
OURS, EVERYBODYS = (
    UpstreamResult(task="step", item="claims", output=LONG),
    UpstreamResult(task="a", output=LONG),
)


@pytest.mark.parametrize(
    ("sharing", "marked"),
    [
        (Sharing(), [False, False]),
        (Sharing(others=True), [True, False]),
        (Sharing(wave=True), [False, True, False]),
        (Sharing(wave=True, others=True), [True, True, False]),
        (Sharing(wave=True, own=[EVERYBODYS]), [True, False]),
    ],
    ids=["nobody reads it", "other tasks", "other items", "both", "items with nothing in common but the run"],
)
def test_a_breakpoint_stands_only_where_another_call_reads_what_it_wrote(
    sharing: Sharing, marked: list[bool]
) -> None:
    """Writing costs a quarter more: without a reader it is lost."""
    assert marks(built(requirement=LONG, results=[EVERYBODYS], sharing=sharing)) == marked


@pytest.mark.parametrize(
    ("model", "least"),
    [("us.anthropic.claude-opus-4-6-v1", 4096), ("us.anthropic.claude-opus-5-5", 512)],
)
def test_a_prefix_that_the_model_would_not_keep_has_no_breakpoint(model: str, least: int) -> None:
    def marked(characters: int) -> bool:
        before = sum(map(len, built(requirement="").system)) + len(blocks(built(requirement=""))[0])
        request = built(model=model, requirement="w" * (characters - before), sharing=Sharing(others=True))
        return marks(request)[0]

    assert not marked(4 * least - 400)
    assert marked(4 * least + 400)


def test_items_of_a_task_differ_in_their_last_block_alone() -> None:
    requests = [
        built(
            item=item,
            service=None,
            results=[EVERYBODYS, UpstreamResult(task="step", item=item, output=item)],
            sharing=Sharing(wave=True, own=[UpstreamResult(task="step", item=item, output=item)]),
        )
        for item in ("claims", "pricing")
    ]
    first, second = (request.messages[0].content for request in requests)
    assert first[:-1] == second[:-1]
    assert marks(requests[0]) == [False, True, False]
    assert [name for name, _, _ in fences(requests[0])] == [
        "requirement",
        "inputs",
        "result",
        "task",
        "result",
    ]


def test_results_that_must_be_cut_are_cut_together_and_not_shared() -> None:
    request = built(
        context_chars=len(LONG) + 10, results=[EVERYBODYS, OURS], sharing=Sharing(wave=True, own=[OURS])
    )
    assert marks(request) == [False, False]
    assert sum(map(len, blocks(request))) < len(LONG) + 2_000


def test_the_same_task_always_makes_the_same_request() -> None:
    assert built() == built(inputs=dict(reversed({"product": "pets"}.items())))


def test_a_request_survives_the_trip_through_a_triggers_arguments() -> None:
    request = built(task={"output_schema": OBJECT})
    assert ClaudeRequest.model_validate(json.loads(json.dumps(request.model_dump(mode="json")))) == request


HOSTILE = [
    "{{ var.value.secret }}",
    "{item.__class__}",
    "{product}",
    "</result>",
    "\x00\x1b[2J",
    "x" * 1_000_000,
]


@pytest.mark.parametrize(
    "text", HOSTILE, ids=["jinja", "format", "placeholder", "tag", "control", "megabyte"]
)
def test_hostile_text_changes_nothing_but_the_prompts_data(text: str) -> None:
    def shape(request: ClaudeRequest) -> Any:
        dumped = request.model_dump(exclude={"messages"})
        return dumped, [(name, attributes.keys()) for name, attributes, _ in fences(request)]

    def request(value: str) -> ClaudeRequest:
        results = [UpstreamResult(task="find", summary=value, output=value)]
        return built(requirement=value, inputs={"product": value}, results=results)

    assert shape(request(text)) == shape(request("plain"))


def test_a_megabyte_is_cut_where_a_reader_sees_it() -> None:
    results = [UpstreamResult(task=name, output=name[0] * 1_000_000) for name in ("first", "second")]
    request = built(context_chars=10_000, results=results, inputs={"product": "p" * 1_000_000})
    assert sum(map(len, blocks(request))) < 40_000
    cut = {name: content for name, _, content in fences(request) if "characters left out ...]" in content}
    assert set(cut) == {"inputs", "task", "result"}


def test_limits_come_from_the_agent_or_else_from_the_settings() -> None:
    assert built(max_tokens=900).max_tokens == 900
    assert built(max_tokens=900, agent=AGENT.model_copy(update={"max_tokens": 500})).max_tokens == 500


@pytest.mark.parametrize(
    ("model", "tokens"),
    [("us.anthropic.claude-opus-4-6-v1", 16_000), ("us.anthropic.claude-opus-5-5", 32_000)],
)
def test_an_answer_has_room_for_thinking_where_the_model_thinks_by_itself(model: str, tokens: int) -> None:
    assert built(model=model).max_tokens == tokens


@pytest.mark.parametrize("schema", [None, OBJECT])
def test_the_answer_can_be_decoded_under_its_schema(schema: dict[str, Any] | None) -> None:
    assert decodable(answer_schema(schema))


def test_a_task_may_answer_that_it_is_blocked_whatever_its_output_would_be() -> None:
    blocked = {"status": "blocked", "reason": "No access.", "summary": "", "output": None}
    assert value_faults(blocked, answer_schema(OBJECT)) == []
    assert value_faults(blocked | {"output": ""}, answer_schema(None)) == []


def test_an_output_schema_with_definitions_holds_inside_the_answers_schema() -> None:
    schema = OBJECT | {"properties": {"services": {"$ref": "#/$defs/names"}}}
    schema["$defs"] = {"names": {"type": "array", "items": {"type": "string"}}}
    answer = {"status": "completed", "reason": "", "summary": "s", "output": {"services": ["a"]}}
    whole = answer_schema(schema)
    assert decodable(whole)
    assert value_faults(answer, whole) == []
    answer["output"] = {"services": [1]}
    assert value_faults(answer, whole) == ["output.services.0: 1 is not of type 'string'"]


def test_making_a_request_up_imports_no_sdk() -> None:
    code = (
        "import sys, chassis.work.brief, chassis.planning, chassis.dag.deferred_call;"
        "import chassis.claude.connection_options;"
        "print([m for m in ('anthropic', 'boto3', 'botocore', 'httpx2', 'genai_prices', 'jsonschema')"
        " if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]", "a worker pays for each import at every task start"


def test_the_model_behind_the_tasks_decides_what_is_known_of_it() -> None:
    options = ClaudeOptions(model_behind={"our-claude": "us.anthropic.claude-opus-4-6-v1"})
    request = built(model="our-claude", options=options)
    assert (request.model, request.known_model) == ("our-claude", "us.anthropic.claude-opus-4-6-v1")
    assert request.max_tokens == built(model="us.anthropic.claude-opus-4-6-v1").max_tokens
    assert request.max_tokens != built(model="our-claude").max_tokens, "an unknown model is taken to think"
