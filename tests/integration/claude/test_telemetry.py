"""Our span and the Claude SDK's own, of a real client's call over the wire."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from chassis.claude.conversation import converse
from chassis.claude.reply import Reply as Answer
from chassis.claude.reply import call_once
from chassis.errors import ClaudeError
from chassis.local.simulator.wire_message import Reply
from chassis.telemetry import CallFacts, call_span
from tests.integration.claude.wire import MODEL, PROMPT, ScriptedBedrock, a_request

if TYPE_CHECKING:
    from tests.integration.claude.conftest import Connect

SECRET_ANSWER = '{"sum": 88888}'
FACTS = CallFacts("w", "r", "add", MODEL, "claude_bedrock")


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))

    def get_tracer(name: str, version: str | None = None, **_: Any) -> trace.Tracer:
        return provider.get_tracer(name, version)

    monkeypatch.setattr(trace, "get_tracer", get_tracer)
    yield exporter
    provider.shutdown()


@pytest.mark.parametrize("content_mode", ["", "content"])
@pytest.mark.parametrize(
    "script",
    [
        [Reply(text=SECRET_ANSWER, stop_reason="end_turn")],
        [Reply(text=SECRET_ANSWER[:-3], stop_reason="model_context_window_exceeded")],
        [(403, {"x-amzn-errortype": "AccessDeniedException"})],
        [b"no frame of an event stream: 88888"],
    ],
    ids=["answered", "truncated", "refused", "broken"],
)
def test_the_sdks_span_is_a_child_of_ours_and_neither_holds_content(
    script: list[Any],
    content_mode: str,
    spans: InMemorySpanExporter,
    monkeypatch: pytest.MonkeyPatch,
    connect: Connect,
    with_client: Callable[[Callable[[Any], Awaitable[None]]], None],
) -> None:
    """Also where the environment asks the SDK for content: only the setting ``trace_content`` decides."""
    monkeypatch.setenv("ANTHROPIC_OPEN_TELEMETRY_TRACES_CONTENT_MODE", content_mode)

    async def use(client: Any) -> None:
        async def watched(payload: dict[str, Any]) -> Answer:
            with call_span(FACTS, payload=payload) as record:
                reply = await call_once(client, payload, subject="a test")
                record.finish(reply.usage, 0.1, answer=reply.text)
                return reply

        with contextlib.suppress(ClaudeError):
            await converse(watched, a_request(), check=lambda data: [], repairs=0)

    with ScriptedBedrock(script) as server:
        connect.to(server.url)
        with_client(use)

    theirs, ours = spans.get_finished_spans()
    assert (theirs.name, ours.name) == ("anthropic.messages.create", "chassis.call")
    assert theirs.parent is not None
    assert theirs.parent.span_id == ours.context.span_id
    for span in (theirs, ours):
        text = span.to_json()
        assert PROMPT not in text
        assert "You work." not in text
        assert "88888" not in text
    if outcome(ours) == "answered":
        assert counts(theirs) == counts(ours) == (15, 5), "both count cached tokens in"


def outcome(span: ReadableSpan) -> Any:
    return (span.attributes or {})["chassis.outcome"]


def counts(span: ReadableSpan) -> tuple[Any, Any]:
    attributes = span.attributes or {}
    return attributes["gen_ai.usage.input_tokens"], attributes["gen_ai.usage.output_tokens"]
