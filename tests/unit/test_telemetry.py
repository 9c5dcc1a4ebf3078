"""What a call to Claude leaves in metrics and traces, and what it may not leave there.

The exporters are Airflow's own loggers over clients that only write down what they are given: this proves what
Airflow would send, not that a StatsD server, Datadog or a collector takes it. ``tests/system`` sends it to a
collector from a real triggerer.
"""

from __future__ import annotations

import asyncio
import logging
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk._shared.observability.metrics import stats as state
from airflow.sdk._shared.observability.metrics.datadog_logger import SafeDogStatsdLogger
from airflow.sdk._shared.observability.metrics.otel_logger import SafeOtelLogger
from airflow.sdk._shared.observability.metrics.statsd_logger import SafeStatsdLogger
from hypothesis import example, given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from chassis import errors
from chassis.contract.usage import Usage
from chassis.settings import Settings
from chassis.telemetry import CONTENT_CHARS, CallFacts, call_span

MODEL = "us.anthropic.claude-opus-4-6-v1"
FACTS = CallFacts(
    dag_id="add_pet_insurance",
    run_id="manual__2026-01-01T00:00:00+00:00",
    task_id="update_service",
    model=MODEL,
    conn_id="claude_bedrock",
    item="pricing",
    try_number=1,
)
USAGE = Usage(input_tokens=100, output_tokens=20, cache_read_tokens=3, cache_write_tokens=4, calls=1)
TAGS = {"workflow": "add_pet_insurance", "task": "update_service", "model": MODEL}
CANARY = "canary-7f3a of a prompt"

Sent = list[tuple[str, float, dict[str, str]]]


class StatsdClient:
    """``statsd.StatsClient``'s methods that Airflow calls; InfluxDB's tags are part of the name there."""

    def __init__(self) -> None:
        self.sent: Sent = []

    def incr(self, stat: str, count: float = 1, rate: float = 1) -> None:
        name, *tags = stat.split(",")
        self.sent.append((name, count, dict(tag.split("=") for tag in tags)))

    def timing(self, stat: str, delta: float) -> None:
        self.incr(stat, delta)


class DatadogClient:
    """``datadog.DogStatsd``'s methods that Airflow calls."""

    def __init__(self) -> None:
        self.sent: Sent = []

    def increment(self, metric: str, value: float, tags: list[str], sample_rate: float) -> None:
        self.sent.append((metric, value, dict(tag.split(":") for tag in tags)))

    def timing(self, metric: str, value: float, tags: list[str]) -> None:
        self.increment(metric, value, tags, 1)


def influx() -> tuple[Any, Callable[[], Sent]]:
    client = StatsdClient()
    logger = SafeStatsdLogger(client, influxdb_tags_enabled=True, statsd_influxdb_enabled=True)  # type: ignore[arg-type]
    return logger, lambda: client.sent


def datadog() -> tuple[Any, Callable[[], Sent]]:
    client = DatadogClient()
    return SafeDogStatsdLogger(client, metrics_tags=True), lambda: client.sent  # type: ignore[arg-type]


def opentelemetry() -> tuple[Any, Callable[[], Sent]]:
    reader = InMemoryMetricReader()

    def sent() -> Sent:
        data = reader.get_metrics_data()
        return [
            (
                metric.name.removeprefix("airflow."),
                getattr(point, "value", None) or point.sum,
                point.attributes,
            )
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            for point in metric.data.data_points
        ]  # type: ignore[return-value]

    return SafeOtelLogger(MeterProvider([reader])), sent


EXPORTERS = [influx, datadog, opentelemetry]


