"""The forms of an answer: which is asked for, when another takes its place, and what is remembered of it."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from chassis.claude.answer_forms import ASKED_FOR, CONSTRAINED, FORCED_TOOL, Form, FormMemory
from chassis.claude.conversation import ClaudeAnswer, converse
from chassis.claude.reply import Reply
from chassis.claude.request import ClaudeRequest, Message, text_block
from chassis.errors import AnswerTruncatedError, ClaudeError, ModelNotFoundError, RequestRefusedError
from chassis.prompts import schema_message
from tests.with_each import with_each

if TYPE_CHECKING:
    from collections.abc import Callable

FORMS = (CONSTRAINED, FORCED_TOOL, ASKED_FOR)
SCHEMA = {
    "type": "object",
    "properties": {"sum": {"type": "integer"}},
    "required": ["sum"],
    "additionalProperties": False,
}
OPEN = SCHEMA | {"additionalProperties": True}
GOOD = '{"sum": 8}'
WORDS = {
    CONSTRAINED: "output_config.format: Extra inputs are not permitted",
    FORCED_TOOL: 'tool_choice: type "tool" and "any" are not supported for this model.',
    ASKED_FOR: "Malformed input request",
}
THINKING = {"type": "thinking", "thinking": "", "signature": "c2ln"}


def a_request(model: str = "a-model", schema: dict[str, Any] = SCHEMA) -> ClaudeRequest:
    content = (text_block("What all share.", cached=True), text_block("Add 5 and 3."))
    return ClaudeRequest(
        model=model,
        max_tokens=1000,
        system=("You work.",),
        messages=(Message(role="user", content=content),),
        answer_schema=schema,
        subject="task 'add'",
    )


def form_of(payload: dict[str, Any]) -> Form:
    if "output_config" in payload:
        return CONSTRAINED
    return FORCED_TOOL if "tool_choice" in payload else ASKED_FOR


def refused(words: str, status: int = 400) -> RequestRefusedError:
    return RequestRefusedError(f"Bedrock refused the request: {words}", words=words, status=status)


def a_reply(payload: dict[str, Any], text: str = GOOD, stop_reason: str = "end_turn") -> Reply:
    """An answer in the form of the payload, of 10 tokens."""
    block = {"type": "text", "text": text}
    if form_of(payload) is FORCED_TOOL:
        block = {"type": "tool_use", "id": "toolu_1", "name": "answer", "input": text}
        stop_reason = "tool_use" if stop_reason == "end_turn" else stop_reason
    return Reply(
        stop_reason=stop_reason,
        blocks={0: THINKING, 1: block},
        counts={"output_tokens": 10},
        output_counted=True,
    )


class Model:
    """Answers, but in the forms that it refuses.

    :param script: the next answers, each as text or as a function of the payload; good ones after it
    """

    def __init__(
        self, *script: str | Callable[[dict[str, Any]], Reply], refuses: tuple[Form, ...] = ()
    ) -> None:
        self.script = list(script)
        self.refuses = set(refuses)
        self.payloads: list[dict[str, Any]] = []
        self.memory = FormMemory(clock=lambda: self.now)
        self.now = 0.0

    async def __call__(self, payload: dict[str, Any]) -> Reply:
        self.payloads.append(json.loads(json.dumps(payload)))
        if form_of(payload) in self.refuses:
            raise refused(WORDS[form_of(payload)])
        answer = self.script.pop(0) if self.script else GOOD
        return a_reply(payload, answer) if isinstance(answer, str) else answer(payload)

    @property
    def forms(self) -> list[Form]:
        return [form_of(payload) for payload in self.payloads]

    def answer(self, request: ClaudeRequest | None = None, *, repairs: int = 0) -> ClaudeAnswer:
        self.payloads.clear()
        talk = converse(
            self, request or a_request(), check=lambda data: [], repairs=repairs, memory=self.memory
        )
        return asyncio.run(talk)


def cut(payload: dict[str, Any]) -> Reply:
    return a_reply(payload, '{"su', "max_tokens")


@pytest.mark.parametrize(
    ("refuses", "tried"),
    [
        ((), [CONSTRAINED]),
        ((CONSTRAINED,), [CONSTRAINED, FORCED_TOOL]),
        ((FORCED_TOOL,), [CONSTRAINED]),
        ((CONSTRAINED, FORCED_TOOL), [CONSTRAINED, FORCED_TOOL, ASKED_FOR]),
    ],
)
def test_the_next_form_is_tried_when_the_model_refuses_one_and_then_remembered(
    refuses: tuple[Form, ...], tried: list[Form]
) -> None:
    model = Model(refuses=refuses)
    assert model.answer().data == {"sum": 8}
    assert model.forms == tried
    assert model.answer().usage.calls == 1
    assert model.forms == tried[-1:]


def test_all_forms_refused_are_one_error_with_what_bedrock_said_of_each() -> None:
    model = Model(refuses=FORMS)
    with pytest.raises(RequestRefusedError) as caught:
        model.answer()
    for form in FORMS:
        assert f"- {form.name}: {WORDS[form]}" in caught.value.message
    assert "Set another model" in caught.value.hint
    assert caught.value.usage == {}
    with pytest.raises(RequestRefusedError):
        model.answer()
    assert model.forms == list(FORMS), "nothing was taken, so nothing is remembered"


def test_a_schema_that_decoding_cannot_follow_is_not_tried_with_it() -> None:
    model = Model(refuses=(FORCED_TOOL,))
    model.answer(a_request(schema=OPEN))
    assert model.forms == [FORCED_TOOL, ASKED_FOR]


@pytest.mark.parametrize(
    ("words", "first"),
    [
        ("prompt is too long: 213000 tokens > 200000 maximum", CONSTRAINED),
        ("max_tokens: 64000 > 32000, which is the maximum for a-model", CONSTRAINED),
        ("This model does not support the effort parameter.", CONSTRAINED),
        ("output_config.effort: Extra inputs are not permitted", CONSTRAINED),
        (
            '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive" and '
            '"output_config.effort" to control thinking behavior.',
            CONSTRAINED,
        ),
        ("output_config: Extra inputs are not permitted", FORCED_TOOL),
    ],
)
def test_a_refusal_of_something_else_passes_unchanged(words: str, first: Form) -> None:
    model = Model()
    model.memory.learn(a_request(), first)
    error = refused(words)

    def refuse(payload: dict[str, Any]) -> Reply:
        raise error

    model.script = [refuse]
    with pytest.raises(RequestRefusedError) as caught:
        model.answer()
    assert caught.value is error
    assert model.forms == [first]


REFUSALS = [
    (CONSTRAINED, "output_config.format: Extra inputs are not permitted"),
    (CONSTRAINED, "The model returned the following errors: output_config: Extra inputs are not permitted"),
    (CONSTRAINED, "Malformed input request: #: extraneous key [output_config] is not permitted"),
    (CONSTRAINED, "The compiled grammar is too large, which would cause performance issues."),
    (CONSTRAINED, "Schema is too complex for compilation."),
    (CONSTRAINED, "This model does not support structured outputs."),
    (FORCED_TOOL, 'tool_choice: type "tool" and "any" are not supported for this model.'),
    (FORCED_TOOL, "Thinking may not be enabled when tool_choice forces tool use."),
    (FORCED_TOOL, "tools.0.custom.input_schema: JSON schema is invalid"),
    (FORCED_TOOL, "This model doesn't support tool use in streaming mode."),
]


@with_each("status", [200, 400, 422])
@with_each("form, words", REFUSALS)
def test_a_form_is_refused_by_its_words_whatever_the_status(form: Form, words: str, status: int) -> None:
    assert form.refused_by(refused(words, status))


def test_words_about_a_form_in_another_error_change_nothing() -> None:
    model = Model()

    def missing(payload: dict[str, Any]) -> Reply:
        raise ModelNotFoundError("It isn't there.", words="output_config.format")

    model.script = [missing]
    with pytest.raises(ModelNotFoundError):
        model.answer()
    assert model.forms == [CONSTRAINED]


def test_a_connection_that_is_named_like_a_form_is_no_refusal_of_it() -> None:
    error = RequestRefusedError("Bedrock at schema.tools (connection 'schema') refused.", words="Too long.")
    assert not any(form.refused_by(error) for form in FORMS)


def test_what_a_refusal_inside_a_stream_cost_is_counted() -> None:
    model = Model()

    def late(payload: dict[str, Any]) -> Reply:
        error = refused(WORDS[CONSTRAINED], 200)
        error.usage = {"input_tokens": 7, "calls": 1}
        raise error

    model.script = [late]
    usage = model.answer().usage
    assert (usage.input_tokens, usage.output_tokens, usage.calls) == (7, 10, 2)


def test_an_answer_without_an_end_is_asked_for_in_another_form_and_both_are_counted() -> None:
    model = Model(cut, GOOD)
    answer = model.answer()
    assert answer.data == {"sum": 8}
    assert (answer.attempts, answer.usage.calls, answer.usage.output_tokens) == (1, 2, 20)
    assert model.forms == [CONSTRAINED, FORCED_TOOL]
    assert model.payloads[1]["messages"] == model.payloads[0]["messages"], "what was cut isn't sent back"
    model.answer()
    assert model.forms == [FORCED_TOOL]


def test_an_answer_without_an_end_passes_over_forms_that_are_refused() -> None:
    model = Model(cut, GOOD, refuses=(FORCED_TOOL,))
    assert model.answer().data == {"sum": 8}
    assert model.forms == list(FORMS)


@pytest.mark.parametrize("refuses", [(), (FORCED_TOOL, ASKED_FOR)])
def test_an_answer_that_is_cut_in_each_form_or_has_no_other_is_told_as_cut_and_not_remembered(
    refuses: tuple[Form, ...],
) -> None:
    model = Model(cut, cut, refuses=refuses)
    with pytest.raises(AnswerTruncatedError) as caught:
        model.answer()
    assert caught.value.usage["output_tokens"] == (10 if refuses else 20)
    model.refuses.clear()
    model.script.clear()
    model.answer()
    assert model.forms == [CONSTRAINED]


def test_thinking_that_is_cut_before_the_answer_begins_is_not_paid_for_again_in_another_form() -> None:
    def think(payload: dict[str, Any]) -> Reply:
        return Reply(stop_reason="max_tokens", blocks={0: THINKING}, counts={"output_tokens": 10})

    model = Model(think)
    with pytest.raises(AnswerTruncatedError, match="Thinking about task 'add' was cut at its limit of 1000"):
        model.answer()
    assert model.forms == [CONSTRAINED]


def test_an_answer_that_once_was_cut_does_not_hide_a_later_refusal() -> None:
    model = Model(cut)

    def answer_then_refuse(payload: dict[str, Any]) -> Reply:
        model.refuses = set(FORMS)
        return a_reply(payload, '{"sum": "eight"}')

    model.script.append(answer_then_refuse)
    with pytest.raises(RequestRefusedError, match="refuses every form"):
        model.answer(repairs=1)


def test_what_was_remembered_ends_after_an_hour_and_is_left_as_soon_as_it_is_refused() -> None:
    model = Model(refuses=(CONSTRAINED,))
    model.answer()
    model.now = 3599
    model.answer()
    assert model.forms == [FORCED_TOOL]
    model.now = 3600
    model.refuses.clear()
    model.answer()
    assert model.forms == [CONSTRAINED], "support has come back"
    model.refuses = {CONSTRAINED}
    model.answer()
    model.refuses = {FORCED_TOOL}
    model.answer()
    assert model.forms == [FORCED_TOOL, CONSTRAINED], "and now the other one has vanished"


def test_each_model_and_schema_is_remembered_apart_and_not_without_end() -> None:
    memory = FormMemory(most=2)
    for name in ("one", "two", "three"):
        memory.learn(a_request(model=name), ASKED_FOR)
    first = [memory.forms_for(a_request(model=name))[0] for name in ("one", "two", "three", "four")]
    assert first == [CONSTRAINED, ASKED_FOR, ASKED_FOR, CONSTRAINED]
    assert memory.forms_for(a_request(model="three", schema=OPEN))[0] is FORCED_TOOL


def test_what_is_asked_for_in_the_prompt_stands_behind_what_the_cache_holds() -> None:
    model = Model(refuses=(CONSTRAINED, FORCED_TOOL))
    model.answer()
    first, *_, last = model.payloads
    assert last["messages"][0]["content"][:-1] == first["messages"][0]["content"]
    assert last["messages"][0]["content"][-1] == text_block(schema_message(SCHEMA))
    assert not {"tools", "tool_choice", "output_config"} & last.keys()


# What the prompt asks for, no model refuses as a form: nothing in the request but its words says so.
CHANGES = [
    pytest.param(was, then, id=f"{was.name} to {then.name}")
    for was in (CONSTRAINED, FORCED_TOOL)
    for then in FORMS
    if was is not then
]


@pytest.mark.parametrize(("was", "then"), CHANGES)
def test_a_form_that_vanishes_in_mid_conversation_leaves_a_history_that_any_form_takes(
    was: Form, then: Form
) -> None:
    """No thinking goes into a history that it didn't come from, and no tool into a request that offers none."""
    model = Model('{"sum": "eight"}')
    model.memory.learn(a_request(), was)
    answered = model.script[0]

    def answer_then_refuse(payload: dict[str, Any]) -> Reply:
        model.refuses = set(FORMS) - {then}
        return a_reply(payload, str(answered))

    model.script = [answer_then_refuse]
    answer = model.answer(repairs=1)
    assert (answer.data, answer.attempts) == ({"sum": 8}, 2)
    assert (model.forms[0], model.forms[-1]) == (was, then)
    opening, given, told = model.payloads[-1]["messages"]
    assert opening["role"] == "user"
    assert given == {"role": "assistant", "content": [text_block('{"sum": "eight"}')]}
    assert told["role"] == "user"
    assert [block["type"] for block in told["content"]] == ["text"]
    assert "not of type 'integer'" in told["content"][0]["text"]
    repeated = model.payloads[1]["messages"]
    assert THINKING in repeated[1]["content"], "in the form that it came from, it goes back unchanged"


