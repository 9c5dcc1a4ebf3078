"""Streams of answers as they are, as gateways make them, and as nobody would: for tests of what becomes of them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from chassis.local.simulator.eventstream import chunk_frame, encode_frame, exception_frame

GOOD = '{"sum": 8}'
Event = dict[str, Any]


def start(**usage: Any) -> Event:
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": []}
    return {"type": "message_start", "message": message | {"stop_reason": None, "usage": usage}}


def block(index: Any, **fields: Any) -> Event:
    return {"type": "content_block_start", "index": index, "content_block": fields}


def delta(index: Any, **fields: Any) -> Event:
    return {"type": "content_block_delta", "index": index, "delta": fields}


def ended(index: Any) -> Event:
    return {"type": "content_block_stop", "index": index}


def stop(reason: Any, usage: Any) -> Event:
    return {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": usage}


OPENING = start(input_tokens=10, output_tokens=1)
CLOSING = [stop("end_turn", {"output_tokens": 20}), {"type": "message_stop"}]


def body(events: list[Any]) -> bytes:
    return b"".join(event if isinstance(event, bytes) else chunk_frame(event) for event in events)


TEXTS = st.sampled_from(
    [None, "", " ", GOOD, '{"su', 'm": 8}', "words", '"', "a\ud800\x00b", "\u2028", 5, [GOOD]]
)
NUMBERS = st.sampled_from([None, 0, 1, 7, 300, -1, 2**80, "many", {}])
INDEXES = st.sampled_from([0, 0, 1, 2, None, "0", -1, [0]])
JUNK = st.recursive(
    st.sampled_from([None, True, 0, float("nan"), float("inf"), 2**70, "", "x", "\udc00"]),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.sampled_from("abc"), part, max_size=3),
    max_leaves=4,
)
REASONS = st.sampled_from(
    [
        "end_turn",
        "end_turn",
        "tool_use",
        "max_tokens",
        "stop_sequence",
        "pause_turn",
        "refusal",
        "of_the_future",
        "model_context_window_exceeded",
        "",
        None,
        5,
    ]
)
COUNTS = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
USAGES = st.none() | st.fixed_dictionaries(
    {}, optional=dict.fromkeys(COUNTS, NUMBERS) | {"cache_creation": JUNK, "service_tier": JUNK}
)


def optional(**values: Any) -> Any:
    return st.fixed_dictionaries({}, optional=values)


INPUTS = st.sampled_from([None, {}, {"sum": 8}, GOOD, "", [], 5, {"sum": float("nan")}, {"a": {"b": [1]}}])
IDS = st.sampled_from([None, "", "toolu_1", "toolu_2", 5])
NAMES = st.sampled_from([None, "", "answer", "other", 5])
BLOCKS = st.one_of(
    optional(type=st.just("text"), text=TEXTS, citations=JUNK),
    optional(type=st.just("text"), text=TEXTS),
    optional(type=st.just("thinking"), thinking=TEXTS, signature=TEXTS),
    optional(type=st.just("redacted_thinking"), data=TEXTS),
    optional(type=st.just("tool_use"), id=IDS, name=NAMES, input=INPUTS),
    optional(type=st.just("server_tool_use"), id=IDS, name=NAMES, input=INPUTS),
    optional(type=st.just("web_search_tool_result"), tool_use_id=IDS, content=JUNK),
    optional(type=st.sampled_from(["of_the_future", "", None, 5]), text=TEXTS, input=INPUTS, a=JUNK),
    st.none(),
    JUNK,
)
DELTAS = st.one_of(
    optional(type=st.just("text_delta"), text=TEXTS),
    optional(type=st.just("thinking_delta"), thinking=TEXTS),
    optional(type=st.just("signature_delta"), signature=TEXTS),
    optional(type=st.just("input_json_delta"), partial_json=TEXTS),
    optional(type=st.just("citations_delta"), citation=JUNK),
    optional(type=st.just("of_the_future"), a=JUNK),
    st.none(),
    JUNK,
)
MESSAGES = st.one_of(
    st.none(),
    optional(
        id=IDS,
        model=st.sampled_from([None, "m", "", 5]),
        content=st.lists(BLOCKS, max_size=1) | st.none(),
        stop_reason=st.none() | REASONS,
        usage=USAGES,
    ),
)


def event(kind: str, **values: Any) -> Any:
    return st.fixed_dictionaries({"type": st.just(kind)}, optional=values)


PARTS = st.one_of(
    event("content_block_start", index=INDEXES, content_block=BLOCKS),
    event("content_block_delta", index=INDEXES, delta=DELTAS),
    event("content_block_stop", index=INDEXES),
)
EVENTS = st.one_of(
    PARTS,
    event("message_start", message=MESSAGES),
    event("message_delta", delta=optional(stop_reason=REASONS) | st.none(), usage=USAGES),
    event("message_stop", **{"amazon-bedrock-invocationMetrics": optional(outputTokenCount=NUMBERS) | JUNK}),
    event("ping"),
    event("of_the_future", a=JUNK),
    JUNK,
)
NAMES_OF_EXCEPTIONS = st.sampled_from(
    [
        "internalServerException",
        "modelStreamErrorException",
        "modelTimeoutException",
        "serviceUnavailableException",
        "throttlingException",
        "validationException",
        "accessDeniedException",
        "brandNewException",
    ]
)
ENDS = st.one_of(
    st.just([]),
    st.just([]),
    NAMES_OF_EXCEPTIONS.map(lambda name: [exception_frame(name, "Words.")]),
    st.builds(
        lambda kind, words: [{"type": "error", "error": {"type": kind, "message": words}}],
        st.sampled_from(["rate_limit_error", "overloaded_error", "api_error", "", None]),
        TEXTS,
    ),
    JUNK.map(lambda error: [{"type": "error", "error": error}]),
    st.just([b"\x00" * 64]),
    st.just([chunk_frame(OPENING)[:-9]]),
    st.just([encode_frame({":event-type": "chunk", ":message-type": "event"}, b'{"bytes": "%%%"}')]),
    st.just([encode_frame({":event-type": "chunk", ":message-type": "event"}, b'{"bytes": ["eA=="]}')]),
    st.just([encode_frame({":event-type": "of_the_future", ":message-type": "event"}, b"\xff")]),
)
GOOD_STREAM = [
    OPENING,
    block(0, type="text", text=""),
    delta(0, type="text_delta", text=GOOD),
    ended(0),
    *CLOSING,
]


@st.composite
def any_stream(draw: st.DrawFn) -> list[Any]:
    """A right stream with events dropped, doubled, put elsewhere and others put in; or none but those."""
    events: list[Any] = list(GOOD_STREAM) if draw(st.booleans()) else []
    for extra in draw(st.lists(EVENTS, max_size=6)):
        events.insert(draw(st.integers(0, len(events))), extra)
    for _ in range(draw(st.integers(0, 2))):
        if events:
            taken = events.pop(draw(st.integers(0, len(events) - 1)))
            for _ in range(draw(st.sampled_from([0, 1, 2]))):
                events.insert(draw(st.integers(0, len(events))), taken)
    return [*events, *draw(ENDS)]


HARMLESS = st.one_of(
    st.sampled_from(
        [
            {"type": "ping"},
            {"type": "of_the_future", "a": [None]},
            {"type": "message_start", "message": {"usage": None, "model": None}},
            {"type": "message_delta", "delta": {"stop_reason": None}, "usage": None},
            {"type": "message_delta", "delta": None},
            block(7, type="text"),
            block(7, type="text", text=None, citations=[]),
            block(8, type="thinking", thinking=None),
            block(8, type="redacted_thinking"),
            block(9, type="server_tool_use", id="s", name="web_search", input=None),
            block(9, type="web_search_tool_result", tool_use_id="s", content=None),
            block(9, type="of_the_future"),
            block(9),
            delta(7, type="text_delta", text=None),
            delta(7, type="text_delta"),
            delta(7, type="citations_delta", citation={"cited_text": "x"}),
            delta(8, type="thinking_delta", thinking="hm"),
            delta(8, type="signature_delta", signature=None),
            ended(7),
            ended(None),
            None,
            [],
            5,
        ]
    )
)
