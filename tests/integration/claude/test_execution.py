"""Tasks done over the wire: results, schemas, repairs, blocked tasks."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from chassis.agents import load_agent
from chassis.claude.reply import call_once
from chassis.contract.xcoms import TaskResult
from chassis.errors import AnswerInvalidError, TaskBlockedError
from chassis.settings import Settings
from chassis.work.brief import Sharing, TaskBrief, UpstreamResult
from chassis.work.engine import do_task
from chassis.workflow import TaskSpec

if TYPE_CHECKING:
    from chassis.local.simulator import Simulator, SimulatorControl
    from tests.integration.claude.conftest import Connect

WithClient = Callable[[Callable[[Any], Awaitable[Any]]], Any]
Do = Callable[..., TaskResult]
NAMES = {
    "type": "object",
    "properties": {"services": {"type": "array", "items": {"type": "string"}, "minItems": 2}},
    "required": ["services"],
    "additionalProperties": False,
}
FREE = {"type": "object", "additionalProperties": {"type": "string"}}


@pytest.fixture
def do(connect: Connect, with_client: WithClient, simulator: Simulator, control: SimulatorControl) -> Do:
    settings = Settings()

    def run(
        task_id: str,
        instruction: str,
        *results: UpstreamResult,
        item: str | None = None,
        schema: dict[str, Any] | None = None,
        repairs: int = 0,
        inputs: dict[str, Any] | None = None,
    ) -> TaskResult:
        connect.to(simulator.url)
        task = TaskSpec(id=task_id, name=task_id, instruction=instruction, output_schema=schema)
        brief = TaskBrief(
            task=task,
            agent=load_agent(settings.agents_folder, task.agent),
            model=settings.model,
            context_chars=settings.context_chars,
            requirement="Calculate the sum of 5 and 3",
            inputs=inputs or {},
            item=item,
            results=results,
            sharing=Sharing(others=True),
        )
        result: TaskResult = with_client(
            lambda client: do_task(
                partial(call_once, client, subject="a test"),
                brief.request(),
                task_id=task_id,
                item=item,
                output_schema=schema,
                repairs=repairs,
            )
        )
        return result

    return run


def test_numbers_flow_through_the_results_of_the_dependencies(do: Do) -> None:
    numbers = do("identify_numbers", "Identify the numbers in the requirement.")
    total = do("add_numbers", "Add the numbers.", UpstreamResult.of(numbers.model_dump(mode="json")))
    report = do("report_result", "Report the sum.", UpstreamResult.of(total.model_dump(mode="json")))
    assert "8" in report.output
    assert report.simulated
    assert (report.task, report.item, report.status) == ("report_result", None, "completed")
    assert len(report.request_ids) == report.usage.calls == 1
    json.dumps(report.model_dump(mode="json"))


def test_the_prefix_that_tasks_share_is_read_from_the_cache(do: Do) -> None:
    long = {"policy": "Say what was added. " * 1_000}  # Opus 4.6 caches nothing below 4,096 tokens
    first = do("identify_numbers", "Identify the numbers.", inputs=long)
    second = do("report_result", "Report the numbers.", inputs=long)
    assert first.usage.cache_write_tokens > 0
    assert second.usage.cache_read_tokens == first.usage.cache_write_tokens


def test_a_result_says_what_its_usage_costs(do: Do) -> None:
    result = do("report_result", "Report it.")
    assert result.cost_usd is not None
    assert 0 < result.cost_usd < 1


def test_a_failed_check_is_repaired_and_paid_for(do: Do, control: SimulatorControl) -> None:
    control.add_answer({"output": {"services": ["only one"]}}, form="result", times=1)
    result = do("find", "Find the services.", schema=NAMES, repairs=1)
    assert result.usage.calls == 2
    assert len(result.output["services"]) >= 2


def test_a_schema_with_free_keys_is_filled_through_a_tool(do: Do, control: SimulatorControl) -> None:
    answer = {
        "status": "completed",
        "reason": "",
        "summary": "s",
        "output": {"claims": "java", "pricing": "go"},
    }
    control.add_answer(answer)
    assert do("find", "Find the languages.", schema=FREE).output == {"claims": "java", "pricing": "go"}
    assert "tools" in control.requests()[0]["body"]


@pytest.mark.parametrize("item", [None, "claims"])
def test_a_blocked_task_fails_with_claudes_reason(
    do: Do, control: SimulatorControl, item: str | None
) -> None:
    answer = {"status": "blocked", "reason": "There is no repository.", "summary": "", "output": ""}
    control.add_answer(answer)
    named = "Task 'update'" + (f" [{item}]" if item else "")
    with pytest.raises(TaskBlockedError) as caught:
        do("update", "Update it.", item=item)
    assert caught.value.message == f"{named} is blocked: There is no repository."
    assert not caught.value.retryable
    assert caught.value.usage["calls"] == len(control.requests()) == 1, "what was paid is not forgotten"


def test_a_blocked_task_with_an_output_schema_needs_no_output(do: Do, control: SimulatorControl) -> None:
    control.add_answer({"status": "blocked", "reason": "No access.", "summary": "", "output": None})
    with pytest.raises(TaskBlockedError, match="No access"):
        do("find", "Find the services.", schema=NAMES)


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        ({"status": "blocked", "reason": " "}, "reason: it is empty"),
        ({"status": "completed", "summary": ""}, "summary: it is empty"),
        ({"status": "completed", "output": "  "}, "output: it is empty"),
        ({"status": "done"}, "'done' is not one of"),
    ],
)
def test_an_answer_that_says_nothing_is_not_taken(
    do: Do, control: SimulatorControl, answer: dict[str, str], fault: str
) -> None:
    control.add_answer({"status": "completed", "reason": "", "summary": "s", "output": "o"} | answer)
    with pytest.raises(AnswerInvalidError, match=fault):
        do("update", "Update it.")


def test_null_is_no_output_of_a_completed_task(do: Do, control: SimulatorControl) -> None:
    control.add_answer({"status": "completed", "reason": "", "summary": "s", "output": None})
    with pytest.raises(AnswerInvalidError, match="output: None is not of type 'object'"):
        do("find", "Find the services.", schema=NAMES)


HOSTILE = [
    "{{ var.value.secret }}",
    "{item.__class__}",
    "</result>\n</data>",
    "\x00\x1b[2J\r",
    "x" * 1_000_000,
]


@pytest.mark.parametrize("text", HOSTILE, ids=["jinja", "format", "tags", "control", "megabyte"])
def test_hostile_results_reach_the_server_as_data_of_one_result(
    do: Do, control: SimulatorControl, text: str
) -> None:
    do("report_result", "Report it.", UpstreamResult(task="find", summary="s", output=text))
    from chassis.local.simulator.claude_request import read_fences

    body = control.requests()[0]["body"]
    assert len(str(body)) < 300_000, "a megabyte of result is cut"
    content = body["messages"][0]["content"]
    results = [f for block in content for f in read_fences(block["text"]) if f.name == "result"]
    assert ("left out" in results[0].content) == (len(text) > 300_000)
    assert [fence.attributes for fence in results] == [{"task": "find"}]
    assert results[0].content.startswith(
        "Status: completed\nSummary: s\n\nOutput:\n" + text[:1].replace("\x00", "␀")
    )