def test_a_form_that_vanishes_in_a_pause_lets_the_answer_begin_anew() -> None:
    model = Model()

    def pause(payload: dict[str, Any]) -> Reply:
        model.refuses = {CONSTRAINED}
        return a_reply(payload, '{"sum": ', "pause_turn")

    model.script = [pause]
    assert model.answer().data == {"sum": 8}
    assert model.payloads[-1]["messages"] == model.payloads[0]["messages"]


def test_a_tool_that_was_called_without_being_offered_goes_back_as_text() -> None:
    model = Model()

    def call(payload: dict[str, Any]) -> Reply:
        block = {"type": "tool_use", "id": "toolu_1", "name": "answer", "input": '{"sum": "eight"}'}
        return Reply(stop_reason="tool_use", blocks={0: block}, counts={"output_tokens": 10})

    model.script = [call]
    model.answer(repairs=1)
    kinds = {block["type"] for turn in model.payloads[1]["messages"] for block in turn["content"]}
    assert kinds == {"text"}


@pytest.mark.parametrize("form", FORMS)
def test_in_each_form_a_fence_and_words_around_the_answer_cost_no_repair(form: Form) -> None:
    model = Model(f"Here it is, as in [1]:\n\n```json\n{GOOD}\n```\nThat is all.")
    model.memory.learn(a_request(), form)
    answer = model.answer()
    assert (answer.data, answer.attempts) == ({"sum": 8}, 1)


def test_several_answers_in_one_are_told_and_repaired() -> None:
    model = Model(f'Perhaps {{"sum": 7}}, perhaps {GOOD}.')
    assert model.answer(repairs=1).attempts == 2
    assert "2 different JSON values" in str(model.payloads[1]["messages"][-1])


def test_an_error_of_another_kind_in_a_later_form_is_told_as_it_is() -> None:
    model = Model(refuses=(CONSTRAINED,))

    def fail(payload: dict[str, Any]) -> Reply:
        raise ClaudeError("It broke.")

    model.script = [fail]
    with pytest.raises(ClaudeError, match="It broke"):
        model.answer()
