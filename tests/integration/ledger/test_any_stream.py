"""Whatever a stream holds, its answer is used, or fails as one error of Chassis's own; either is kept and booked.

Gateways leave fields out, send null, number blocks anew, put things whole where pieces belong, double and reorder.
The streams here go over a wire, through the SDK's own decoding, to the conversation and the ledger.
"""

from __future__ import annotations

import asyncio
import itertools
import warnings
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chassis.claude.conversation import converse
from chassis.contract.spending import RunLimits
from chassis.errors import ClaudeError, CongestedError, ServiceFaultError, StreamBrokenError
from chassis.files import open_files
from chassis.ledger.call_identity import CallIdentity
from chassis.ledger.entries import Closed
from chassis.local.simulator.eventstream import chunk_frame, encode_frame, exception_frame
from chassis.records.transcripts import Transcripts
from tests.integration.claude.wire import SCHEMA, ScriptedBedrock, a_request
from tests.integration.ledger.streams import (
    CLOSING,
    GOOD,
    GOOD_STREAM,
    HARMLESS,
    OPENING,
    Event,
    any_stream,
    block,
    body,
    delta,
    ended,
    stop,
)
from tests.ledgers import entries_of

if TYPE_CHECKING:
    from pathlib import Path

    from chassis.claude.conversation import ClaudeAnswer
    from tests.integration.claude.conftest import Connect

FREE = SCHEMA | {"additionalProperties": True}


@dataclass
class Outcome:
    """What became of a conversation: one of answer and error, and what was booked."""

    answer: ClaudeAnswer | None
    error: ClaudeError | None
    closed: list[Closed]
    requests: list[Event]


class Asker:
    """Holds conversations over given streams, each in a run of its own."""

    def __init__(self, server: ScriptedBedrock, runner: asyncio.Runner, client: Any, records: Path) -> None:
        self._server, self._runner, self._client, self._records = server, runner, client, records
        self._runs = itertools.count()

    def __call__(self, *streams: list[Any], schema: Event = SCHEMA, repairs: int = 0) -> Outcome:
        self._server.script[:] = [body(events) for events in streams]
        run = f"run{next(self._runs)}"
        before = len(self._server.bodies)
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # pydantic's quote the answer
            outcome = self._runner.run(self._hold(run, 1, schema, repairs))
        outcome.requests = self._server.bodies[before:]
        if outcome.answer is not None:
            again = self._runner.run(self._hold(run, 2, schema, repairs))
            assert again.answer == outcome.answer, "an answer that was paid for is kept"
            assert len(self._server.bodies) == before + len(outcome.requests)
        return outcome

    async def _hold(self, run: str, number: int, schema: Event, repairs: int) -> Outcome:
        from chassis.claude.pace import Pace
        from chassis.ledger.paid_calls import PaidCalls
        from chassis.ledger.run_gate import gate_of
        from chassis.records.transcript_recorder import TranscriptRecorder

        who = CallIdentity(dag_id="sums", run_id=run, clear_number=0, task_id="add", try_number=number)
        files = open_files(str(self._records), "", what="record store")
        recorder = TranscriptRecorder(Transcripts(files, "sums", run), who, "task")
        calls = PaidCalls(
            client=self._client,
            identity=who,
            gate=gate_of(files, "sums", run),
            pace=Pace(32),  # a new one: what it learns in one conversation would slow the next
            limits=RunLimits(),
            timeout_seconds=600,
            subject="task 'add'",
            kind="task",
            recorder=recorder,
        )
        answer = failure = None
        try:
            answer = await converse(
                calls.ask, a_request(schema=schema), check=lambda data: [], repairs=repairs
            )
        except ClaudeError as error:
            failure = error
        await recorder.settled()

        entries = entries_of(files, "sums", run)
        closed = [entry for entry in entries if isinstance(entry, Closed)]
        (kept,) = [kept for kept in Transcripts(files, "sums", run).tries("add") if kept.try_number == number]
        if number == 1:
            assert len(entries) == 2 * len(closed), "each call that was opened is closed once"
            assert [turn.call for turn in kept.turns] == [entry.call for entry in closed], (
                "each is kept to be read"
            )
        return Outcome(answer, failure, closed, [])


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedBedrock]:
    with ScriptedBedrock([]) as running:
        yield running


