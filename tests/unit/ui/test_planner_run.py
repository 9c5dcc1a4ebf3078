"""Where a planner's run stands, by what Airflow and its tasks have left."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from chassis.ui.plan_page import _revised
from chassis.ui.planner_run import PlannerRun, Verdict
from chassis.workflow import check_plan, dump_plan

PROPOSAL = {"plan": "proposed", "digest": "d"}
SETTLED = {"plan": "settled", "decision": {"by": "Ann", "at": "2026-01-01T00:00:00+00:00", "edited": True}}


def run(
    plan: str = "success", approve: str | None = None, *, answered: bool = False, **left: Any
) -> PlannerRun:
    return PlannerRun(
        dag_id="p",
        run_id="r",
        planning=SimpleNamespace(state=plan),  # type: ignore[arg-type]
        approving=SimpleNamespace(state=approve),  # type: ignore[arg-type]
        question=SimpleNamespace(response_received=answered),  # type: ignore[arg-type]
        planned={"return_value": {"plan": "planned"}},
        approved=left,
        published=None,
    )


class TestStages:
    @pytest.mark.parametrize(
        ("found", "stage"),
        [
            (run("deferred"), "planning"),
            (run("success", "queued"), "planning"),
            (run("success", "awaiting_input", proposal=PROPOSAL), "waiting"),
            (run("success", "awaiting_input", answered=True, proposal=PROPOSAL), "answered"),
            (run("success", "running", proposal=PROPOSAL), "answered"),
            (run("running", "awaiting_input", proposal=PROPOSAL), "planning"),
            (run("success", "success", proposal=PROPOSAL, return_value=SETTLED), "decided"),
            (run("success", "failed", proposal=PROPOSAL), "failed"),
            (run("failed", "upstream_failed"), "failed"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_only_a_parked_proposal_without_an_answer_waits(self, found: PlannerRun, stage: str) -> None:
        assert found.stage == stage

    def test_what_was_settled_comes_before_what_was_proposed_or_planned(self) -> None:
        assert run(proposal=PROPOSAL, return_value=SETTLED).text == "settled"
        assert run(proposal=PROPOSAL).text == "proposed"
        assert run().text == "planned"


class TestRevisions:
    """After *Revise* the page also says what became of the proposal that was sent back."""

    FIRST, SECOND = (
        check_plan(
            {
                "schema_version": 1,
                "id": "w",
                "title": "W",
                "requirement": "r",
                "tasks": [{"id": "a", "name": "A", "instruction": instruction}],
            }
        )
        for instruction in ("Do it.", "Do it well.")
    )

    def test_a_revised_proposal_is_compared_with_the_one_before(self) -> None:
        proposal = {"plan": dump_plan(self.SECOND), "before": dump_plan(self.FIRST), "number": 2}
        view = _revised(run("success", "awaiting_input", proposal=proposal), self.SECOND)
        assert view is not None
        assert view.summary == "1 changed task"

    @pytest.mark.parametrize("before", [None, "", "no: plan", 3])
    def test_one_that_nothing_came_before_is_not(self, before: Any) -> None:
        proposal = {"plan": dump_plan(self.SECOND), "before": before, "number": 1}
        assert _revised(run("success", "awaiting_input", proposal=proposal), self.SECOND) is None


class TestMarks:
    """A page asks for the mark of its run, and loads itself again when there is another one."""

    def test_each_thing_that_changes_the_page_changes_the_mark(self) -> None:
        first = {"plan": "p", "digest": "d", "number": 1, "asked": 1}
        runs = [
            run("deferred"),
            run("success", "awaiting_input", proposal=first),
            run("success", "awaiting_input", answered=True, proposal=first),
            run("success", "awaiting_input", proposal=first | {"number": 2}),
            run("success", "awaiting_input", proposal=first | {"asked": 2}),
            run("success", "success", proposal=first, return_value=SETTLED),
            run("success", "failed", proposal=first),
        ]
        assert len({each.mark for each in runs}) == len(runs)

    def test_the_same_page_has_the_same_mark(self) -> None:
        waiting = [run("success", "awaiting_input", proposal=PROPOSAL) for _ in range(2)]
        assert waiting[0].mark == waiting[1].mark

    def test_a_run_that_waits_for_a_person_or_has_ended_is_asked_for_less_often(self) -> None:
        assert run("deferred").active
        assert not run("success", "awaiting_input", proposal=PROPOSAL).active
        assert run("success", "success", return_value=SETTLED).active, "it is published next"


class TestVerdicts:
    def test_a_decision_is_read_in_signs(self) -> None:
        verdict = Verdict.of({"decision": {"by": "Ann\u202e", "comment": "ok", "at": "2026-01-01T00:00:00"}})
        assert verdict == Verdict(by="Ann\ufffd", comment="ok", at="2026-01-01T00:00:00")

    @pytest.mark.parametrize("value", [None, "x", {}, {"decision": "x"}])
    def test_what_says_nothing_of_a_decision_is_none(self, value: Any) -> None:
        assert Verdict.of(value) is None

    def test_an_edited_xcom_breaks_no_page(self) -> None:
        verdict = Verdict.of({"decision": {"by": 3, "at": ["x"], "edited": "yes", "without": None}})
        assert verdict == Verdict(by="3")