@pytest.fixture
def export(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Have Airflow's metrics go to a logger for this test."""

    def to(logger: Any) -> None:
        monkeypatch.setattr(state, "_factory", lambda: logger)
        monkeypatch.setattr(state, "_backend", None)

    return to


@pytest.fixture
def sent(export: Callable[[Any], None]) -> Callable[[], Sent]:
    """What was counted so far in this test."""
    logger, read = influx()
    export(logger)
    return read


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch, sent: object) -> Iterator[InMemorySpanExporter]:
    """The finished spans of this test, in the order of their ends."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    yield exporter
    provider.shutdown()


def only(spans: InMemorySpanExporter) -> ReadableSpan:
    (span,) = spans.get_finished_spans()
    return span


def by_name(sent: Sent) -> dict[str, tuple[float, dict[str, str]]]:
    found = {name: (value, dict(tags)) for name, value, tags in sent}
    assert len(found) == len(sent), f"a metric was sent twice: {sent}"
    return found


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_every_exporter_gets_tokens_cost_and_outcome_by_workflow_task_and_model(
    exporter: Callable[[], tuple[Any, Callable[[], Sent]]], export: Callable[[Any], None]
) -> None:
    logger, read = exporter()
    export(logger)
    with call_span(FACTS) as record:
        record.finish(USAGE, 0.001_234)
    metrics = by_name(read())
    duration, duration_tags = metrics.pop("chassis.call.duration")
    assert 0 < duration < 60_000
    assert duration_tags == TAGS | {"outcome": "answered"}
    assert metrics == {
        "chassis.calls": (1, TAGS | {"outcome": "answered"}),
        "chassis.tokens.input": (100, TAGS),
        "chassis.tokens.output": (20, TAGS),
        "chassis.tokens.cache_read": (3, TAGS),
        "chassis.tokens.cache_write": (4, TAGS),
        "chassis.cost.micro_usd": (1234, TAGS),
    }


@given(cost=st.floats(min_value=0, max_value=1000))
def test_the_cost_is_a_whole_number_of_micro_dollars(cost: float) -> None:
    logger, read = influx()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(state, "_factory", lambda: logger)
        patch.setattr(state, "_backend", None)
        with call_span(FACTS) as record:
            record.finish(USAGE, cost)
    counted, _ = by_name(read()).get("chassis.cost.micro_usd", (0, {}))
    assert isinstance(counted, int), "StatsD's counters are whole numbers: some servers cut the rest off"
    assert abs(counted - cost * 1_000_000) <= 0.5


@pytest.mark.parametrize(
    ("facts", "end", "counters"),
    [
        (FACTS, {"usage": None, "cost_usd": None, "outcome": "failed", "error": "UnreachableError"}, set()),
        (FACTS, {"usage": None, "outcome": "failed", "error": "ThrottledError"}, {"chassis.throttled"}),
        (replace(FACTS, try_number=2), {"usage": None, "outcome": "cancelled"}, {"chassis.retries"}),
        (
            replace(FACTS, try_number=2),
            {"usage": Usage(), "cost_usd": None, "outcome": "failed", "error": "UnreachableError"},
            {"chassis.retries"},
        ),
        (
            replace(FACTS, model="unheard-of"),
            {"usage": Usage(input_tokens=5, calls=1), "cost_usd": None},
            {"chassis.tokens.input", "chassis.calls.unpriced"},
        ),
    ],
)
def test_only_what_happened_is_counted(
    sent: Callable[[], Sent], facts: CallFacts, end: dict[str, Any], counters: set[str]
) -> None:
    with call_span(facts) as record:
        record.finish(**end)
    metrics = by_name(sent())
    assert set(metrics) == {"chassis.calls", "chassis.call.duration"} | counters
    _, tags = metrics["chassis.calls"]
    assert tags.get("error", "") == end.get("error", "")
    assert tags["outcome"] == end.get("outcome", "answered")


def test_items_and_runs_are_not_tags_for_each_would_be_a_time_series_for_ever(
    sent: Callable[[], Sent], spans: InMemorySpanExporter
) -> None:
    with call_span(FACTS) as record:
        record.finish(USAGE, 0.1)
    for name, _, tags in sent():
        assert set(tags) <= {"workflow", "task", "model", "outcome", "error"}, name
        assert not {FACTS.item, FACTS.run_id} & set(tags.values()), name
    assert (only(spans).attributes or {})["chassis.item"] == FACTS.item


ERRORS = sorted(name for name, value in vars(errors).items() if isinstance(value, type) and "Error" in name)
"""Class names that a failed call can have: the value of a tag."""


@given(
    dag_id=st.text(min_size=1, max_size=250),
    task_id=st.text(min_size=1, max_size=250),
    model=st.text(min_size=1, max_size=250),
    error=st.sampled_from(["", *ERRORS]),
)
@example(dag_id="w" * 250, task_id="t" * 250, model="m" * 250, error=max(ERRORS, key=len))
def test_no_name_of_a_workflow_task_or_model_has_airflow_drop_a_metric(
    dag_id: str, task_id: str, model: str, error: str
) -> None:
    """InfluxDB's format is the narrowest: name and tags in 250 characters, and few of those allowed."""
    logger, read = influx()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(state, "_factory", lambda: logger)
        patch.setattr(state, "_backend", None)
        facts = replace(FACTS, dag_id=dag_id, task_id=task_id, model=model, try_number=2)
        with call_span(facts) as record:
            record.finish(USAGE, None, "failed", error)
    metrics = by_name(read())
    assert len(metrics) == 8 + (error in {"ThrottledError", "CongestedError", "DailyQuotaError"})
    assert all({"workflow", "task", "model"} <= set(tags) for _, tags in metrics.values())


