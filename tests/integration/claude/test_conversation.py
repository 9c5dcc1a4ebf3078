"""Conversations with a server that speaks Bedrock's format: stop reasons, repairs, faults, cancelling."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from chassis.claude.conversation import ClaudeAnswer, converse
from chassis.claude.reply import call_once
from chassis.contract.usage import Usage
from chassis.errors import (
    AnswerInvalidError,
    AnswerTruncatedError,
    ClaudeError,
    ModelRefusalError,
    ServiceFaultError,
    StreamBrokenError,
    ThrottledError,
)
from chassis.local.simulator.eventstream import chunk_frame
from chassis.local.simulator.wire_message import Reply, TokenCount, stream_events
from tests.integration.claude.wire import SCHEMA, ScriptedBedrock, a_request

if TYPE_CHECKING:
    from chassis.claude.request import ClaudeRequest
    from tests.integration.claude.conftest import Connect

GOOD = '{"sum": 8}'

WithClient = Callable[[Callable[[Any], Awaitable[Any]]], Any]


def text(answer: str, stop_reason: str = "end_turn") -> Reply:
    return Reply(text=answer, stop_reason=stop_reason)


def tool(answer: str, name: str = "answer") -> Reply:
    return Reply(text=answer, stop_reason="tool_use", tool=name)


class Talk:
    """A conversation over a script, and what became of it."""

    def __init__(self, connect: Connect, with_client: WithClient) -> None:
        self._connect, self._with_client = connect, with_client
        self.bodies: list[dict[str, Any]] = []

    def __call__(
        self,
        *script: Reply | bytes | tuple[int, dict[str, str]],
        repairs: int = 0,
        check: Callable[[Any], list[str]] = lambda data: [],
        request: ClaudeRequest | None = None,
        **claude: Any,
    ) -> ClaudeAnswer:
        with ScriptedBedrock(script) as server:
            self._connect.to(server.url, claude=claude)
            self.bodies = server.bodies

            async def use(client: Any) -> ClaudeAnswer:
                return await converse(
                    partial(call_once, client, subject="a test"),
                    request or a_request(),
                    check=check,
                    repairs=repairs,
                )

            answer: ClaudeAnswer = self._with_client(use)
            assert server.script == [], "the whole script was played"
            return answer


@pytest.fixture
def talk(connect: Connect, with_client: WithClient) -> Talk:
    return Talk(connect, with_client)


@pytest.mark.parametrize("stop_reason", ["end_turn", "stop_sequence"])
def test_a_complete_answer_is_taken(talk: Talk, stop_reason: str) -> None:
    answer = talk(text(GOOD, stop_reason))
    assert answer == ClaudeAnswer(
        data={"sum": 8},
        usage=Usage(input_tokens=10, output_tokens=5, cache_read_tokens=3, cache_write_tokens=2, calls=1),
        model="simulated",
        request_ids=("r-1",),
        simulated=False,
        attempts=1,
    )


def test_what_is_sent_is_what_bedrock_wants(talk: Talk) -> None:
    talk(text(GOOD))
    (body,) = talk.bodies
    assert body["anthropic_version"] == "bedrock-2023-05-31"
    assert body["system"] == [{"type": "text", "text": "You work."}]
    assert body["output_config"] == {"format": {"type": "json_schema", "schema": SCHEMA}}
    assert body["messages"][0]["content"][0]["cache_control"] == {"type": "ephemeral"}
    assert "tools" not in body


def test_the_version_of_the_connection_is_sent(talk: Talk) -> None:
    talk(text(GOOD), anthropic_version="2026-10-21")
    assert talk.bodies[0]["anthropic_version"] == "2026-10-21"


@pytest.mark.parametrize(
    ("reply", "error", "words"),
    [
        (text('{"su', "model_context_window_exceeded"), AnswerTruncatedError, "context"),
        (text("", "refusal"), ModelRefusalError, "declined"),
        (tool(GOOD, "unknown_tool"), AnswerInvalidError, "tool_use"),
        (text(GOOD, "a_reason_of_the_future"), AnswerInvalidError, "a_reason_of_the_future"),
    ],
    ids=lambda value: value.stop_reason if isinstance(value, Reply) else "",
)
def test_a_stop_reason_without_an_answer_is_an_error_with_its_cost(
    talk: Talk, reply: Reply, error: type[ClaudeError], words: str
) -> None:
    with pytest.raises(error, match=words) as caught:
        talk(reply, repairs=3)
    assert caught.value.usage["output_tokens"] == 5
    assert caught.value.request_id == "r-1"
    assert not caught.value.retryable
    assert len(talk.bodies) == 1, "asking again could not help"


@pytest.mark.parametrize("answer", ['{"su', ""])
def test_an_answer_that_is_cut_in_another_form_than_constrained_is_an_error_at_once(
    talk: Talk, answer: str
) -> None:
    with pytest.raises(AnswerTruncatedError, match="1000 output tokens") as caught:
        talk(
            Reply(text=answer, stop_reason="max_tokens", tool="answer"),
            request=a_request(schema=FREE),
            repairs=3,
        )
    assert caught.value.usage["output_tokens"] == 5
    assert len(talk.bodies) == 1, "asking again could not help"


def test_a_stream_without_a_stop_reason_is_broken_and_its_tokens_are_counted(talk: Talk) -> None:
    events = list(
        stream_events(text(GOOD), "msg", TokenCount(input=10, cache_read=0, cache_write=0, output=5))
    )
    with pytest.raises(StreamBrokenError, match="no stop reason") as caught:
        talk(b"".join(chunk_frame(event) for event in events[:-2]))
    assert caught.value.retryable
    assert caught.value.usage["input_tokens"] == 10
    assert caught.value.usage["calls"] == 1
    assert caught.value.request_id == "r-1"


@pytest.mark.parametrize(
    "body",
    [b"<html>not an event stream</html>", b"", chunk_frame({"type": "message_start"}), b"\x00" * 64],
    ids=["html", "empty", "nonsense event", "zeros"],
)
def test_a_body_that_is_no_answer_is_a_broken_stream(talk: Talk, body: bytes) -> None:
    with pytest.raises(StreamBrokenError) as caught:
        talk(body)
    assert caught.value.__context__ is None


def test_a_pause_is_answered_by_letting_claude_go_on(talk: Talk) -> None:
    answer = talk(text("thinking about it", "pause_turn"), text(GOOD))
    assert answer.data == {"sum": 8}
    assert answer.attempts == 1
    assert answer.usage.calls == 2
    assert answer.request_ids == ("r-1", "r-2")
    assert talk.bodies[1]["messages"][1:] == [
        {"role": "assistant", "content": [{"type": "text", "text": "thinking about it"}]}
    ]


def test_pauses_without_end_are_an_error(talk: Talk) -> None:
    with pytest.raises(AnswerInvalidError, match="paused 8 times") as caught:
        talk(*[text("...", "pause_turn")] * 8)
    assert caught.value.usage["calls"] == 8


@pytest.mark.parametrize("wrong", ["not json", '{"sum": "eight"}', "[]", "", "  "])
def test_a_wrong_answer_goes_back_with_what_is_wrong(talk: Talk, wrong: str) -> None:
    answer = talk(text(wrong), text(GOOD), repairs=1)
    assert answer.data == {"sum": 8}
    assert answer.attempts == 2
    assert answer.usage == Usage(
        input_tokens=20, output_tokens=10, cache_read_tokens=6, cache_write_tokens=4, calls=2
    )
    sent_back = talk.bodies[1]["messages"][1:]
    assert sent_back[-1]["role"] == "user"
    assert 'name="faults"' in sent_back[-1]["content"][0]["text"]
    kept = [turn for turn in sent_back if turn["role"] == "assistant"]
    assert kept == (
        [{"role": "assistant", "content": [{"type": "text", "text": wrong}]}] if wrong.strip() else []
    )


def test_a_check_beyond_the_schema_goes_back_too(talk: Talk) -> None:
    answer = talk(
        text('{"sum": 7}'),
        text(GOOD),
        repairs=1,
        check=lambda d: [] if d["sum"] == 8 else ["sum: it isn't 8"],
    )
    assert answer.data == {"sum": 8}
    assert "sum: it isn't 8" in talk.bodies[1]["messages"][-1]["content"][0]["text"]


def test_repairs_are_bounded_and_the_last_faults_are_told(talk: Talk) -> None:
    with pytest.raises(AnswerInvalidError, match="after 3 attempts") as caught:
        talk(text("one"), text("two"), text('{"sum": true}'), repairs=2)
    assert "sum: True is not of type 'integer'" in caught.value.message
    assert caught.value.usage["calls"] == 3
    assert not caught.value.retryable


def test_a_failure_after_a_repair_carries_the_whole_cost(talk: Talk) -> None:
    with pytest.raises(ServiceFaultError) as caught:
        talk(text("wrong"), (500, {}), repairs=1)
    assert caught.value.usage["output_tokens"] == 5
    assert caught.value.usage["calls"] == 1


def test_what_a_check_raises_ends_the_conversation(talk: Talk) -> None:
    def check(data: Any) -> list[str]:
        raise LookupError("not Claude's fault")

    with pytest.raises(LookupError):
        talk(text(GOOD), repairs=5, check=check)
    assert len(talk.bodies) == 1


FREE = {
    "type": "object",
    "properties": {"sum": {"type": "integer"}},
    "required": ["sum"],
    "additionalProperties": True,
}


def test_a_schema_that_constrained_decoding_cannot_express_goes_through_a_tool(talk: Talk) -> None:
    answer = talk(tool('{"sum": 8, "more": 1}'), request=a_request(schema=FREE))
    assert answer.data == {"sum": 8, "more": 1}
    (body,) = talk.bodies
    assert "output_config" not in body
    assert body["tool_choice"] == {"type": "tool", "name": "answer"}
    assert body["tools"][0]["input_schema"] == FREE


@pytest.mark.parametrize("wrong", ['{"sum": "eight"}', '{"sum": '])
def test_a_wrong_tool_call_is_answered_as_one(talk: Talk, wrong: str) -> None:
    answer = talk(tool(wrong), tool(GOOD), request=a_request(schema=FREE), repairs=1)
    assert answer.attempts == 2
    called, told = talk.bodies[1]["messages"][1:]
    assert called["content"][0]["type"] == "tool_use"
    assert isinstance(called["content"][0]["input"], dict)
    assert told["content"][0]["type"] == "tool_result"
    assert told["content"][0]["tool_use_id"] == called["content"][0]["id"]
    assert told["content"][0]["is_error"] is True
    assert 'name="faults"' in told["content"][0]["content"][0]["text"]


def test_the_wait_that_the_server_asks_for_is_told_and_not_waited(talk: Talk) -> None:
    started = time.monotonic()
    with pytest.raises(ThrottledError) as caught:
        talk((429, {"retry-after": "3600"}), max_retries=2)
    assert caught.value.retry_after == 3600
    assert time.monotonic() - started < 5
