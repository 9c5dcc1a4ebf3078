"""Metrics and one trace span for each call to Claude, sent as the Airflow deployment configures it.

Metrics go through Airflow's own ``stats``, so StatsD, Datadog or OpenTelemetry get them like Airflow's; spans go
through the OpenTelemetry API, which does nothing until its SDK is configured (``[traces] otel_on``).
``docs/operations.md`` lists names and units.

Invariants that must not be relaxed:

- No prompt, answer or error message reaches a metric; none reaches a span either, unless the setting ``trace_content``
  is true. An error is only its class's name: Python's and the SDK's own messages quote what was sent.
- Nothing here ends a call: it is paid for, and an exporter's failure is no reason to lose its answer.
- Tags come from a workflow's plan or from Airflow, never from what a run finds: each new value is a time series for
  ever. So ``item`` (of a fan-out, which a model or an input may list) and the run are only on spans.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, Literal, ParamSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from opentelemetry.trace import Span

    from chassis.contract.usage import Usage

log = logging.getLogger(__name__)

Outcome = Literal["answered", "failed", "cancelled"]
P = ParamSpec("P")

SPAN = "chassis.call"
CONTENT_CHARS = 16_000
"""Maximum characters of a prompt or an answer in a span; collectors refuse much bigger ones."""

TAG_CHARS = 54
"""Maximum characters of a tag's value: in InfluxDB's format, Airflow drops a metric whose name and tags exceed 250."""

_NO_ROOM = ("ThrottledError", "CongestedError", "DailyQuotaError")
_UNSAFE = re.compile(r"[^A-Za-z0-9_./-]")


@dataclass(frozen=True, slots=True)
class CallFacts:
    """Which task asks, and what it asks.

    :ivar dag_id: the workflow
    :ivar task_id: the task, as the plan names it
    :ivar model: Bedrock model id or inference profile, as requested
    :ivar conn_id: Airflow connection to Bedrock
    :ivar item: the item of a mapped task
    :ivar try_number: Airflow's number of the task's try, from 1
    :ivar kind: ``task`` for the work of a plan, ``plan`` for making one
    """

    dag_id: str
    run_id: str
    task_id: str
    model: str
    conn_id: str
    item: str | None = None
    try_number: int = 1
    kind: Literal["task", "plan"] = "task"


def _harmless(report: Callable[P, None]) -> Callable[P, None]:
    """Turn an exporter's exception into a warning with only its class, because its message may hold anything."""

    @wraps(report)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            report(*args, **kwargs)
        except Exception as error:  # noqa: BLE001  see the module's invariants
            log.warning("Telemetry of a call is lost: %s raised %s.", report.__name__, type(error).__name__)

    return guarded


class CallRecord:
    """One call while it runs; :meth:`finish` records once how it ended."""

    def __init__(self, facts: CallFacts, span: Span | None, *, trace_content: bool) -> None:
        self._facts = facts
        self._span = span
        self._trace_content = trace_content
        self._started = time.monotonic()
        self._finished = False

    def finish(
        self,
        usage: Usage | None = None,
        cost_usd: float | None = 0.0,
        outcome: Outcome = "answered",
        error: str = "",
        *,
        request_id: str = "",
        simulated: bool = False,
        answer: str = "",
    ) -> None:
        """Send the call's metrics and complete its span. Only the first call of this counts. Raises nothing.

        :param usage: what was counted until the end, also for a failed call; None for nothing
        :param cost_usd: price of ``usage`` in US dollars; None if the model's price isn't known
        :param error: class name of the error
        :param request_id: ``x-amzn-requestid`` of the answer
        :param simulated: whether the simulator answered instead of Claude
        :param answer: Claude's text; ignored unless content is traced
        """
        if self._finished:
            return
        self._finished = True
        seconds = time.monotonic() - self._started
        _send_metrics(self._facts, usage, cost_usd, outcome, error, seconds)
        if self._span is not None and self._span.is_recording():
            attributes = _result_attributes(usage, cost_usd, outcome, error)
            attributes["chassis.simulated"] = simulated
            if request_id:
                attributes["aws.request_id"] = request_id
            if self._trace_content:
                attributes["chassis.answer"] = answer[:CONTENT_CHARS]
            _complete(self._span, attributes, failed=outcome == "failed")


@contextmanager
def call_span(
    facts: CallFacts, *, payload: Mapping[str, Any] | None = None, trace_content: bool = False
) -> Iterator[CallRecord]:
    """Make a span current around one call, and yield the record that takes the call's outcome.

    The span is a child of the current span: Airflow's own of the trigger or of the worker's task. If the block raises
    without
    :meth:`CallRecord.finish`, the call has failed or was cancelled, with nothing counted.

    :param payload: arguments of ``client.messages.create``; ignored unless content is traced
    :param trace_content: the setting: whether prompt and answer become attributes of the span
    """
    from opentelemetry import trace

    span = _start_span(facts, payload if trace_content else None)
    record = CallRecord(facts, span, trace_content=trace_content)
    try:
        # OpenTelemetry would record an exception with its message and traceback.
        with trace.use_span(
            span or trace.get_current_span(), record_exception=False, set_status_on_exception=False
        ):
            yield record
    except BaseException as error:
        # Cancellation, Airflow's timeout in a worker and the end of the process aren't subclasses of Exception.
        outcome: Outcome = "failed" if isinstance(error, Exception) else "cancelled"
        record.finish(outcome=outcome, error=type(error).__name__)
        raise
    finally:
        record.finish(outcome="failed", error="NotFinished")
        if span is not None:
            _end(span)


