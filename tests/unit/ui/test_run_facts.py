from __future__ import annotations

import json

from chassis.contract.run_view import RunView
from chassis.contract.xcoms import TaskError
from chassis.ui.page_templates import json_answer
from chassis.ui.run_facts import plain_json


class TestHalfACharacter:
    """JSON in a database may hold one as an escape; a text that is sent, or read by a type, may not."""

    def test_in_an_xcom_is_replaced_and_whole_ones_stay(self) -> None:
        left = plain_json(r'{"class": "TaskBlockedError", "message": "a \ud800 \ud83d\ude00", "hint": ""}')
        error = TaskError.of(left)
        assert error is not None
        assert error.message == "a \ufffd \U0001f600"

    def test_in_a_runs_conf_does_not_keep_the_run_from_being_sent(self) -> None:
        run = RunView(
            workflow_id="w", run_id="r", title="t", state="failed", active=False, inputs={"x": "\ud800"}
        )
        assert json.loads(json_answer(run).body)["inputs"] == {"x": "\ufffd"}


def test_what_is_no_json_stays_as_it_is() -> None:
    assert [plain_json(value) for value in ("s3://bucket/key", None, [1])] == ["s3://bucket/key", None, [1]]
