"""``chassis limits``: what a plan's limits are, and its next revision with others."""

from __future__ import annotations

import inspect
import shlex
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chassis.cli.commands.limits import limits
from chassis.cli.commands.retry import retry
from chassis.cli.plan_limits import limits_of, overtaken, publish_limits, with_limits
from chassis.errors import LimitSpentError, PlanError, PlanFault
from chassis.plans.store import PlanStore
from chassis.workflow import Limits, SpendLimits, check_plan, plan_digest
from tests.unit.cli.made_up_runs import SPEC

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.cli.conftest import Chassis

PROVENANCE = {
    "planner_model": "a-model",
    "agents": {"task-executor": "0" * 64},
    "planned_at": "2026-11-22T10:00:00+00:00",
    "planner_run": "p1",
}
PLAN = {**SPEC, "limits": {"budget_usd": 1.0, "per_task": {"max_calls": 20}}, "provenance": PROVENANCE}


@pytest.fixture
def store(chassis: Chassis, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> PlanStore:
    """The local home's plans: one workflow of one revision."""
    monkeypatch.delenv("CHASSIS_AIRFLOW_URL")
    for name in ("BUDGET_USD", "MAX_TOKENS", "MAX_CALLS"):
        monkeypatch.delenv(f"AIRFLOW__CHASSIS__RUN_{name}", raising=False)
    store = PlanStore(str(tmp_path / "home" / "plans"))
    store.publish(check_plan(PLAN))
    return store


def limits_now(store: PlanStore) -> dict[str, Any]:
    limits = store.read(store.get("onboard")).limits
    return limits.model_dump(mode="json", exclude_defaults=True)


def test_every_limit_of_a_plan_has_its_option() -> None:
    named = {name for name in Limits.model_fields if name != "per_task"}
    named |= {f"task_{name}" for name in SpendLimits.model_fields}
    assert {limit.name for limit in limits_of(check_plan(SPEC))} == named
    assert set(inspect.signature(limits).parameters) - {"workflow", "home", "as_json"} == named


def test_without_options_the_limits_are_shown_with_their_options(chassis: Chassis, store: PlanStore) -> None:
    result = chassis("limits", "onboard")
    assert result.exit_code == 0
    shown = {
        row[-1]: row[-2] for line in result.stdout.splitlines() if (row := line.split()) and "--" in line
    }
    assert shown == {
        "--budget-usd": "$1.00",
        "--max-tokens": "none",
        "--max-calls": "none",
        "--max-minutes": "none",
        "--max-parallel": "16",
        "--task-budget-usd": "none",
        "--task-max-tokens": "none",
        "--task-max-calls": "20",
    }
    assert "Ceiling" not in result.stdout
    assert len(store.revisions("onboard")) == 1


def test_a_change_is_the_next_revision_and_leaves_the_rest_as_it_was(
    chassis: Chassis, store: PlanStore
) -> None:
    result = chassis(
        "limits", "onboard", "--budget-usd", "5", "--max-parallel", "4", "--task-max-calls", "none"
    )
    assert result.exit_code == 0, result.output
    assert [line.strip() for line in result.stdout.splitlines()[:4]] == [
        "Revision 2 of onboard:",
        "US dollars of a run: $1.00 -> $5.00",
        "Maximum parallel calls of a run: 16 -> 4",
        "Calls of each task: 20 -> none",
    ]
    assert "chassis retry onboard TASK --run ID --latest" in result.stdout
    assert limits_now(store) == {"budget_usd": 5.0, "max_parallel": 4}
    before, after = (store.read(ref).model_dump() for ref in store.revisions("onboard"))
    assert after["provenance"] == before["provenance"] is not None
    assert {name for name in before if before[name] != after[name]} == {"limits"}


def test_the_same_limits_publish_nothing(chassis: Chassis, store: PlanStore) -> None:
    result = chassis("limits", "onboard", "--budget-usd", "1", "--max-tokens", "none")
    assert result.exit_code == 0
    assert "Revision 1 of onboard has these limits; nothing was published." in result.stdout
    assert len(store.revisions("onboard")) == 1


def test_none_takes_a_limit_away_and_zero_does_not(chassis: Chassis, store: PlanStore) -> None:
    refused = chassis("limits", "onboard", "--budget-usd", "0")
    assert refused.exit_code == 2
    assert "budget_usd must be more than 0" in refused.stderr
    assert limits_now(store)["budget_usd"] == 1.0
    chassis("limits", "onboard", "--budget-usd", "none")
    assert "budget_usd" not in limits_now(store)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--budget-usd", "-1"), "budget_usd must be more than 0"),
        (("--budget-usd", "nan"), "budget_usd must be between"),
        (("--budget-usd", "inf"), "budget_usd must be between"),
        (("--budget-usd", "$5"), "budget_usd must be a number"),
        (("--budget-usd", ""), "budget_usd must be a number"),
        (("--max-tokens", "1.5"), "max_tokens must be a whole number"),
        (("--max-minutes", "43201"), "max_minutes must be at most 43200"),
        (("--max-parallel", "1001"), "max_parallel must be at most 1000"),
        (("--task-max-calls", "many"), "limits.per_task: max_calls must be a whole number"),
        (("--max-tokens", "9" * 5000), "max_tokens"),
    ],
)
def test_a_wrong_value_is_refused_by_the_plans_rules_before_anything_is_written(
    chassis: Chassis, store: PlanStore, options: tuple[str, str], words: str
) -> None:
    result = chassis("limits", "onboard", "--max-calls", "7", *options)
    assert result.exit_code == 2
    assert words in result.stderr
    assert "Nothing was changed." in result.stderr
    assert "\x1b" not in result.stderr
    assert len(store.revisions("onboard")) == 1


