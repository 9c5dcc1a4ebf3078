from __future__ import annotations

from typing import Any

import pytest

from chassis.claude.reply import Reply, tool_input
from chassis.claude.usage import Usage
from chassis.errors import StreamBrokenError
from chassis.text import one_line

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


@pytest.mark.parametrize(
    "event",
    [
        {"type": "message_start", "message": {}},
        {"type": "message_start", "message": None},
        delta(5, type="text_delta", text="for no block"),
        delta(0, type="text_delta"),
        block(0, text="without a type"),
        {"type": "message_delta", "delta": None},
        {"type": "message_delta", "delta": {}, "usage": {"output_tokens": "many"}},
    ],
)
def test_an_event_that_breaks_its_promise_is_a_broken_stream(event: dict[str, Any]) -> None:
    with pytest.raises(StreamBrokenError, match=event["type"]) as caught:
        read(START, block(0, type="text", text=""), event)
    assert caught.value.retryable


@pytest.mark.parametrize("text", ["", "{", "[1]", '"x"'])
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
    with pytest.raises(StreamBrokenError) as broken:
        reply.add(
            {"type": hostile, "delta": None} | {"type": "content_block_start", "index": 0, "content_block": 1}
        )
    assert "content_block_start" in broken.value.message


def test_half_of_a_character_is_replaced_because_nothing_could_send_it_back() -> None:
    reply = read(block(0, type="text", text=""), delta(0, type="text_delta", text="a\ud800b"))
    assert reply.text == "a\ufffdb"


@pytest.mark.parametrize("count", [-1, 2**80, "many", {}])
def test_counts_that_can_not_be_are_a_broken_answer(count: Any) -> None:
    start = {"type": "message_start", "message": {"model": "m", "usage": {"input_tokens": count}}}
    with pytest.raises(StreamBrokenError):
        read(start)