@pytest.fixture
def asker(
    server: ScriptedBedrock, connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Asker]:
    from chassis.claude.client_pool import connected

    monkeypatch.setattr("chassis.ledger.patience._FIRST_ABSENCE", 0.0)
    connect.to(server.url)
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        client = runner.run(stack.enter_async_context(connected("claude_bedrock", shared=False)))
        yield Asker(server, runner, client, tmp_path / "records")
        runner.run(stack.aclose())


def test_a_text_block_without_text_costs_nothing_of_the_answer(asker: Asker) -> None:
    for empty in ({}, {"text": None}):
        pieces = [block(1, type="text", text=""), delta(1, type="text_delta", text=GOOD), ended(1)]
        outcome = asker([OPENING, block(0, type="text", **empty), ended(0), *pieces, *CLOSING])
        assert outcome.answer is not None
        assert outcome.answer.data == {"sum": 8}
        (booked,) = outcome.closed
        assert (booked.outcome, booked.usage.input_tokens, booked.usage.output_tokens) == ("answered", 10, 20)
        assert len(outcome.requests) == 1


def test_a_tools_input_that_comes_whole_is_used(asker: Asker) -> None:
    called = block(0, type="tool_use", id="toolu_1", name="answer", input={"sum": 8})
    outcome = asker(
        [OPENING, called, ended(0), stop("tool_use", {"output_tokens": 20})], schema=FREE, repairs=2
    )
    assert outcome.answer is not None
    assert (outcome.answer.data, len(outcome.requests)) == ({"sum": 8}, 1)


@pytest.mark.parametrize(
    "frame",
    [
        exception_frame("brandNewException", "Words of AWS."),
        encode_frame(
            {":message-type": "error", ":error-code": "brandNewException", ":error-message": "Words of AWS."},
            b"",
        ),
        encode_frame(
            {":message-type": "exception", ":exception-type": "brandNewException"}, b"Words of AWS."
        ),
        chunk_frame({"type": "error", "error": {"type": "brandNewException", "message": "Words of AWS."}}),
        exception_frame("internalServerException", "Words of AWS."),
    ],
    ids=["exception", "error", "plain words", "event", "known"],
)
def test_an_exception_frame_of_whatever_name_keeps_its_words(asker: Asker, frame: bytes) -> None:
    outcome = asker([OPENING, block(0, type="text", text="x" * 30), frame])
    assert isinstance(outcome.error, ServiceFaultError)
    assert "Words of AWS" in outcome.error.message
    assert outcome.error.error_type in ("brandNewException", "internalServerException")
    (booked,) = outcome.closed
    assert (booked.usage.input_tokens, booked.usage.output_tokens) == (10, 10)


def test_congestion_after_the_prompt_was_counted_is_booked_and_not_repeated(asker: Asker) -> None:
    overloaded = chunk_frame(
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    )
    outcome = asker([OPENING, overloaded], GOOD_STREAM)
    assert isinstance(outcome.error, CongestedError)
    assert len(outcome.requests) == 1
    assert outcome.closed[0].usage.input_tokens == 10


@pytest.mark.parametrize("first", ['{"sum"', "Let me see: "])
def test_what_was_said_before_a_pause_belongs_to_the_answer(asker: Asker, first: str) -> None:
    rest = ": 8}" if first.startswith("{") else GOOD
    pause = [OPENING, block(0, type="text", text=first), stop("pause_turn", {"output_tokens": 5})]
    outcome = asker(pause, [OPENING, block(0, type="text", text=rest), *CLOSING])
    assert outcome.answer is not None
    assert outcome.answer.data == {"sum": 8}
    assert len(outcome.requests) == 2


def test_a_pause_without_words_is_answered_with_some(asker: Asker) -> None:
    pause = [OPENING, block(0, type="text", text=" "), stop("pause_turn", {"output_tokens": 5})]
    outcome = asker(pause, pause, [OPENING, block(0, type="text", text=GOOD), *CLOSING])
    assert outcome.answer is not None
    assert len(outcome.requests) == 3
    assert all(turn["content"] for request in outcome.requests for turn in request["messages"])


