"""Whose word on thinking and effort counts, what of it is sent, and what a refusal of it does."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from chassis.claude import thinking as module
from chassis.claude.reply import Reply
from chassis.claude.request import ClaudeRequest
from chassis.claude.thinking import asked_for, fields_of, with_thinking
from chassis.errors import RequestRefusedError

OPUS = "us.anthropic.claude-opus-4-6-v1"


@pytest.fixture(autouse=True)
def nothing_refused_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_refused_until", {})


def says(effort: str | None = None, thinking: str | None = None) -> Any:
    return SimpleNamespace(effort=effort, thinking=thinking)


def request(model: str = OPUS, **said: Any) -> ClaudeRequest:
    asked = {"system": (), "messages": (), "answer_schema": {}, "max_tokens": 9}
    return ClaudeRequest(model=model, **asked, **said)


def test_the_first_who_says_something_counts() -> None:
    task, agent, connection = says("low"), says("high", "adaptive"), says("max", "disabled")
    assert asked_for(OPUS, task, agent, connection) == {"effort": "low", "thinking": "adaptive"}
    assert asked_for(OPUS, says(), None, connection) == {"effort": "max", "thinking": "disabled"}
    assert asked_for(OPUS, says()) == {"effort": None, "thinking": None}


@pytest.mark.parametrize(
    ("model", "said", "left"),
    [
        ("us.anthropic.claude-haiku-4-5", says("low", "adaptive"), (None, None)),
        (OPUS, says("xhigh", "adaptive"), (None, "adaptive")),
        ("us.anthropic.claude-opus-5-5", says("xhigh", "disabled"), ("xhigh", None)),
        ("us.anthropic.claude-opus-9", says("xhigh", "disabled"), ("xhigh", "disabled")),
    ],
)
def test_what_a_model_refuses_for_certain_is_not_sent(model: str, said: Any, left: tuple[Any, Any]) -> None:
    asked = asked_for(model, said)
    assert (asked["effort"], asked["thinking"]) == left


@pytest.mark.parametrize(
    ("model", "said", "sent"),
    [
        (OPUS, {"effort": "low"}, {"output_config": {"effort": "low"}}),
        (OPUS, {"thinking": "adaptive"}, {"thinking": {"type": "adaptive"}}),
        (OPUS, {"thinking": "disabled"}, {}),
        ("us.anthropic.claude-sonnet-5", {"thinking": "disabled"}, {"thinking": {"type": "disabled"}}),
        ("us.anthropic.claude-sonnet-5-5", {"thinking": "disabled"}, {"thinking": {"type": "between_tools"}}),
    ],
    ids=["effort", "adaptive", "nothing to switch off", "off", "the least there is"],
)
def test_each_model_is_told_in_its_own_words(model: str, said: dict[str, Any], sent: dict[str, Any]) -> None:
    told: dict[str, Any] = {}
    for field in fields_of(request(model, **said)).values():
        told |= field
    assert told == sent


class Server:
    """Refuses payloads by a rule and notes all."""

    def __init__(self, *words: str | None) -> None:
        self.words = list(words)
        self.payloads: list[dict[str, Any]] = []

    async def ask(self, payload: dict[str, Any]) -> Reply:
        self.payloads.append(payload)
        words = self.words.pop(0) if self.words else None
        if words is not None:
            raise RequestRefusedError("refused", words=words, status=400)
        return Reply()

    def told(self) -> list[tuple[Any, Any]]:
        return [(p.get("thinking"), p.get("output_config")) for p in self.payloads]


FORMAT = {"output_config": {"format": {"type": "json_schema"}}}
BOTH = ({"type": "adaptive"}, {"effort": "low"})


def asked(server: Server, *payloads: dict[str, Any], **said: Any) -> None:
    ask = with_thinking(server.ask, request(**({"effort": "low", "thinking": "adaptive"} | said)))
    for payload in payloads:
        asyncio.run(ask(payload))


@pytest.mark.parametrize(
    ("words", "then"),
    [
        ("This model does not support the effort parameter.", ({"type": "adaptive"}, None)),
        ("output_config.effort: 'low' is not supported by this model", ({"type": "adaptive"}, None)),
        ("output_config: Extra inputs are not permitted", ({"type": "adaptive"}, None)),
        ("adaptive thinking is not supported on this model", (None, {"effort": "low"})),
        (
            '"thinking.type.disabled" is not supported for this model. Use "thinking.type.adaptive" and '
            '"output_config.effort" to control thinking behavior.',
            (None, {"effort": "low"}),
        ),
    ],
)
def test_what_a_model_refuses_is_left_out_and_the_call_made_again_and_remembered(
    words: str, then: tuple[Any, Any]
) -> None:
    server = Server(words)
    asked(server, {"model": OPUS}, {"model": OPUS})
    assert server.told() == [BOTH, then, then]


def test_both_can_be_refused_one_after_the_other() -> None:
    server = Server("adaptive thinking is not supported", "no effort parameter here")
    asked(server, {"model": OPUS})
    assert server.told() == [BOTH, (None, {"effort": "low"}), (None, None)]


def test_a_schema_and_effort_share_a_field_and_a_refused_schema_is_no_refused_effort() -> None:
    server = Server("output_config.format: Extra inputs are not permitted")
    with pytest.raises(RequestRefusedError):
        asked(server, {"model": OPUS} | FORMAT)
    assert server.payloads[0]["output_config"] == FORMAT["output_config"] | {"effort": "low"}
    assert FORMAT == {"output_config": {"format": {"type": "json_schema"}}}, (
        "the payload itself stays as it was"
    )


@pytest.mark.parametrize(
    "words",
    [
        "messages.1.content.0: thinking blocks in the latest assistant message cannot be modified",
        "max_tokens: too many",
    ],
)
def test_another_refusal_is_raised(words: str) -> None:
    with pytest.raises(RequestRefusedError):
        asked(Server(words), {"model": OPUS})


def test_what_is_refused_with_a_forced_tool_alone_is_sent_without_one() -> None:
    server = Server("Thinking may not be enabled when tool_choice forces tool use.")
    forced = {"model": OPUS, "tool_choice": {"type": "tool", "name": "answer"}}
    asked(server, forced, {"model": OPUS})
    assert [thinking for thinking, _ in server.told()] == [BOTH[0], None, BOTH[0]]


def test_a_refusal_is_forgotten_after_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server("This model does not support the effort parameter.")
    asked(server, {"model": OPUS})
    later = module.time.monotonic() + module.REFUSED_SECONDS + 1
    monkeypatch.setattr(module.time, "monotonic", lambda: later)
    asked(server, {"model": OPUS})
    assert server.told()[-1] == BOTH
