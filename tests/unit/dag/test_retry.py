from __future__ import annotations

from datetime import timedelta

import pytest
from airflow.sdk.definitions.retry_policy import RetryAction

from chassis import errors
from chassis.dag.retry import LONGEST_WAIT, ClaudeRetryPolicy
from chassis.errors import ChassisError, ClaudeError
from tests.with_each import with_each

CLASSES = [
    value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, ChassisError)
]


def an_error(kind: type[ChassisError]) -> ChassisError:
    if kind is errors.PlanError:
        return errors.PlanError([])
    if kind is errors.LimitSpentError:
        return errors.LimitSpentError(
            scope="run", limit_name="max_calls", limit=1, spent=1, workflow_id="w", task_id="t"
        )
    return kind("it happened")


@with_each("error", CLASSES)
def test_an_error_is_retried_if_and_only_if_its_class_says_that_it_can_help(
    error: type[ChassisError],
) -> None:
    decision = ClaudeRetryPolicy().evaluate(an_error(error), 1, 3)
    assert decision.action is (RetryAction.DEFAULT if error.retryable else RetryAction.FAIL)


def test_the_table_has_both_kinds() -> None:
    assert {error.retryable for error in CLASSES} == {True, False}


@pytest.mark.parametrize(("asked", "waits"), [(7.0, timedelta(seconds=7)), (86_400.0, LONGEST_WAIT)])
def test_the_servers_wait_is_honoured_up_to_a_cap(asked: float, waits: timedelta) -> None:
    decision = ClaudeRetryPolicy().evaluate(errors.ThrottledError("slow down", retry_after=asked), 1, 3)
    assert decision.action is RetryAction.RETRY
    assert decision.retry_delay == waits


def test_what_is_no_error_of_ours_is_left_to_airflow() -> None:
    assert ClaudeRetryPolicy().evaluate(ValueError("a bug"), 1, 3).action is RetryAction.DEFAULT


def test_an_error_survives_the_way_through_a_triggers_event() -> None:
    before = errors.ThrottledError("slow down", hint="wait", status=429, request_id="r-1", retry_after=2.0)
    after = errors.restore_error(before.describe())
    assert type(after) is errors.ThrottledError
    assert isinstance(after, ClaudeError)
    assert after.describe() == before.describe()


def test_a_plans_faults_survive_it_too() -> None:
    before = errors.PlanError([errors.PlanFault("cycle", "task 'a'", "a -> a")], subject="Plan x")
    after = errors.restore_error(before.describe())
    assert isinstance(after, errors.PlanError)
    assert after.faults == before.faults
