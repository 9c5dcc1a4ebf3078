"""What stands in XComs, and with parked tasks, is gone on with as before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chassis.contract.spending import Spending
from chassis.contract.xcoms import (
    ApprovedPlan,
    Card,
    CheckedPlan,
    PendingPlan,
    PublishedPlan,
    TaskError,
    TaskResult,
)
from chassis.errors import restore_error
from tests.unit.recorded.replay import Deployment, missing, names, recorded

OF_THE_MOMENT = frozenset({"deadline", "estimate"})
"""Keys whose values are those of the clock and of the prices of the day."""


def lasting(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: lasting(each) for key, each in value.items() if key not in OF_THE_MOMENT}
    return [lasting(each) for each in value] if isinstance(value, list) else value


def test_a_task_makes_the_same_of_what_was_left_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the plan's XCom over the parked approval to what is published; items of a fan-out; results taken over."""
    for name in names("visits", ".json"):
        case = recorded(f"visits/{name}.json")
        faults = missing(
            lasting(case["outcome"]), lasting(Deployment(tmp_path / name, monkeypatch).visit(case["given"]))
        )
        assert not faults, f"{name} ends otherwise: {faults}"


def test_an_error_that_was_left_as_an_xcom_is_that_error_again() -> None:
    for was in recorded("xcoms/errors.json"):
        error, name = restore_error(was["error"]), was["error"]["class"]
        assert type(error).__name__ == name
        assert missing(was["error"], error.describe()) == [], f"the facts of {name}"
        assert (str(error), error.retryable) == (was["text"], was["retryable"]), name
        assert missing(was["card"], Card.made(error=error, map_index=2).document()) == [], (
            f"the card of {name}"
        )


def test_an_xcom_is_read_by_its_type_with_nothing_lost() -> None:
    answers = [recorded(f"answers/{name}.json") for name in names("answers", ".json")]
    left: list[tuple[Any, Any]] = [
        (CheckedPlan, recorded("xcoms/plan.json")),
        (PendingPlan, recorded("xcoms/proposal.json")),
        (ApprovedPlan, recorded("xcoms/approve.json")),
        (PublishedPlan, recorded("xcoms/publish.json")),
        *((TaskResult if "task" in each["result"] else CheckedPlan, each["result"]) for each in answers),
        *((Spending, each["spending"]) for each in answers),
        *((Card, each["card"]) for each in answers),
    ]
    for kind, value in left:
        read = kind.of(value)
        assert read is not None, f"no {kind.__name__} any more: {value}"
        assert missing(value, read.document()) == [], f"{kind.__name__} has lost something"
    for was in recorded("xcoms/errors.json"):
        error = TaskError.of(was["error"])
        assert error is not None
        assert (error.kind, error.hint) == (was["error"]["class"], was["error"]["hint"])
        assert f"{error.message} {error.hint}".split() == was["text"].split(), error.kind
