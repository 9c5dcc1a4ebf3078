from __future__ import annotations

import json
from typing import Any

import pytest

from chassis.claude.blocks import sent_back, tool_input
from chassis.claude.reply import Reply
from chassis.contract.usage import Usage
from chassis.text import one_line
from tests.with_each import with_each

START = {"type": "message_start", "message": {"model": "m", "usage": {"input_tokens": 7, "output_tokens": 1}}}


def delta(index: int, **fields: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": fields}


def block(index: int, **fields: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": fields}


def read(*events: dict[str, Any]) -> Reply:
    reply = Reply()
    reply.open({"x-amzn-requestid": "r-1"})  # type: ignore[arg-type]
    for event in events:
        reply.add(event)
    return reply


def test_the_pieces_of_an_answer_are_put_together() -> None:
    reply = read(
        START,
        block(0, type="thinking", thinking="", signature=""),
        delta(0, type="thinking_delta", thinking="hm"),
        delta(0, type="signature_delta", signature="s"),
        block(1, type="text", text=""),
        delta(1, type="text_delta", text="a"),
        delta(1, type="text_delta", text="b"),
        block(2, type="tool_use", id="t", name="answer", input={}),
        delta(2, type="input_json_delta", partial_json='{"x"'),
        delta(2, type="input_json_delta", partial_json=": 1}"),
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}},
        {"type": "message_stop"},
    )
    assert reply.text == "ab"
    assert reply.blocks[0] == {"type": "thinking", "thinking": "hm", "signature": "s"}
    called = reply.tool("answer")
    assert called is not None
    assert tool_input(called) == {"x": 1}
    assert reply.tool("other") is None
    assert (reply.stop_reason, reply.model, reply.request_id) == ("tool_use", "m", "r-1")
    assert reply.usage == Usage(input_tokens=7, output_tokens=9, calls=1), "counts are running totals"


def test_events_of_a_kind_yet_unknown_are_passed_over() -> None:
    reply = read(START, {"type": "news"}, block(0, type="text", text=""), delta(0, type="new_delta", x=1))
    assert reply.text == ""


@with_each(
    "event",
    [
        {"type": "message_start", "message": {}},
        {"type": "message_start", "message": None},
        {"type": "message_start"},
        delta(0, type="text_delta"),
        delta(0, type="text_delta", text=None),
        {"type": "content_block_delta", "index": 0, "delta": None},
        {"type": "content_block_start", "index": 1, "content_block": None},
        block(1, type="text"),
        block(1, type="text", text=None),
        block(1, type=None, text=""),
        block(1, type="thinking", thinking=None, signature=None),
        block(1, type="tool_use", id=None, name="other", input=None),
        block(1, type="of_the_future", deep={"list": [None, float("nan")]}),
        {"type": "content_block_stop"},
        {"type": "message_delta", "delta": None},
        {"type": "message_delta", "delta": {"stop_reason": None}, "usage": None},
        {"type": "message_delta", "delta": {}, "usage": {"output_tokens": "many"}},
        {"type": "message_stop", "amazon-bedrock-invocationMetrics": None},
    ],
)
def test_an_event_that_lacks_what_its_type_promises_takes_nothing_from_the_answer(
    event: dict[str, Any],
) -> None:
    reply = read(
        START,
        block(0, type="text", text=""),
        delta(0, type="text_delta", text="a"),
        event,
        delta(0, type="text_delta", text="b"),
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}},
    )
    assert (reply.text, reply.stop_reason) == ("ab", "end_turn")
    assert reply.usage == Usage(input_tokens=7, output_tokens=9, calls=1)
    assert Reply.from_data(json.loads(json.dumps(reply.to_data(), allow_nan=False))) == reply, (
        "it can be kept"
    )


def test_a_piece_finds_its_block_wherever_it_stands() -> None:
    """A gateway may leave out the block's start, tell it late or twice, or number every block 0."""
    late = read(delta(0, type="text_delta", text="a"), block(0, type="text", text=""), block(0, type="text"))
    assert late.text == "a"
    one_number = read(
        block(0, type="thinking", thinking="", signature=""),
        delta(0, type="thinking_delta", thinking="hm"),
        delta(0, type="text_delta", text="a"),
        {"type": "content_block_stop", "index": 0},
        block(0, type="tool_use", id="t", name="answer", input={}),
        delta(0, type="input_json_delta", partial_json="{}"),
    )
    assert [kept["type"] for kept in one_number.blocks.values()] == ["thinking", "text", "tool_use"]
    assert one_number.text == "a"


