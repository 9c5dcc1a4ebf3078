"""A task as its page shows it: its result, its conversation, and each amendment against what held before."""

from __future__ import annotations

from typing import Any

from chassis.contract.usage import Usage
from chassis.records.amendments import Amendment
from chassis.records.transcripts import TryTranscript, Turn
from chassis.ui.task_view import input_fields, view_amendments, view_result, view_turns
from chassis.workflow import InputSpec, TaskSpec, WorkflowSpec

TASK = TaskSpec(id="a", name="A", instruction="Look at it.")


def result(output: Any) -> dict[str, Any]:
    usage = Usage().model_dump()
    return {"task": "a", "summary": "s", "output": output, "usage": usage, "model": "m", "request_ids": ["r"]}


def amendment(number: int, **parts: Any) -> Amendment:
    return Amendment(number=number, task_id="a", reason="r", by="p", by_id="1", at="2026-01-01", **parts)


class TestResults:
    def test_markdown_is_html_and_the_text_as_it_was_written(self) -> None:
        view = view_result(result("# Title\n\n<b>x</b>"))
        assert view is not None
        assert str(view.html) == "<h1>Title</h1>\n<p>&lt;b&gt;x&lt;/b&gt;</p>\n"
        assert view.text == "# Title\n\n<b>x</b>"

    def test_a_result_by_a_schema_is_json(self) -> None:
        view = view_result(result({"x": "<b>"}))
        assert view is not None
        assert (view.html, view.text) == (None, '{\n  "x": "<b>"\n}')

    def test_a_value_that_is_no_tasks_result_is_json_too(self) -> None:
        view = view_result(["a", "b"])
        assert view is not None
        assert view.facts is None
        assert view.text == '[\n  "a",\n  "b"\n]'
        assert view_result(None) is None


class TestConversation:
    def test_each_call_shows_what_was_new_in_it_and_the_answer(self) -> None:
        common = {"task_id": "a", "model": "m", "at": "2026-01-01T00:00:00+00:00", "outcome": "answered"}
        first = Turn(
            call="1",
            system=("You are.", "Rules."),
            messages=({"role": "user", "content": [{"type": "text", "text": "do"}]},),
            answer=({"type": "text", "text": "{}"},),
            answer_schema={"type": "object"},
            **common,
        )
        second = Turn(
            call="2",
            messages=({"role": "assistant", "content": "{}"}, {"role": "user", "content": "again"}),
            answer=({"type": "text", "text": "done"},),
            **common,
        )
        views = view_turns(TryTranscript(task_id="a", item=None, try_number=1, turns=(first, second)))
        assert [[who for who, _ in view.sent] for view in views] == [
            ["System prompt", "Chassis", "Answer format"],
            ["Claude (earlier)", "Chassis"],
        ]
        assert [view.said[0].text for view in views] == ["{}", "done"]
        assert view_turns(None) == []


class TestAmendments:
    def test_each_is_told_against_what_held_before_it(self) -> None:
        views = view_amendments(
            [
                amendment(1, instruction="Look at it twice.", inputs={"x": 2}),
                amendment(2, instruction="Look at all of it.", withdrawn=True),
                amendment(3, instruction="Look at it thrice."),
            ],
            TASK,
            {"x": 1},
        )
        before = ["".join(p.text for p in view.fields[0].pieces if p.kind != "new") for view in views]
        assert before == ["Look at it.", "Look at it twice.", "Look at it twice."]
        assert [(piece.kind, piece.text) for piece in views[0].fields[1].pieces] == [
            ("gone", "1"),
            ("new", "2"),
        ]


def test_the_form_begins_with_the_values_of_the_run() -> None:
    inputs = {"a": InputSpec(type="array"), "b": InputSpec(type="boolean"), "c": InputSpec(type="string")}
    spec = WorkflowSpec(schema_version=1, id="w", title="W", requirement="r", inputs=inputs, tasks=(TASK,))
    fields = input_fields(spec, {"a": ["x", "y"], "b": True, "c": "z"})
    assert [(field.name, field.text) for field in fields] == [("a", "x\ny"), ("b", "true"), ("c", "z")]
