"""What is known of each model, and who answers to an id."""

from __future__ import annotations

import pytest

from chassis.local.simulator.model_files import Cast, Play, known_models
from chassis.local.simulator.simulator_errors import ApiError, SimulatorError
from tests.with_each import with_each

PROFILE = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123"


@with_each("family", known_models().keys())
def test_a_models_file_is_named_after_it_and_agrees_with_itself(family: str) -> None:
    model = known_models()[family]
    assert model.default_effort is None or model.default_effort in model.efforts
    assert (model.default_effort is None) == (model.efforts == ())
    assert model.thinks_unasked <= ("adaptive" in model.thinking), "what thinks by itself does so adaptively"
    assert model.binds_thinking <= model.thinks_unasked
    assert ("2026-10-21" in model.versions) == (model.shape == "anthropic"), "both came with 4.7"
    assert model.shows_thinking == (model.shape == "aws")
    assert ("enabled" in model.thinking) == (model.shape == "aws")
    assert "apac" not in model.prefixes or model.shape == "aws"
    for field in (
        "format",
        "forced_tool",
        "cache_minimum",
        "versions",
        "shape",
        "prefixes",
        "thinking",
        "efforts",
    ):
        told = [
            source for source in model.sources if field in source.partition(":")[0] or "model card" in source
        ]
        assert told, f"{family} has no source for {field}"


def test_every_model_that_the_facts_name_has_a_file() -> None:
    named = {f"opus-{version}" for version in ("4-5", "4-6", "4-7", "4-8", "5", "5-5")}
    named |= {"sonnet-4-5", "sonnet-4-6", "sonnet-5", "sonnet-5-5", "haiku-4-5", "haiku-5-5"}
    named |= {"fable-5", "fable-5-1", "fable-5-2", "mythos-5-1", "mythos-5-2"}
    assert {family.removeprefix("claude-") for family in known_models()} == named


@pytest.mark.parametrize(
    ("model_id", "family"),
    [
        ("us.anthropic.claude-opus-4-6-v1", "claude-opus-4-6"),
        ("eu.anthropic.claude-opus-4-6-v1:0", "claude-opus-4-6"),
        ("apac.anthropic.claude-haiku-4-5-20251001-v1:0", "claude-haiku-4-5"),
        ("global.anthropic.claude-opus-5", "claude-opus-5"),
        ("jp.anthropic.claude-opus-5-5", "claude-opus-5-5"),
        (
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-5",
            "claude-sonnet-5",
        ),
        (PROFILE, "claude-opus-4-6"),
    ],
)
def test_the_id_says_which_model_answers(model_id: str, family: str) -> None:
    assert Cast().model(model_id).family == family


@pytest.mark.parametrize(
    "model_id",
    [
        *["", "claude-opus-4-6", "meta.llama3-70b", "us.anthropic.gpt", "us.anthropic.claude-x/../y"],
        *["us.anthropic.claude-nobody-knows", "us.anthropic.claude-opus-9", "us.anthropic.claude-opus-4-60"],
        *["apac.anthropic.claude-opus-4-7", "moon.anthropic.claude-opus-4-6-v1"],
    ],
)
def test_an_id_that_no_model_has_is_refused_in_bedrocks_words(model_id: str) -> None:
    with pytest.raises(ApiError, match=r"^The provided model identifier is invalid\.$"):
        Cast().model(model_id)


@pytest.mark.parametrize(
    "model_id",
    [
        "anthropic.claude-opus-4-6-v1:0",
        "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-sonnet-4-5-20250929-v1:0",
    ],
)
def test_a_model_without_its_inference_profile_is_refused(model_id: str) -> None:
    with pytest.raises(ApiError, match="with on-demand throughput isn't supported") as refused:
        Cast().model(model_id)
    assert (refused.value.status, refused.value.form) == (400, "aws")
    assert model_id.rpartition("/")[2] in refused.value.message


def test_a_model_can_be_played_otherwise_for_a_while_and_the_last_word_wins() -> None:
    cast = Cast()
    cast.add(Play(model="us.*", behaviour={"format": "refused", "place": "in_stream"}))
    cast.add(Play(behaviour={"format": "runs_away"}))
    cast.add(Play(model=PROFILE, plays="claude-fable-5-1"))
    ours = cast.model("us.anthropic.claude-opus-4-6-v1")
    assert (ours.format, ours.place) == ("runs_away", "in_stream")
    assert cast.model("eu.anthropic.claude-opus-4-6-v1").place == "before"
    assert cast.model(PROFILE).family == "claude-fable-5-1"
    cast.clear()
    assert cast.model("us.anthropic.claude-opus-4-6-v1") == known_models()["claude-opus-4-6"]
    assert cast.model(PROFILE).family == "claude-opus-4-6"


@pytest.mark.parametrize(
    ("play", "words"),
    [
        (Play(behaviour={"format": "maybe"}), "format"),
        (Play(behaviour={"forms": "refused"}), "forms: Extra inputs"),
        (Play(plays="claude-opus-9"), "no model claude-opus-9"),
    ],
)
def test_a_play_that_no_model_could_give_is_refused(play: Play, words: str) -> None:
    with pytest.raises(SimulatorError, match=words):
        Cast().add(play)