def test_long_names_stay_apart_and_an_account_number_stays_out(sent: Callable[[], Sent]) -> None:
    for end in ("one", "two"):
        arn = f"arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/{end}"
        with call_span(replace(FACTS, dag_id="w" * 99 + end, model=arn)) as record:
            record.finish(USAGE, 0.1)
    calls = [tags for name, _, tags in sent() if name == "chassis.calls"]
    assert len({tags["workflow"] for tags in calls}) == 2
    assert [tags["model"] for tags in calls] == ["one", "two"]


def test_the_span_says_who_asked_what_it_cost_and_how_it_ended(spans: InMemorySpanExporter) -> None:
    with call_span(replace(FACTS, try_number=3)) as record:
        record.finish(USAGE, 0.001_234, request_id="req-1", simulated=True)
    span = only(spans)
    assert span.name == "chassis.call"
    assert span.status.status_code is StatusCode.UNSET
    assert dict(span.attributes or {}) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "aws.bedrock",
        "gen_ai.system": "aws.bedrock",
        "gen_ai.request.model": MODEL,
        "gen_ai.usage.input_tokens": 107,
        "gen_ai.usage.output_tokens": 20,
        "gen_ai.usage.cache_read.input_tokens": 3,
        "gen_ai.usage.cache_creation.input_tokens": 4,
        "chassis.workflow": "add_pet_insurance",
        "chassis.run_id": "manual__2026-01-01T00:00:00+00:00",
        "chassis.task": "update_service",
        "chassis.item": "pricing",
        "chassis.try": 3,
        "chassis.kind": "task",
        "chassis.conn_id": "claude_bedrock",
        "chassis.cost_usd": 0.001_234,
        "chassis.outcome": "answered",
        "chassis.simulated": True,
        "aws.request_id": "req-1",
    }


def test_a_failed_call_has_an_error_status_and_what_it_had_cost(spans: InMemorySpanExporter) -> None:
    with call_span(FACTS) as record:
        record.finish(USAGE, None, "failed", "StreamBrokenError")
    span = only(spans)
    attributes = dict(span.attributes or {})
    assert span.status.status_code is StatusCode.ERROR
    assert attributes["error.type"] == "StreamBrokenError"
    assert attributes["gen_ai.usage.output_tokens"] == 20
    assert "chassis.cost_usd" not in attributes, "an unknown price is not nothing"


