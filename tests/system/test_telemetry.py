"""What a deployment's metrics and traces hold after real runs: Airflow exports, a collector on loopback takes it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chassis.claude.prices import cost_usd
from chassis.contract.usage import Usage
from chassis.local.simulator import SimulatorControl
from chassis.local.stack import LocalStack
from tests.system.collector import Collector, Span
from tests.system.driver import PROJECT, AirflowDriver, instruction_in_prompt, started, wait_for

SUM = "Calculate the sum of 5 and 3"
TASKS = ["identify_numbers", "add_numbers", "report_result"]


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[LocalStack]:
    """An Airflow of its own that exports its metrics and traces."""
    home: Path = tmp_path_factory.mktemp("watched")
    dags = home / "dags"
    dags.mkdir()
    for file in (PROJECT / "dags/plan_workflow.py", PROJECT / "tests/system/dags/in_the_worker.py"):
        (dags / file.name).symlink_to(file)
    with started(LocalStack(home, dags_folder=dags, env=collector.environment)) as stack:
        yield stack


@pytest.fixture(scope="module")
def airflow(watched: LocalStack) -> AirflowDriver:
    return AirflowDriver(watched.url, watched.username, watched.password)


@pytest.fixture
def simulator(watched: LocalStack) -> Iterator[SimulatorControl]:
    assert watched.simulator_url
    control = SimulatorControl(watched.simulator_url)
    control.reset()
    yield control
    control.reset()


def parent(collector: Collector, span: Span) -> Span:
    """The span's parent, once it has ended and come in."""

    def come_in() -> Span | None:
        return next((found for found in collector.spans() if found.span_id == span.parent_id), None)

    return wait_for(f"the parent of {span.name}", come_in, seconds=30)


def call_of(collector: Collector, workflow_id: str, task_id: str) -> Span:
    wanted = {"chassis_workflow": workflow_id, "chassis_task": task_id}
    (span,) = wait_for(
        f"the span of {task_id}", lambda: collector.spans("chassis.call", **wanted), seconds=30
    )
    return span


def test_tokens_and_cost_come_from_the_triggerer_by_workflow_task_and_model_and_no_word_of_a_prompt(
    airflow: AirflowDriver, simulator: SimulatorControl, collector: Collector, figure: Callable[[str], None]
) -> None:
    workflow_id, run_id, state = airflow.plan_and_run(SUM)
    ended = time.monotonic()
    assert state == "success"
    wait_for(
        "the metrics of three calls",
        lambda: collector.counted("chassis.calls", workflow=workflow_id) == 3,
        seconds=30,
    )
    figure(f"metrics of the last call are with the collector {time.monotonic() - ended:.1f} s after the run")
    assert collector.counted("chassis.calls", workflow="plan_workflow", task="plan", outcome="answered") == 1

    for task_id in TASKS:
        result = airflow.result(workflow_id, run_id, task_id)
        usage = Usage(**result["usage"])
        (tags,) = [tags for tags in collector.tags("chassis.tokens.input") if tags["task"] == task_id]
        assert tags == {"workflow": workflow_id, "task": task_id, "model": tags["model"]}
        cost = cost_usd(tags["model"], usage)
        assert cost
        assert {
            name: collector.counted(f"chassis.{name}", **tags)
            for name in ("tokens.input", "tokens.output", "cost.micro_usd", "call.duration")
        } == {
            "tokens.input": usage.input_tokens,
            "tokens.output": usage.output_tokens,
            "cost.micro_usd": round(cost * 1_000_000),
            "call.duration": 1,
        }

        span = call_of(collector, workflow_id, task_id)
        assert span.attributes["chassis.run_id"] == run_id
        assert span.attributes["chassis.cost_usd"] == cost
        assert span.attributes["chassis.simulated"] is True
        assert span.attributes["gen_ai.usage.output_tokens"] == usage.output_tokens
        above = parent(collector, span)
        assert above.name == f"trigger.{task_id}", "the call is part of the task's trace"
        assert above.trace_id == span.trace_id
        below = [found for found in collector.spans() if found.parent_id == span.span_id]
        assert [found.name for found in below] == ["anthropic.messages.create"]

    words = [SUM, *(instruction_in_prompt(request) for request in simulator.requests(kind="task"))]
    words += [airflow.result(workflow_id, run_id, task_id)["summary"] for task_id in TASKS]
    assert_nowhere(words, collector)


def test_a_refused_call_shows_as_that_with_the_class_of_its_error_and_no_message(
    airflow: AirflowDriver, simulator: SimulatorControl, collector: Collector
) -> None:
    simulator.add_fault("access_denied", kind="task", task="add_numbers")
    workflow_id, run_id, state = airflow.plan_and_run(SUM, workflow_id="refused")
    assert state == "failed"
    path = f"/dags/{workflow_id}/dagRuns/{run_id}/taskInstances/add_numbers/xcomEntries/error"
    message = airflow.get(path, deserialize=True)["value"]["message"]
    assert "don't have access to the model" in message
    wait_for(
        "the metrics of the refused call",
        lambda: collector.counted(
            "chassis.calls",
            workflow="refused",
            task="add_numbers",
            outcome="failed",
            error="AccessDeniedError",
        ),
        seconds=30,
    )
    assert collector.counted("chassis.cost.micro_usd", workflow="refused", task="add_numbers") == 0
    span = call_of(collector, workflow_id, "add_numbers")
    assert span.failed
    assert span.attributes["error.type"] == "AccessDeniedError"
    assert parent(collector, span).name == "trigger.add_numbers"
    assert_nowhere([SUM, "don't have access to the model"], collector)


def test_a_call_in_a_worker_is_reported_from_there(airflow: AirflowDriver, collector: Collector) -> None:
    run_id = airflow.trigger("in_the_worker")
    assert airflow.wait_run("in_the_worker", run_id) == "success"
    wait_for("the worker's metrics", lambda: collector.counted("chassis.calls", task="ask") == 1, seconds=30)
    span = call_of(collector, "in_the_worker", "ask")
    assert parent(collector, span).name == "worker.ask"
    assert_nowhere(["Say hello."], collector)


def assert_nowhere(words: list[str], collector: Collector) -> None:
    """None of the texts is in anything that any component exported. (Protobuf holds text as it is.)"""
    assert collector.received
    for path, body in list(collector.received):
        for text in words:
            assert text.encode() not in body, f"{text!r} was sent to {path}"