def test_a_dag_without_a_plan_has_its_limits_in_its_file(chassis: Chassis) -> None:
    result = chassis("limits", "market_study")
    assert result.exit_code == 2
    assert "has its limits in its file" in result.stderr


def test_all_faults_are_told_at_once(chassis: Chassis, store: PlanStore) -> None:
    result = chassis("limits", "onboard", "--budget-usd", "x", "--max-calls", "0", "--task-max-tokens", "y")
    assert [word in result.stderr for word in ("budget_usd", "max_calls", "max_tokens")] == [True] * 3


@settings(suppress_health_check=[HealthCheck.too_slow])  # on a busy machine the first draw is
@given(
    st.dictionaries(
        st.sampled_from([limit.name for limit in limits_of(check_plan(SPEC))]),
        st.one_of(st.sampled_from(["none", "NONE ", "0", "5", "0.25", "-3", "1e3"]), st.text(max_size=8)),
    )
)
def test_whatever_is_given_the_result_is_a_plan_that_differs_in_these_limits_or_a_fault(
    texts: dict[str, str],
) -> None:
    spec = check_plan(PLAN)
    faults: tuple[PlanFault, ...] = ()
    try:
        changed = with_limits(spec, texts)
    except PlanError as error:
        faults, changed = error.faults, spec
    assert {fault.where.split(".")[0] for fault in faults} <= {"limits"}
    assert changed.model_copy(update={"limits": spec.limits}) == spec
    differing = {a.name for a, b in zip(limits_of(spec), limits_of(changed), strict=True) if a != b}
    assert differing <= texts.keys()
    assert (plan_digest(changed) == plan_digest(spec)) is (not differing)


def test_a_ceiling_that_is_known_stands_beside_the_limits(
    chassis: Chassis, store: PlanStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CHASSIS__RUN_BUDGET_USD", "2")
    (line,) = [line for line in chassis("limits", "onboard").stdout.splitlines() if "--budget-usd" in line]
    assert line.split()[-3:] == ["$1.00", "--budget-usd", "$2.00"]
    raised = chassis("limits", "onboard", "--budget-usd", "7")
    assert "The deployment's ceiling of $2.00 still applies." in raised.stdout
    lowered = chassis("limits", "onboard", "--budget-usd", "1.5")
    assert "ceiling" not in lowered.stdout
    monkeypatch.setenv("AIRFLOW__CHASSIS__RUN_BUDGET_USD", "much")
    wrong = chassis("limits", "onboard")
    assert (wrong.exit_code, "AIRFLOW__CHASSIS__RUN_BUDGET_USD" in wrong.stderr) == (2, True)


def test_a_retired_workflow_is_not_brought_back_by_its_limits(chassis: Chassis, store: PlanStore) -> None:
    store.retire("onboard")
    result = chassis("limits", "onboard", "--budget-usd", "5")
    assert result.exit_code == 2
    assert "onboard is retired" in result.stderr
    assert len(store.revisions("onboard")) == 2
    assert chassis("limits", "onboard").exit_code == 0


def test_a_revision_that_came_in_between_is_told(chassis: Chassis, store: PlanStore) -> None:
    ref = store.get("onboard")
    spec = store.read(ref)
    store.publish(check_plan({**PLAN, "title": "Planned meanwhile"}))
    _, published = publish_limits(store, ref, spec, {"budget_usd": "9"})
    assert overtaken(store, ref, published) == [2]
    head = store.get("onboard")
    _, published = publish_limits(store, head, store.read(head), {"budget_usd": "10"})
    assert overtaken(store, head, published) == []


def test_an_unknown_workflow_exits_with_2(chassis: Chassis, store: PlanStore) -> None:
    result = chassis("limits", "onbord", "--budget-usd", "5")
    assert result.exit_code == 2
    assert "Did you mean 'onboard'?" in result.stderr


@pytest.mark.parametrize("name", ["budget_usd", "max_tokens", "max_calls"])
@pytest.mark.parametrize("scope", ["run", "task"])
def test_the_commands_in_the_hint_of_a_spent_limit_do_what_it_says(
    chassis: Chassis, store: PlanStore, name: Any, scope: Any
) -> None:
    error = LimitSpentError(
        scope=scope, limit_name=name, limit=1, spent=1, workflow_id="onboard", task_id="update", item="a b"
    )
    raising, retrying = (part.split(".")[0] for part in error.hint.split("chassis ")[1:])
    program, *arguments = shlex.split(raising)
    assert program == "limits"
    result = chassis(program, *[argument.replace("N", "7777") for argument in arguments])
    assert result.exit_code == 0, result.output
    holder = limits_now(store)["per_task"] if scope == "task" else limits_now(store)
    assert holder[name] == 7777
    assert shlex.split(retrying) == ["retry", "onboard", "update", "--item", "a b", "--latest"]
    assert {"item", "latest"} <= inspect.signature(retry).parameters.keys()