@pytest.mark.parametrize(
    ("raised", "outcome", "status"),
    [
        (errors.UnreachableError("no route"), "failed", StatusCode.ERROR),
        (KeyError("a mistake"), "failed", StatusCode.ERROR),
        (asyncio.CancelledError(), "cancelled", StatusCode.UNSET),
        (SystemExit(1), "cancelled", StatusCode.UNSET),
    ],
)
def test_a_call_that_raises_is_reported_and_raises_on(
    spans: InMemorySpanExporter,
    sent: Callable[[], Sent],
    raised: BaseException,
    outcome: str,
    status: StatusCode,
) -> None:
    with pytest.raises(type(raised)) as caught, call_span(FACTS):
        raise raised
    assert caught.value is raised
    name = type(raised).__name__
    assert by_name(sent())["chassis.calls"] == (1, TAGS | {"outcome": outcome, "error": name})
    attributes = dict(only(spans).attributes or {})
    assert (attributes["chassis.outcome"], attributes["error.type"]) == (outcome, name)
    assert only(spans).status.status_code is status


def test_how_a_call_ended_is_said_once(spans: InMemorySpanExporter, sent: Callable[[], Sent]) -> None:
    def paid_but_not_kept() -> None:
        with call_span(FACTS) as record:
            record.finish(USAGE, 0.5)
            record.finish(USAGE, 0.5)
            raise OSError("the disk is full")

    with pytest.raises(OSError):
        paid_but_not_kept()
    assert by_name(sent())["chassis.calls"] == (1, TAGS | {"outcome": "answered"})
    assert by_name(sent())["chassis.cost.micro_usd"] == (500_000, TAGS)
    assert (only(spans).attributes or {})["chassis.outcome"] == "answered"
    assert only(spans).status.status_code is StatusCode.UNSET


def test_a_call_that_nobody_finished_shows_as_that(sent: Callable[[], Sent]) -> None:
    with call_span(FACTS):
        pass
    assert by_name(sent())["chassis.calls"] == (1, TAGS | {"outcome": "failed", "error": "NotFinished"})


def test_the_span_is_a_child_of_airflows_and_the_parent_of_what_the_sdk_starts(
    spans: InMemorySpanExporter,
) -> None:
    tracer = trace.get_tracer("airflow")

    async def trigger() -> None:
        with tracer.start_as_current_span("trigger.update_service"), call_span(FACTS) as record:
            await asyncio.sleep(0)
            with tracer.start_as_current_span("anthropic.messages.create"):
                await asyncio.sleep(0)
            record.finish(USAGE, 0.1)

    async def two_at_once() -> None:
        await asyncio.gather(trigger(), trigger())

    asyncio.run(two_at_once())
    found = {span.context.span_id: span for span in spans.get_finished_spans()}
    assert len(found) == 6
    for span in found.values():
        parent = found[span.parent.span_id].name if span.parent else None
        assert parent == {
            "trigger.update_service": None,
            "chassis.call": "trigger.update_service",
            "anthropic.messages.create": "chassis.call",
        }.get(span.name, "an unknown span")


PAYLOAD = {
    "model": MODEL,
    "max_tokens": 100,
    "system": [{"type": "text", "text": f"system {CANARY}"}],
    "messages": [{"role": "user", "content": f"{CANARY} " + "x" * 2 * CONTENT_CHARS}],
}


