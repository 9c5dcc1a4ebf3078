"""A limit stops the next call, says what is spent, and says how to raise it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from chassis.contract.spending import Bound, RunLimits
from chassis.contract.usage import Usage
from chassis.errors import LimitSpentError, PriceUnknownError, restore_error
from chassis.ledger.entries import Closed
from chassis.ledger.run_limits import may_start
from chassis.ledger.sums import Fold
from chassis.settings import Settings
from chassis.workflow import Limits, SpendLimits
from tests.unit.ledger.makers import NOON, answered, opened, run_limits

if TYPE_CHECKING:
    from chassis.ledger.entries import Entry, Opened

NEXT = opened("next", "test")
LOST = Closed(call="lost", outcome="lost", closed_at=NOON, uncertain=Bound(tokens=100, cost_usd=0.4))


def start(entries: list[Entry], limits: RunLimits, opening: Opened = NEXT) -> bool:
    fold = Fold()
    for entry in entries:
        fold.add(entry)
    return may_start(opening, limits, fold, NOON, "add_pet")


def refusal(entries: list[Entry], limits: RunLimits, opening: Opened = NEXT) -> LimitSpentError:
    with pytest.raises(LimitSpentError) as caught:
        start(entries, limits, opening)
    return caught.value


@pytest.mark.parametrize(
    ("spent", "limits"),
    [
        (answered("a", 1.0), {"budget_usd": 1.0}),
        (answered("a", tokens=500), {"max_tokens": 500}),
        (answered("a"), {"max_calls": 1}),
        (LOST, {"budget_usd": 0.4}),
        (LOST, {"max_tokens": 100}),
        (LOST, {"max_calls": 1}),
    ],
)
class TestTheEdge:
    def test_what_is_exactly_spent_is_spent(self, spent: Closed, limits: dict[str, Any]) -> None:
        refused = refusal([spent], run_limits(**limits))
        assert refused.spent == refused.limit == next(iter(limits.values()))
        assert refused.limit_name == next(iter(limits))

    def test_a_call_may_start_while_anything_is_left(self, spent: Closed, limits: dict[str, Any]) -> None:
        [(name, limit)] = limits.items()
        more = limit + (0.000001 if name == "budget_usd" else 1)
        assert start([spent], run_limits(**{name: more}))


@pytest.mark.parametrize("limits", [{"budget_usd": 0.4}, {"max_tokens": 100}, {"max_calls": 1}])
def test_what_an_open_call_may_yet_spend_makes_the_next_one_wait(limits: dict[str, Any]) -> None:
    assert start([opened("a")], run_limits(**limits)) is False


def test_a_call_that_waits_is_not_told_that_the_limit_is_spent_until_it_is() -> None:
    limits = run_limits(budget_usd=0.5)
    waiting: list[Entry] = [opened("a"), opened("b")]
    assert start(waiting, limits) is False
    assert start([*waiting, answered("a", 0.05), answered("b", 0.05)], limits)
    assert refusal([*waiting, answered("a", 0.4), answered("b", 0.1)], limits).spent == 0.5


def test_no_more_calls_are_open_than_may_be() -> None:
    two: list[Entry] = [opened("a"), opened("b")]
    assert start(two, run_limits(max_parallel=2)) is False
    assert start([*two, answered("a")], run_limits(max_parallel=2))


def test_a_call_whose_time_is_up_takes_no_place() -> None:
    assert start([opened("a", until=NOON)], run_limits(max_parallel=1))


def test_a_task_is_held_to_its_own_limit_and_each_item_to_its_own() -> None:
    limits = RunLimits(task=SpendLimits(max_calls=1))
    entries: list[Entry] = [opened("a", "update", "billing"), answered("a")]
    assert start(entries, limits, opened("b", "update", "contracts"))
    assert start(entries, limits, opened("b", "update"))
    refused = refusal(entries, limits, opened("b", "update", "billing"))
    assert (refused.scope, refused.task_id, refused.item) == ("task", "update", "billing")


def test_the_deployments_ceiling_holds_under_a_plan_that_allows_more() -> None:
    limits = RunLimits(run=SpendLimits(budget_usd=100), deployment=SpendLimits(budget_usd=1))
    refused = refusal([answered("a", 1.0)], limits)
    assert (refused.scope, refused.limit, refused.setting) == ("run", 1, "run_budget_usd")


def test_limits_are_put_together_from_plan_and_settings() -> None:
    plan = Limits(budget_usd=2, max_parallel=3, per_task=SpendLimits(max_calls=4))
    found = RunLimits.of(plan, Settings(run_max_tokens=5))
    assert found == RunLimits(
        run=SpendLimits(budget_usd=2),
        task=SpendLimits(max_calls=4),
        deployment=SpendLimits(max_tokens=5),
        max_parallel=3,
    )
    assert RunLimits.model_validate(found.model_dump(mode="json", exclude_none=True)) == found
    assert RunLimits.of(None, Settings()) == RunLimits()


class TestUnknownPrice:
    UNPRICED = opened("next", bound=Bound(tokens=100, cost_usd=None))

    @pytest.mark.parametrize(
        ("limits", "owner"),
        [
            (RunLimits(run=SpendLimits(budget_usd=5)), "the run's budget_usd of $5.00"),
            (RunLimits(deployment=SpendLimits(budget_usd=5)), "[chassis] run_budget_usd of $5.00"),
            (RunLimits(task=SpendLimits(budget_usd=5)), "the task's budget_usd of $5.00"),
            (
                RunLimits(run=SpendLimits(budget_usd=5), task=SpendLimits(max_tokens=9)),
                "the run's budget_usd",
            ),
            (
                RunLimits(run=SpendLimits(budget_usd=5, max_calls=5)),
                "the run's budget_usd",
            ),
        ],
    )
    def test_a_limit_in_dollars_alone_refuses_the_call(self, limits: RunLimits, owner: str) -> None:
        with pytest.raises(PriceUnknownError) as caught:
            start([], limits, self.UNPRICED)
        assert owner in caught.value.message
        assert "'a-model'" in caught.value.message
        assert "--max-tokens" in caught.value.hint
        assert not caught.value.retryable

    @pytest.mark.parametrize(
        "limits",
        [
            RunLimits(run=SpendLimits(budget_usd=5, max_tokens=1000)),
            RunLimits(run=SpendLimits(budget_usd=5), deployment=SpendLimits(max_tokens=1000)),
            RunLimits(run=SpendLimits(max_tokens=1000), task=SpendLimits(budget_usd=5)),
            RunLimits(task=SpendLimits(budget_usd=5, max_tokens=1000)),
        ],
    )
    def test_a_limit_in_tokens_holds_in_its_place(
        self, limits: RunLimits, caplog: pytest.LogCaptureFixture
    ) -> None:
        model = f"model-of-{hash(limits.model_dump_json())}"
        opening = self.UNPRICED.model_copy(update={"model": model})
        assert start([], limits, opening)
        assert start([], limits, opening)
        [warning] = [record for record in caplog.records if model in record.getMessage()]
        assert warning.levelname == "WARNING"
        spent: list[Entry] = [opening, answered("next", None, tokens=1000)]
        again = opening.model_copy(update={"call": "again"})
        assert refusal(spent, limits, again).limit_name == "max_tokens"

    def test_without_a_limit_in_dollars_no_price_is_needed(self) -> None:
        assert start([], run_limits(max_calls=3), self.UNPRICED)


class TestMessages:
    def test_it_tells_what_is_known_apart_from_what_is_not(self) -> None:
        entries: list[Entry] = [answered("a", 0.634512), LOST]
        refused = refusal(entries, run_limits(budget_usd=1.0))
        assert refused.message == (
            "The run has spent its budget_usd of $1.00: $0.634512, and up to $0.40 by calls whose end nobody saw."
        )
        assert refused.hint == (
            "Raise it with: chassis limits add_pet --budget-usd N. Then clear the task on the latest version: "
            "chassis retry add_pet test --latest"
        )
        assert (refused.spent, refused.uncertain) == (1.034512, 0.4)
        assert not refused.retryable

    def test_tokens_of_a_task(self) -> None:
        limits = RunLimits(task=SpendLimits(max_tokens=1_000_000))
        item = "it's"
        mine = opened("a", "update", item)
        refused = refusal([mine, answered("a", tokens=1_234_567)], limits, opened("b", "update", item))
        assert refused.message == (
            "Task 'update' for \"it's\" has spent its max_tokens of 1,000,000 tokens: 1,234,567 tokens."
        )
        assert "--task-max-tokens N" in refused.hint
        assert """chassis retry add_pet update --item 'it'"'"'s' --latest""" in refused.hint

    def test_calls_of_a_deployment(self) -> None:
        limits = RunLimits(deployment=SpendLimits(max_calls=1))
        refused = refusal([answered("a")], limits)
        assert refused.message == "The run has spent its [chassis] run_max_calls of 1 call: 1 call."
        assert refused.hint == (
            "Raise run_max_calls in [chassis] of Airflow's configuration, then: chassis retry add_pet test"
        )

    @pytest.mark.parametrize("item", [None, "billing"])
    @pytest.mark.parametrize("limits", [{"run": {"max_calls": 1}}, {"deployment": {"max_calls": 1}}])
    def test_the_facts_survive_the_way_from_triggerer_to_worker(
        self, limits: dict[str, Any], item: str | None
    ) -> None:
        refused = refusal([answered("a"), LOST], RunLimits.model_validate(limits), opened("b", "test", item))
        again = restore_error(refused.describe())
        assert isinstance(again, LimitSpentError)
        assert str(again) == str(refused)
        assert again.describe() == refused.describe()
        assert (again.scope, again.limit_name, again.limit, again.spent, again.uncertain) == (
            "run",
            "max_calls",
            1,
            2,
            1,
        )


def test_failed_calls_that_never_reached_claude_spend_no_call() -> None:
    throttled = [
        Closed(call=str(n), outcome="failed", closed_at=NOON, error="ThrottledError") for n in range(50)
    ]
    assert start([*throttled], run_limits(max_calls=1))
    assert refusal([*throttled, answered("a", usage=Usage(calls=1))], run_limits(max_calls=1)).spent == 1