@pytest.mark.parametrize(
    ("given", "pieces", "kept"),
    [
        ({"x": 1}, [], {"x": 1}),
        ('{"x": 1}', [], {"x": 1}),
        ({"x": 1}, ["", '{"x"', ": 1}"], {"x": 1}),
        ({}, ['{"x": 1}'], {"x": 1}),
        (None, [], {}),
    ],
)
def test_a_tools_input_comes_whole_or_in_pieces(given: Any, pieces: list[str], kept: dict[str, Any]) -> None:
    begin = block(0, type="tool_use", id="t", name="answer", input=given)
    reply = read(begin, *(delta(0, type="input_json_delta", partial_json=piece) for piece in pieces))
    called = reply.tool("answer")
    assert called is not None
    assert tool_input(called) == kept


def test_a_message_that_comes_whole_in_its_first_event_is_an_answer() -> None:
    message = {"model": "m", "content": [{"type": "text", "text": "a"}], "stop_reason": "end_turn"}
    reply = read(
        {"type": "message_start", "message": message | {"usage": {"input_tokens": 7, "output_tokens": 9}}}
    )
    assert (reply.text, reply.stop_reason) == ("a", "end_turn")
    assert reply.usage == Usage(input_tokens=7, output_tokens=9, calls=1)


@pytest.mark.parametrize(
    "told", [None, {}, {"output_tokens": None}, {"output_tokens": 0}, {"output_tokens": -3}]
)
def test_output_that_nobody_counted_is_estimated_from_its_length(told: Any) -> None:
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": told}
    reply = read(START, block(0, type="text", text="x" * 30), end)
    assert reply.usage == Usage(input_tokens=7, output_tokens=10, calls=1)


def test_bedrocks_own_metrics_tell_what_the_usage_did_not() -> None:
    metrics = {"inputTokenCount": 99, "outputTokenCount": 4, "cacheReadInputTokenCount": 5}
    stop = {"type": "message_stop", "amazon-bedrock-invocationMetrics": metrics}
    reply = read(START, block(0, type="text", text="x" * 30), stop)
    assert reply.usage == Usage(input_tokens=7, output_tokens=4, cache_read_tokens=5, calls=1)


def test_only_what_the_api_takes_is_sent_back() -> None:
    reply = read(
        block(0, type="thinking", thinking="", signature="s"),
        block(1, type="thinking", thinking="unsigned"),
        block(2, type="text", text=" "),
        block(3, type="text", text="a", citations=None),
        block(4, type="server_tool_use", id="s1", name="web_search", input={"query": "q"}),
        block(5, type="web_search_tool_result", tool_use_id="s1", content=[]),
        block(6, type="web_search_tool_result", tool_use_id="s2", content=[]),
        block(7, type="tool_use", id="t", name="answer", input={"x": 1}),
        block(8, type="tool_use", id="t", name="answer", input={"x": 1}),
        block(9, type="tool_use", id=None, name="answer"),
        block(10, type="redacted_thinking", data="d"),
        block(11, type="of_the_future", data="d"),
        block(12),
    )
    assert sent_back(reply.blocks.values()) == [
        {"type": "thinking", "thinking": "", "signature": "s"},
        {"type": "text", "text": "a"},
        {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "q"}},
        {"type": "web_search_tool_result", "tool_use_id": "s1", "content": []},
        {"type": "tool_use", "id": "t", "name": "answer", "input": {"x": 1}},
        {"type": "redacted_thinking", "data": "d"},
    ]


@pytest.mark.parametrize("text", ["", "{", "[1]", '"x"', "[" * 100_000])
def test_a_tools_input_that_is_no_object_goes_back_as_an_empty_one(text: str) -> None:
    assert tool_input({"type": "tool_use", "input": text}) == {}


def test_what_the_server_gives_as_names_and_ids_is_one_line_of_letters() -> None:
    hostile = "x\n2026-01-01 ERROR forged\x1b[2J\u202e" + "y" * 1_000
    reply = Reply()
    reply.open({"x-amzn-requestid": hostile})  # type: ignore[arg-type]
    reply.add({"type": "message_start", "message": {"model": hostile}})
    reply.add({"type": "message_delta", "delta": {"stop_reason": hostile}})
    for word in (reply.request_id, reply.model, reply.stop_reason):
        assert word == one_line(hostile, 200)


def test_half_of_a_character_is_replaced_because_nothing_could_send_it_back() -> None:
    reply = read(block(0, type="text", text=""), delta(0, type="text_delta", text="a\ud800b"))
    assert reply.text == "a\ufffdb"


@pytest.mark.parametrize("count", [-1, 2**80, "many", {}, None])
def test_counts_that_can_not_be_tell_nothing(count: Any) -> None:
    start = {"type": "message_start", "message": {"model": "m", "usage": {"input_tokens": count}}}
    reply = read(start)
    assert reply.usage == Usage(calls=1)
    assert not reply.input_counted
