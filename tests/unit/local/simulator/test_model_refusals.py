"""What a model refuses in a request that is well formed."""

from __future__ import annotations

from typing import Any

import pytest

from chassis.local.simulator.model_files import Model, known_models
from chassis.local.simulator.model_refusals import check_features
from chassis.local.simulator.simulator_errors import ApiError
from tests.with_each import with_each

GOOD = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 4000, "messages": []}
SCHEMA = {"type": "object", "properties": {}, "additionalProperties": False}
FORMAT = {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}}
TOOL = {"tool_choice": {"type": "tool", "name": "answer"}}
ADAPTIVE = {"thinking": {"type": "adaptive"}}
ENABLED = {"thinking": {"type": "enabled", "budget_tokens": 2000}}
NO_TOOL = 'tool_choice: type "tool" and "any" are not supported for this model.'
NO_FORMAT = "output_config.format: Extra inputs are not permitted"


def refusal(model: Model, **asked: Any) -> ApiError | None:
    try:
        check_features(GOOD | asked, model)
    except ApiError as error:
        return error
    return None


@with_each("model", known_models())
def test_a_model_takes_what_its_file_says_and_refuses_the_rest_in_its_shape(model: Model) -> None:
    thinking_tool = TOOL | (ADAPTIVE if model.shape == "anthropic" else ENABLED)
    tried = {
        "format": (FORMAT, model.format == "taken"),
        "tool": (TOOL, model.forced_tool != "refused"),
        "tool while thinking": (thinking_tool, model.forced_tool == "taken"),
        "newest version": ({"anthropic_version": "2026-10-21"}, model.shape == "anthropic"),
        "some version": ({"anthropic_version": "2019-01-01"}, False),
        "no effort": ({"output_config": {"effort": "lowest"}}, False),
        **{
            kind: ({"thinking": {"type": kind, "budget_tokens": 2000}}, kind in model.thinking)
            for kind in ("enabled", "adaptive", "disabled", "between_tools", "sometimes")
        },
        **{
            effort: ({"output_config": {"effort": effort}}, effort in model.efforts)
            for effort in ("low", "medium", "high", "xhigh", "max")
        },
    }
    for name, (asked, taken) in tried.items():
        refused = refusal(model, **asked)
        assert (refused is None) == taken, name
        assert refused is None or (refused.status, refused.form) == (400, model.shape), name


@pytest.mark.parametrize(
    ("family", "asked", "words"),
    [
        ("opus-4-8", FORMAT, NO_FORMAT),
        ("opus-5-5", TOOL, NO_TOOL),
        (
            "haiku-4-5",
            TOOL | ENABLED,
            "The model returned the following errors: Thinking may not be enabled when tool_choice forces tool use.",
        ),
        (
            "haiku-4-5",
            {"output_config": {"effort": "low"}},
            "This model does not support the effort parameter.",
        ),
        ("opus-4-5", ADAPTIVE, "adaptive thinking is not supported on this model"),
        (
            "opus-5-5",
            {"thinking": {"type": "disabled"}},
            '"thinking.type.disabled" is not supported for this model. Use "thinking.type.adaptive" and '
            '"output_config.effort" to control thinking behavior.',
        ),
        (
            "opus-5",
            {"thinking": {"type": "disabled"}, "output_config": {"effort": "xhigh"}},
            '"thinking.type.disabled" is not supported with effort "xhigh".',
        ),
        (
            "opus-4-6",
            {"thinking": {"type": "enabled", "budget_tokens": 4000}},
            "`max_tokens` must be greater than `thinking.budget_tokens`.",
        ),
    ],
)
def test_a_refusal_has_the_words_that_people_report(family: str, asked: dict[str, Any], words: str) -> None:
    refused = refusal(known_models()[f"claude-{family}"], **asked)
    assert refused is not None
    assert refused.message == words


def test_what_a_model_refuses_comes_where_and_how_it_is_played() -> None:
    played = {"format": "refused", "forced_tool": "refused", "place": "in_stream", "status": 422}
    model = known_models()["claude-opus-4-6"].model_copy(update=played)
    for form, words in ((FORMAT, NO_FORMAT), (TOOL, NO_TOOL)):
        refused = refusal(model, **form)
        assert refused is not None
        assert refused.message == f"The model returned the following errors: {words}"
        assert (refused.status, refused.in_stream, refused.form) == (422, True, "aws")
    effort = refusal(model, output_config={"effort": "xhigh"})
    assert effort is not None
    assert (effort.status, effort.in_stream) == (422, True)


def test_a_grammar_can_be_too_large() -> None:
    model = known_models()["claude-opus-4-6"].model_copy(update={"format": "too_complex"})
    refused = refusal(model, **FORMAT)
    assert refused is not None
    assert "compiled grammar is too large" in refused.message


def test_a_schema_beyond_constrained_decoding_is_refused_where_the_form_is_taken() -> None:
    beyond = {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}}
    taken, refused = (
        refusal(known_models()[f"claude-{name}"], **beyond) for name in ("opus-4-6", "opus-4-8")
    )
    assert taken is not None
    assert "additionalProperties" in taken.message
    assert refused is not None
    assert refused.message == NO_FORMAT
