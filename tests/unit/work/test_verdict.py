from __future__ import annotations

from typing import Any

import pytest

from chassis.work.verdict import Verdict, judge_answer

ANSWER = {"status": "completed", "reason": "", "summary": "Done.", "output": "All of it."}
SCHEMA = {"type": "object", "required": ["n"]}


@pytest.mark.parametrize(
    ("changed", "schema", "verdict"),
    [
        ({}, None, Verdict("succeeded")),
        ({"output": {"n": 1}}, SCHEMA, Verdict("succeeded")),
        ({"status": "blocked", "reason": "No access."}, None, Verdict("blocked", ("No access.",))),
        (
            {"status": "blocked", "reason": " "},
            None,
            Verdict("sent_back", ("reason: it is empty, but status is blocked",)),
        ),
        ({"summary": "\n"}, None, Verdict("sent_back", ("summary: it is empty",))),
        (
            {"summary": "", "output": " "},
            None,
            Verdict("sent_back", ("summary: it is empty", "output: it is empty")),
        ),
        ({"output": {}}, SCHEMA, Verdict("sent_back", ("output: 'n' is a required property",))),
        ({"output": None}, SCHEMA, Verdict("sent_back", ("output: None is not of type 'object'",))),
    ],
)
def test_a_claim_of_success_is_held_against_what_is_there(
    changed: dict[str, Any], schema: dict[str, Any] | None, verdict: Verdict
) -> None:
    assert judge_answer(ANSWER | changed, schema) == verdict
