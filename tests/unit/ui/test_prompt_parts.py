"""A prompt is taken apart as it was put together, whatever its data holds."""

from __future__ import annotations

import json

from chassis.prompts import fence, planner_message, run_message, schema_message, task_message
from chassis.text import CONTROLS, signs
from chassis.ui.prompt_parts import answer_parts, message_parts, split_prompt, system_parts
from tests.injection.corpus import CORPUS, Attack
from tests.with_each import with_each


class TestPrompts:
    def test_a_tasks_prompt_has_its_parts(self) -> None:
        text = task_message(
            task_id="update",
            item="pricing",
            instruction="Update pricing.",
            service="name: pricing",
            results=[
                ("result", {"task": "look"}, "found"),
                ("result", {"task": "check", "item": "a [b]"}, "fine"),
            ],
            limit=1_000,
        )
        parts = [(part.label, part.text) for part in split_prompt(text) if part.data]
        assert parts == [
            ("Task", "Update pricing."),
            ("Service", "name: pricing"),
            ("Result of look", "found"),
            ("Result of check [a [b]]", "fine"),
        ]

    def test_what_is_around_the_data_is_chassis_words(self) -> None:
        parts = split_prompt(run_message(requirement="Add it", inputs={}, limit=100))
        assert [(part.label, part.data) for part in parts] == [("", False), ("Requirement", True)]

    def test_a_planners_prompt_has_its_parts(self) -> None:
        text = planner_message(requirement="r", catalogue="c", agents={"a": "b"}, inputs={"x": 1}, limit=100)
        labels = [part.label for part in split_prompt(text)]
        assert labels == [
            "Requirement",
            "Services that a plan may name",
            "Agents that a plan may name",
            "Inputs",
            "",
        ]

    def test_a_schema_that_the_prompt_asks_for_is_named(self) -> None:
        labels = [part.label for part in split_prompt(schema_message({"type": "object"})) if part.data]
        assert labels == ["JSON schema of the answer"]

    @with_each("attack", [each for each in CORPUS if len(each.text) < 100_000])
    def test_no_content_passes_for_another_part(self, attack: Attack) -> None:
        hostile = attack.text
        text = f"{fence('task', hostile, task=hostile)}\n\n{fence('service', 'x')}"
        first, second = split_prompt(text)
        assert (first.label, second.label) == ("Task", "Service")
        assert first.text == signs(signs(hostile, CONTROLS))
        assert second.text == "x"

    def test_a_fence_without_an_end_stays_text(self) -> None:
        (part,) = split_prompt('<data-000000000000 name="task">\nnever closed')
        assert not part.data
        assert "never closed" in part.text


class TestMessages:
    def test_blocks_that_are_no_text_are_shown_as_json(self) -> None:
        message = {
            "role": "user",
            "content": [{"type": "text", "text": "hello"}, {"type": "tool_result", "id": 1}],
        }
        first, second = message_parts(message)
        assert first.text == "hello"
        assert json.loads(second.text) == {"type": "tool_result", "id": 1}

    def test_a_message_can_be_a_plain_text(self) -> None:
        assert [part.text for part in message_parts({"role": "user", "content": "hello"})] == ["hello"]

    def test_an_answer_in_json_is_indented_and_any_other_stays_as_it_came(self) -> None:
        blocks = [
            {"type": "text", "text": '{"a":1}'},
            {"type": "text", "text": "not {json"},
            {"type": "tool_use", "input": '{"b":2}'},
        ]
        assert [part.text for part in answer_parts(blocks)] == [
            '{\n  "a": 1\n}',
            "not {json",
            '{\n  "b": 2\n}',
        ]

    def test_the_system_prompt_begins_with_the_agents_own(self) -> None:
        assert [part.label for part in system_parts(["You are.", "Rules."])] == [
            "Agent's prompt",
            "How to read data",
        ]
