"""Facts of models go by the family name inside an id, and an unknown model is taken for a new one."""

from __future__ import annotations

from chassis.claude.models import MAX_TOKENS, MAX_TOKENS_WITH_THINKING, facts_of
from tests.with_each import with_each


@with_each(
    "model, family",
    [
        ("us.anthropic.claude-opus-4-6-v1", "Opus 4.6"),
        ("anthropic.claude-haiku-4-5-20251001-v1:0", "Haiku 4.5"),
        ("global.anthropic.claude-opus-5-5", "Opus 5.5"),
        ("eu.anthropic.claude-opus-5-20260801-v1:0", "Opus 5"),
        ("eu.anthropic.claude-sonnet-5-v1:0", "Sonnet 5"),
        ("us.anthropic.claude-fable-5-1-v1:0", "Fable 5.1"),
        (
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-opus-4-7",
            "Opus 4.7",
        ),
        ("claude-opus-4.6", "Opus 4.6"),
        ("us.anthropic.claude-opus-6-v1", ""),
        ("anthropic.claude-sonnet-4-20250514-v1:0", ""),
        ("arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123", ""),
        ("gateway-model", ""),
    ],
)
def test_a_family_is_found_inside_every_kind_of_id(model: str, family: str) -> None:
    assert facts_of(model).family == family


@with_each(
    "model, minimum",
    [
        ("claude-opus-4-6", 4096),
        ("claude-opus-4-5", 4096),
        ("claude-haiku-4-5", 4096),
        ("claude-opus-4-7", 2048),
        ("claude-opus-4-8", 1024),
        ("claude-sonnet-4-6", 1024),
        ("claude-sonnet-4-5", 1024),
        ("claude-sonnet-5", 1024),
        ("claude-opus-5", 512),
        ("claude-opus-5-5", 512),
        ("claude-sonnet-5-5", 512),
        ("claude-haiku-5-5", 512),
        ("claude-fable-5-2", 512),
    ],
)
def test_the_least_prefix_is_the_documented_one(model: str, minimum: int) -> None:
    assert facts_of(model).cache_minimum == minimum


def test_a_model_that_thinks_by_itself_gets_room_and_time_for_it() -> None:
    silent, thinking = facts_of("claude-opus-4-6"), facts_of("claude-opus-5-5")
    assert (silent.max_tokens(), thinking.max_tokens()) == (MAX_TOKENS, MAX_TOKENS_WITH_THINKING)
    assert 600 <= silent.silence_seconds() < thinking.silence_seconds()
    assert silent.max_tokens("adaptive") == MAX_TOKENS_WITH_THINKING, "told to think, it needs the room, too"


def test_thinking_that_can_not_be_switched_off_keeps_its_room() -> None:
    assert facts_of("claude-opus-5").max_tokens("disabled") == MAX_TOKENS
    assert facts_of("claude-opus-5-5").max_tokens("disabled") == MAX_TOKENS_WITH_THINKING


def test_a_model_that_is_not_known_is_taken_for_a_new_one() -> None:
    unknown = facts_of("us.anthropic.claude-opus-6-v1")
    assert unknown.thinks
    assert unknown.efforts == ("low", "medium", "high", "xhigh", "max"), "the answer tells what it takes"
    old = facts_of("anthropic.claude-3-5-sonnet-20241022-v2:0")
    assert not old.thinks
    assert old.efforts == ()