def everything_in(spans: InMemorySpanExporter, sent: Sent, caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join([*(span.to_json() for span in spans.get_finished_spans()), repr(sent), caplog.text])


def test_no_prompt_answer_or_error_message_leaves_by_default(
    spans: InMemorySpanExporter, sent: Callable[[], Sent], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    assert Settings.model_fields["trace_content"].default is False
    with call_span(FACTS, payload=PAYLOAD) as record:
        record.finish(USAGE, 0.1, answer=CANARY)
    for error in (errors.AnswerInvalidError(CANARY), ValueError(CANARY), asyncio.CancelledError(CANARY)):
        with pytest.raises(type(error)), call_span(FACTS, payload=PAYLOAD):
            raise error
    assert len(spans.get_finished_spans()) == 4
    assert "canary" not in everything_in(spans, sent(), caplog)


def test_with_trace_content_prompt_and_answer_are_on_the_span_only_and_cut(
    spans: InMemorySpanExporter, sent: Callable[[], Sent], caplog: pytest.LogCaptureFixture
) -> None:
    with call_span(FACTS, payload=PAYLOAD, trace_content=True) as record:
        record.finish(USAGE, 0.1, answer=CANARY + "y" * 2 * CONTENT_CHARS)
    attributes = dict(only(spans).attributes or {})
    for name in ("chassis.prompt", "chassis.answer"):
        text = attributes.pop(name)
        assert isinstance(text, str)
        assert CANARY in text
        assert len(text) == CONTENT_CHARS
    assert "canary" not in repr(attributes)
    assert "canary" not in repr(sent()) + caplog.text


class Broken:
    """An exporter, and a span, that fail at everything."""

    def __getattr__(self, name: str) -> Any:
        raise OSError(CANARY)


@pytest.mark.parametrize("place", ["metrics", "start", "span"])
def test_no_trouble_of_an_exporter_ends_a_call(
    place: str,
    monkeypatch: pytest.MonkeyPatch,
    export: Callable[[Any], None],
    spans: InMemorySpanExporter,
    caplog: pytest.LogCaptureFixture,
) -> None:
    if place == "metrics":
        export(Broken())
    if place == "start":
        monkeypatch.setattr(trace, "get_tracer", Broken().__getattr__)
    if place == "span":
        # What a span processor raises comes out of the span's end.
        monkeypatch.setattr(SimpleSpanProcessor, "on_end", lambda self, span: Broken().export)
    with call_span(FACTS) as record:
        answer = "paid for"
        record.finish(USAGE, 0.1)
    assert answer == "paid for"
    assert "OSError" in caplog.text
    assert "canary" not in caplog.text, "the words of an unknown error may be anything"


def test_the_documentation_lists_what_is_sent_and_nothing_else(
    sent: Callable[[], Sent], spans: InMemorySpanExporter
) -> None:
    retry = replace(FACTS, try_number=2)
    for cost, error in ((0.1, ""), (None, "ThrottledError")):
        with call_span(retry, payload=PAYLOAD, trace_content=True) as record:
            record.finish(USAGE, cost, "failed" if error else "answered", error, request_id="r", answer="a")
    attributes = {name for span in spans.get_finished_spans() for name in span.attributes or {}}
    page = (Path(__file__).parents[2] / "docs/operations.md").read_text()
    metrics, traces = page.partition("## Metrics")[2].partition("## Upgrade")[0].split("## Traces")
    named = re.compile(r"`((?:chassis|gen_ai|aws|error)\.(?!bedrock|call`)[a-z_.]+)`")
    assert set(named.findall(metrics)) == {name for name, _, _ in sent()}
    assert set(named.findall(traces)) == attributes


def test_importing_telemetry_imports_neither_airflow_nor_opentelemetry() -> None:
    code = "import sys, chassis.telemetry; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"airflow", "opentelemetry", "pydantic", "anthropic"} & set(done.stdout.split())


MEASURE = """
import time
import airflow.sdk
from chassis.contract.usage import Usage
from chassis.telemetry import CallFacts, call_span

facts = CallFacts("add_pet_insurance", "manual__1", "update_service", "us.anthropic.claude-opus-4-6-v1", "c", "pricing")
usage = Usage(input_tokens=100, output_tokens=20, cache_read_tokens=3, cache_write_tokens=4, calls=1)

def microseconds(calls):
    started = time.perf_counter()
    for _ in range(calls):
        with call_span(facts) as record:
            record.finish(usage, 0.1)
    return (time.perf_counter() - started) / calls * 1e6

print(min(microseconds(200) for _ in range(10)))
"""


def test_a_call_that_nobody_watches_costs_next_to_nothing(figure: Callable[[str], None]) -> None:
    done = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True)
    cost = float(done.stdout.splitlines()[-1])
    figure(f"telemetry of a call, no exporter and no tracing configured: {cost:.0f} µs")
    assert cost < 1000, "a call to Claude takes seconds: its telemetry is to stay under a thousandth of that"
