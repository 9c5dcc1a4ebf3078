"""An answer's events."""

from __future__ import annotations

from chassis.local.simulator.wire_message import Reply, TokenCount, stream_events


def test_a_stream_has_no_pings_so_that_nothing_is_heard_of_a_long_silence() -> None:
    events = list(stream_events(Reply("Hello.", "end_turn"), "msg", TokenCount(1, 0, 0, 2)))
    assert [event["type"] for event in events if event["type"] == "ping"] == []
    assert [event["type"] for event in events][-1] == "message_stop"
