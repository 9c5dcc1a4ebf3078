"""Thinking: how much, in which block, and what is refused when the block comes back."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from chassis.local.simulator.model_files import Model, known_models
from chassis.local.simulator.simulator_errors import ApiError
from chassis.local.simulator.thinking_blocks import check_history, thought_for
from tests.with_each import with_each

OPUS_5 = known_models()["claude-opus-5"]
OPUS_5_5 = known_models()["claude-opus-5-5"]
OPUS_4_6 = known_models()["claude-opus-4-6"]
THINKING = [model for model in known_models().values() if model.thinks_unasked]
MARK = {"cache_control": {"type": "ephemeral"}}
Body = dict[str, Any]


def asked(**more: Any) -> Body:
    turns = [{"role": "user", "content": [{"type": "text", "text": "Add 5 and 3."}]}]
    return {"max_tokens": 4_000, "system": "You add.", "messages": turns, **more}


def continued(body: Body, model: Model) -> Body:
    """The conversation's next request: the answer, thinking included, and what is wrong with it."""
    thought = thought_for(body, model)
    assert thought is not None
    block = {"type": "thinking", "thinking": thought.text, "signature": thought.signature}
    answer = {"role": "assistant", "content": [block, {"type": "text", "text": "9"}]}
    turns = [*body["messages"], answer, {"role": "user", "content": "No."}]
    return copy.deepcopy(body | {"messages": turns})


def refusal(body: Body, model: Model) -> str | None:
    try:
        check_history(body, model)
    except ApiError as error:
        return f"{error.status} {error.form} {error.message}".removeprefix(f"400 {model.shape} ")
    return None


@with_each("model", known_models())
def test_a_model_thinks_by_itself_or_when_it_is_told_to_and_its_text_is_shown_before_4_7(
    model: Model,
) -> None:
    assert (thought_for(asked(), model) is not None) == model.thinks_unasked
    kind = "adaptive" if "adaptive" in model.thinking else "enabled"
    told = thought_for(asked(thinking={"type": kind}), model)
    assert told is not None
    assert (told.text != "") == (model.shape == "aws")
    for off in {"disabled", "between_tools"} & {*model.thinking}:
        assert thought_for(asked(thinking={"type": off}), model) is None


def test_how_much_is_thought_goes_by_the_effort_and_by_the_models_own_default() -> None:
    def tokens(model: Model, *effort: str) -> int:
        thought = thought_for(asked(output_config={"effort": effort[0]}) if effort else asked(), model)
        return thought.tokens if thought else 0

    counts = [tokens(OPUS_5, effort) for effort in OPUS_5.efforts]
    assert counts == sorted({*counts})
    assert tokens(OPUS_5) == tokens(OPUS_5, "high")
    assert tokens(OPUS_5_5) == tokens(OPUS_5_5, "medium")
    assert tokens(OPUS_5.model_copy(update={"thinking_tokens": 7})) == 7


def test_the_text_is_shown_or_left_out_as_asked() -> None:
    for display, shown in (("summarized", True), ("omitted", False)):
        thought = thought_for(asked(thinking={"type": "adaptive", "display": display}), OPUS_4_6)
        assert thought is not None
        assert (thought.text != "") is shown


@pytest.mark.parametrize("model", THINKING, ids=lambda model: model.family)
def test_a_block_that_comes_back_as_it_was_is_taken_turn_after_turn(model: Model) -> None:
    second = continued(asked(), model)
    assert refusal(second, model) is None
    assert refusal(continued(second, model), model) is None


@with_each(
    "change",
    [
        {"thinking": "I thought of more."},
        {"signature": "AAAA"},
        {"signature": ""},
        {"signature": "no base64"},
    ],
)
@with_each("model", THINKING)
def test_a_changed_block_is_refused_by_every_model(model: Model, change: dict[str, str]) -> None:
    body = continued(asked(), model)
    body["messages"][1]["content"][0] |= change
    assert refusal(body, model) == "messages.1.content.0: Invalid `signature` in `thinking` block."


@pytest.mark.parametrize("name", ["thinking", "signature"])
def test_a_block_without_its_parts_is_refused(name: str) -> None:
    body = continued(asked(), OPUS_5)
    del body["messages"][1]["content"][0][name]
    assert refusal(body, OPUS_5) == f"messages.1.content.0.thinking.{name}: Field required"


def _edit_a_turn(body: Body) -> None:
    body["messages"][0]["content"] = "Add 5 and 4."


def _drop_earlier_thinking(body: Body) -> None:
    del body["messages"][1]["content"][0]


CHANGES: dict[str, Callable[[Body], Any]] = {
    "system": lambda body: body.update(system="You multiply."),
    "tools": lambda body: body.update(tools=[{"name": "answer"}]),
    "an earlier turn": _edit_a_turn,
    "an earlier thinking block": _drop_earlier_thinking,
}


@with_each("change", CHANGES.keys())
@with_each("model", THINKING)
def test_a_changed_history_is_refused_by_the_models_that_bind_their_thinking(
    model: Model, change: str
) -> None:
    body = continued(continued(asked(), model), model)
    CHANGES[change](body)
    told = refusal(body, model)
    assert (told is not None) == model.binds_thinking
    if told is not None:
        assert "The block is bound to a different conversation" in told


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body["messages"][0]["content"][0].update(MARK),
        lambda body: body.update(system=[{"type": "text", "text": "You add."}]),
        lambda body: body.update(
            tool_choice={"type": "none"}, output_config={"effort": "low"}, max_tokens=9_000
        ),
    ],
    ids=["a breakpoint", "text or block", "options"],
)
def test_what_is_said_in_the_same_words_is_no_change(change: Callable[[Body], None]) -> None:
    body = continued(asked(), OPUS_5_5)
    change(body)
    assert refusal(body, OPUS_5_5) is None


def test_a_history_without_its_thinking_and_that_of_another_model_are_taken() -> None:
    body = continued(asked(), OPUS_5_5)
    del body["messages"][1]["content"][0]
    assert refusal(body, OPUS_5_5) is None
    other = continued(asked(), OPUS_5)
    other["system"] = "You multiply."
    assert refusal(other, OPUS_5_5) is None, "a block that the model can't read is left out without an error"


def test_with_a_budget_to_think_the_turn_of_a_tool_begins_with_its_thinking() -> None:
    body = continued(asked(thinking={"type": "enabled", "budget_tokens": 2_000}), OPUS_4_6)
    body["messages"][1]["content"][1] = {"type": "tool_use", "id": "t", "name": "answer", "input": {}}
    body["messages"][2]["content"] = [{"type": "tool_result", "tool_use_id": "t", "content": "No."}]
    assert refusal(body, OPUS_4_6) is None
    del body["messages"][1]["content"][0]
    told = refusal(body, OPUS_4_6)
    assert told is not None
    assert told.startswith(
        "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`"
    )
    assert refusal(body | {"thinking": {"type": "adaptive"}}, OPUS_4_6) is None
