from __future__ import annotations

import json

import pytest

from chassis.approval_policy import answer_text, checked_edit, names_plan, plan_code, reason_without
from chassis.errors import PlanError
from chassis.estimate import Estimate
from chassis.workflow import TaskSpec, WorkflowSpec, dump_plan, plan_digest
from tests.with_each import with_each

DIGEST = "123456789012ab34" + 48 * "0"

PLAN = WorkflowSpec(
    schema_version=1,
    id="sum",
    title="Sum",
    requirement="Add 1 and 2",
    tasks=(TaskSpec(id="add", name="Add", instruction="Add 1 and 2."),),
)


def estimate(usd: float | None = 2.0, *, open_ended: bool = False) -> Estimate:
    return Estimate(
        calls=1,
        calls_at_most=3,
        tokens_expected=10,
        tokens_at_most=100,
        usd_expected=None if usd is None else usd / 100,
        usd_at_most=usd,
        critical_path=("add",),
        depth=1,
        width=1,
        width_bound_by="plan",
        open_ended=open_ended,
        basis="",
        tasks=(),
    )


@with_each(
    "configured, demanded, over_usd, unchanged, priced, asked",
    [
        ("always", None, None, True, estimate(), True),
        ("always", None, 2.0, False, estimate(2.0), False),
        ("always", None, 1.99, False, estimate(2.0), True),
        ("always", None, 5.0, False, estimate(None), True),
        ("always", None, 5.0, False, estimate(open_ended=True), True),
        ("always", None, 5.0, False, None, True),
        ("changed", None, None, True, None, False),
        ("changed", None, None, False, None, True),
        ("changed", None, 5.0, False, estimate(2.0), False),
        ("never", None, None, False, None, False),
        ("never", None, 0.0, False, estimate(), False),
        # What a run demands comes on top, and no price excuses from it.
        ("never", "always", 5.0, True, estimate(), True),
        ("changed", "always", 5.0, True, estimate(), True),
        ("never", "changed", 5.0, False, estimate(), True),
        ("never", "changed", None, True, None, False),
        # A run can't be more lenient.
        ("always", "never", None, True, None, True),
        ("always", "changed", None, True, None, True),
        ("changed", "never", None, False, None, True),
    ],
)
def test_somebody_is_asked_when_the_configuration_or_the_run_says_so(
    configured: str,
    demanded: str | None,
    over_usd: float | None,
    unchanged: bool,
    priced: Estimate | None,
    asked: bool,
) -> None:
    reason = reason_without(
        configured=configured,  # type: ignore[arg-type]
        demanded=demanded,  # type: ignore[arg-type]
        over_usd=over_usd,
        unchanged=unchanged,
        estimate=priced,
    )
    assert (reason == "") is asked, reason


@pytest.mark.parametrize(
    "answer",
    [
        plan_code(DIGEST),
        DIGEST,
        DIGEST[:12],
        f"  {DIGEST[:20].upper()} ",
        123456789012,  # Airflow's form makes a number of digits
    ],
)
def test_an_answer_names_the_plan_by_twelve_digits_of_its_digest(answer: object) -> None:
    assert names_plan(answer, DIGEST)


@pytest.mark.parametrize(
    "answer",
    ["", None, DIGEST[:11], "plan:", f"{DIGEST}0", "223456789012", 12345678901, 1.2e11, True, [DIGEST], "*"],
)
def test_nothing_less_names_it(answer: object) -> None:
    assert not names_plan(answer, DIGEST)


def test_a_code_stays_a_text_in_whatever_parses_json() -> None:
    for digest in ("123456789012", "1234567890e1", "000000000001"):
        with pytest.raises(json.JSONDecodeError):
            json.loads(plan_code(digest))


def test_a_text_that_airflows_form_has_parsed_is_a_text_again() -> None:
    assert answer_text(None) == ""
    assert answer_text("as it is") == "as it is"
    plan = PLAN.model_dump(mode="json", exclude_defaults=True)
    assert plan_digest(checked_edit(answer_text(plan), agents=["task-executor"], services=[])) == plan_digest(
        PLAN
    )


def test_an_edit_is_held_to_the_rules_of_every_plan() -> None:
    edited = dump_plan(PLAN).replace("Add 1 and 2.", "Add 1 and 3.")
    assert checked_edit(edited, agents=["task-executor"], services=[]).tasks[0].instruction == "Add 1 and 3."
    with pytest.raises(PlanError, match="task-executor"):
        checked_edit(edited, agents=["another"], services=[])
    with pytest.raises(PlanError, match="as edited"):
        checked_edit("tasks: [", agents=[], services=[])


def test_an_edit_can_not_take_another_workflows_place() -> None:
    text = dump_plan(PLAN.model_copy(update={"id": "payroll"}))
    with pytest.raises(PlanError, match="must stay 'sum'"):
        checked_edit(text, agents=["task-executor"], services=[], workflow_id="sum")