@_harmless
def _send_metrics(
    facts: CallFacts,
    usage: Usage | None,
    cost_usd: float | None,
    outcome: Outcome,
    error: str,
    seconds: float,
) -> None:
    # Airflow's task runner sets this up in workers. Where triggers run, nothing does so on purpose, but importing
    # ``airflow.sdk.serde`` does, which each component has done by then (3.3.2; ``tests/system/test_telemetry.py`` holds
    # it).
    from airflow.sdk.observability import stats

    tags = {
        "workflow": _tag(facts.dag_id),
        "task": _tag(facts.task_id),
        # Only the last part of an ARN: an account's number says nothing here.
        "model": _tag(facts.model.rpartition("/")[2] if facts.model.startswith("arn:") else facts.model),
    }
    ended = {**tags, "outcome": outcome} | ({"error": _tag(error)} if error else {})
    stats.incr("chassis.calls", tags=ended)
    stats.timing("chassis.call.duration", seconds * 1000, tags={**tags, "outcome": outcome})
    counts = {
        "chassis.retries": int(facts.try_number > 1),
        "chassis.throttled": int(error in _NO_ROOM),
    }
    if usage is not None:
        tokens = {
            "chassis.tokens.input": usage.input_tokens,
            "chassis.tokens.output": usage.output_tokens,
            "chassis.tokens.cache_read": usage.cache_read_tokens,
            "chassis.tokens.cache_write": usage.cache_write_tokens,
        }
        counts |= tokens
        # StatsD's counters are whole numbers (some servers cut off a fraction), and so is Airflow's ``count``.
        counts["chassis.cost.micro_usd"] = round((cost_usd or 0) * 1_000_000)
        counts["chassis.calls.unpriced"] = int(cost_usd is None and any(tokens.values()))
    for name, count in counts.items():
        if count:
            stats.incr(name, count, tags=tags)


def _tag(value: str) -> str:
    """The value with only characters that all exporters take, short enough for them, and still unique."""
    clean = _UNSAFE.sub("_", value)
    if len(clean) <= TAG_CHARS:
        return clean
    digest = hashlib.sha256(value.encode()).hexdigest()[:8]
    return f"{clean[: TAG_CHARS - 9]}-{digest}"


def _start_span(facts: CallFacts, payload: Mapping[str, Any] | None) -> Span | None:
    from opentelemetry import trace

    attributes: dict[str, str | int] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "aws.bedrock",
        "gen_ai.system": "aws.bedrock",  # the attribute's name before version 1.37 of the conventions
        "gen_ai.request.model": facts.model,
        "chassis.workflow": facts.dag_id,
        "chassis.run_id": facts.run_id,
        "chassis.task": facts.task_id,
        "chassis.try": facts.try_number,
        "chassis.kind": facts.kind,
        "chassis.conn_id": facts.conn_id,
    }
    if facts.item is not None:
        attributes["chassis.item"] = facts.item
    try:
        span = trace.get_tracer("chassis").start_span(SPAN, attributes=attributes)
        if payload is not None and span.is_recording():
            asked = {"system": payload.get("system"), "messages": payload.get("messages")}
            text = json.dumps(asked, ensure_ascii=False, default=str)
            span.set_attribute("chassis.prompt", text[:CONTENT_CHARS])
    except Exception as error:  # noqa: BLE001  see the module's invariants
        log.warning("A call has no span: starting one raised %s.", type(error).__name__)
        return None
    return span


def _result_attributes(
    usage: Usage | None, cost_usd: float | None, outcome: Outcome, error: str
) -> dict[str, str | int | float]:
    attributes: dict[str, str | int | float] = {"chassis.outcome": outcome}
    if usage is not None:
        attributes |= {
            # The conventions include cached tokens; Chassis's own counts and metrics don't overlap.
            "gen_ai.usage.input_tokens": usage.input_tokens
            + usage.cache_read_tokens
            + usage.cache_write_tokens,
            "gen_ai.usage.output_tokens": usage.output_tokens,
            "gen_ai.usage.cache_read.input_tokens": usage.cache_read_tokens,
            "gen_ai.usage.cache_creation.input_tokens": usage.cache_write_tokens,
        }
        if cost_usd is not None:
            attributes["chassis.cost_usd"] = cost_usd
    if error:
        attributes["error.type"] = error
    return attributes


@_harmless
def _complete(span: Span, attributes: Mapping[str, str | int | float], *, failed: bool) -> None:
    from opentelemetry.trace import Status, StatusCode

    span.set_attributes(attributes)
    if failed:
        span.set_status(Status(StatusCode.ERROR))


@_harmless
def _end(span: Span) -> None:
    span.end()
