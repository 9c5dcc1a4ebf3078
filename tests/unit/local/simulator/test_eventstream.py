"""The framing, judged by botocore's own parser, which checks lengths and both checksums."""

from __future__ import annotations

import base64
import json

import pytest
from botocore.eventstream import ChecksumMismatch, EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from chassis.local.simulator.eventstream import chunk_frame, encode_frame, exception_frame


@given(
    headers=st.dictionaries(st.text(min_size=1, max_size=20), st.text(max_size=200), max_size=5),
    payload=st.binary(max_size=3_000),
    cut=st.integers(min_value=1, max_value=64),
)
def test_botocore_reads_every_frame_in_pieces_of_any_size(
    headers: dict[str, str], payload: bytes, cut: int
) -> None:
    stream = encode_frame(headers, payload) * 2
    buffer = EventStreamBuffer()
    for start in range(0, len(stream), cut):
        buffer.add_data(stream[start : start + cut])
    messages = list(buffer)
    assert [(message.headers, message.payload) for message in messages] == [(headers, payload)] * 2


@pytest.mark.parametrize("position", [0, 5, 9, 14, 40, -1], ids=str)
def test_a_frame_with_one_flipped_bit_is_refused_by_botocore(position: int) -> None:
    frame = bytearray(encode_frame({":event-type": "chunk"}, b'{"bytes":"e30="}'))
    frame[position] ^= 1
    buffer = EventStreamBuffer()
    buffer.add_data(bytes(frame))
    with pytest.raises(ChecksumMismatch):
        list(buffer)


def test_a_chunk_carries_the_event_in_base64_and_padding_that_hides_its_length() -> None:
    event = {"type": "content_block_delta", "delta": {"text": "sum: é \U0001f600"}}
    message = _only(chunk_frame(event))
    assert message.headers[":event-type"] == "chunk"
    assert message.headers[":message-type"] == "event"
    payload = json.loads(message.payload)
    assert json.loads(base64.b64decode(payload["bytes"])) == event
    assert payload["p"].isalnum()


def test_an_exception_frame_is_an_error_to_botocore() -> None:
    message = _only(exception_frame("throttlingException", "Too many requests"))
    assert message.to_response_dict()["status_code"] == 400
    assert message.headers[":exception-type"] == "throttlingException"
    assert json.loads(message.payload) == {"message": "Too many requests"}


def _only(frame: bytes):
    buffer = EventStreamBuffer()
    buffer.add_data(frame)
    (message,) = list(buffer)
    return message