def test_an_answer_is_complete_once_its_stop_reason_is_there(asker: Asker) -> None:
    answer = [OPENING, block(0, type="text", text=GOOD), stop("end_turn", {"output_tokens": 20})]
    for broken in (exception_frame("internalServerException", "Too late."), b"\x00" * 64):
        outcome = asker([*answer, broken])
        assert outcome.answer is not None
        assert outcome.closed[0].outcome == "answered"


def test_what_nobody_counted_is_booked_as_uncertain(asker: Asker) -> None:
    """The prompt's upper bound where only the input is unknown, the call's where nothing is."""
    answer = [block(0, type="text", text=GOOD), stop("end_turn", None)]
    (uncounted,) = asker(answer).closed
    assert uncounted.outcome == "answered"
    assert uncounted.usage.output_tokens == 4
    assert 0 < uncounted.uncertain.tokens < 1000
    (nothing,) = asker([]).closed
    assert nothing.error == StreamBrokenError.__name__
    assert nothing.uncertain.tokens > 1000
    assert nothing.usage.calls == 0
    (refused,) = asker([exception_frame("throttlingException", "Too many tokens per day.")] * 1).closed[:1]
    assert refused.uncertain.tokens == 0


def counted(events: list[Any], ours: str, theirs: str) -> int:
    """The count that the stream gave of one kind of token: the highest, of those that can be one."""
    usages = []
    for one in events:
        if isinstance(one, dict):
            message = one.get("message") if one.get("type") == "message_start" else None
            usages += [one.get("usage")] if one.get("type") == "message_delta" else []
            usages += [message.get("usage")] if isinstance(message, dict) else []
    counts = [usage.get(theirs) for usage in usages if isinstance(usage, dict)]
    return max((int(count) for count in counts if isinstance(count, int) and 0 <= count < 2**40), default=0)


def check(asker: Asker, streams: list[list[Any]], schema: Event) -> None:
    outcome = asker(*streams, schema=schema, repairs=1)
    assert (outcome.answer is None) != (outcome.error is None)
    assert len(outcome.closed) == len(outcome.requests)
    if outcome.error is not None:
        assert outcome.error.__cause__ is None
        assert outcome.error.__context__ is None
        assert outcome.error.message
    for events, booked in zip(streams, outcome.closed, strict=False):
        kinds = (
            ("input_tokens", "input_tokens"),
            ("cache_read_tokens", "cache_read_input_tokens"),
            ("cache_write_tokens", "cache_creation_input_tokens"),
        )
        for ours, theirs in kinds:
            assert getattr(booked.usage, ours) == counted(events, ours, theirs)
        assert booked.usage.output_tokens >= counted(events, "output_tokens", "output_tokens")
    for request in outcome.requests:
        for turn in request["messages"]:
            assert turn["content"], "the API takes no turn without content"


def test_any_stream_is_an_answer_or_one_error_and_booked_at_what_it_told(asker: Asker) -> None:
    @settings(max_examples=250, deadline=None)
    @given(st.lists(any_stream(), min_size=1, max_size=2), st.sampled_from([SCHEMA, FREE]))
    def hold(streams: list[list[Any]], schema: Event) -> None:
        check(asker, streams, schema)

    hold()


def test_what_tells_nothing_takes_nothing_from_an_answer(asker: Asker) -> None:
    forced = [OPENING, block(0, type="tool_use", id="toolu_1", name="answer", input={})]
    forced += [delta(0, type="input_json_delta", partial_json=piece) for piece in ("", '{"sum"', ": 8}")]
    forced += [ended(0), stop("tool_use", {"output_tokens": 20}), {"type": "message_stop"}]

    @settings(max_examples=150, deadline=None)
    @given(
        st.sampled_from([(GOOD_STREAM, SCHEMA), (forced, FREE)]),
        st.lists(st.tuples(st.integers(0, 9), HARMLESS), max_size=8),
    )
    def hold(answer: tuple[list[Any], Event], noise: list[tuple[int, Any]]) -> None:
        events = list(answer[0])
        for place, extra in noise:
            events.insert(min(place, len(events)), extra)
        outcome = asker(events, schema=answer[1])
        assert outcome.answer is not None, outcome.error
        assert outcome.answer.data == {"sum": 8}
        (booked,) = outcome.closed
        assert (booked.usage.input_tokens, booked.usage.output_tokens) == (10, 20)

    hold()
