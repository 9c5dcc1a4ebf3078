"""A short run of the fuzzer of the plan reader, always with the same inputs; ``make fuzz`` runs it for longer."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chassis.errors import PlanError, PlanFault
from chassis.workflow import load_plan
from tests.fuzz import plan_reader
from tests.fuzz.plan_reader import Finding, examine, fuzz, inputs, seeds, shortened


def test_a_mutated_plan_is_a_plan_or_a_plan_error(figure: Callable[[str], None]) -> None:
    tally = fuzz(2026, count=1_200)
    figure(str(tally))
    assert tally.plans > 50, "some get through all the rules"


def test_the_fuzzer_begins_with_plans_that_are_right_and_plans_that_are_wrong() -> None:
    right = 0
    for text in set(seeds()):
        try:
            load_plan(text)
        except PlanError:
            continue
        right += 1
    assert 3 <= right < len(set(seeds()))


def test_the_same_seed_gives_the_same_inputs() -> None:
    first, again = ([next(stream) for _ in range(1_300)] for stream in (inputs(7), inputs(7)))
    assert first == again


def test_the_fuzzer_finds_what_the_reader_lets_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proof that a run can fail: a reader that stumbles over one word, and what is left of the input."""

    def stumbling(text: str | bytes, **offered: object) -> None:
        if "deploy" in str(text):
            raise UnicodeError("half of a character")
        raise PlanError([PlanFault("missing", "the plan", "title is missing")])

    monkeypatch.setattr(plan_reader, "load_plan", stumbling)
    with pytest.raises(Finding, match="UnicodeError: half of a character"):
        examine("id: deploy")
    assert shortened("tasks:\n- id: deploy\n  name: Deploy\n") == "deploy"
