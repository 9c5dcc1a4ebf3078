"""A run's budget holds over retries, a killed triggerer and a clear; raising it lets the run go on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from chassis.errors import restore_error
from chassis.files import open_files
from chassis.ledger.entries import Closed
from chassis.ledger.journal import RunLedger
from chassis.local.simulator import SimulatorControl
from chassis.local.stack import LocalStack
from chassis.plans.store import PlanStore
from chassis.workflow import ForEach, Limits, TaskSpec, WorkflowSpec
from tests.ledgers import entries_of, open_calls_of
from tests.system.conftest import Chassis
from tests.system.drills import kill_all
from tests.system.driver import AirflowDriver, await_plan, wait_for

PRICE = 1.1 * (2_000 * 5 + 3_200 * 25) / 1_000_000
"""US dollars of each call: 2,000 tokens in at 5, 3,200 out at 25 a million; a regional profile costs a tenth more."""
BUDGET = 1.0
ITEMS = tuple(f"service{number:02}" for number in range(16))

WORKFLOW = WorkflowSpec(
    schema_version=1,
    id="dollar",
    title="More work than a dollar pays for",
    requirement="Change sixteen services.",
    tasks=(
        TaskSpec(id="change", name="Change", instruction="Change {item}.", for_each=ForEach(items=ITEMS)),
    ),
    limits=Limits(budget_usd=BUDGET, max_parallel=4),
)


def test_a_dollar_is_overspent_by_one_call_at_most_whatever_happens(
    airflow: AirflowDriver,
    simulator: SimulatorControl,
    stack: LocalStack,
    store: PlanStore,
    chassis: Chassis,
    figure: Callable[[str], None],
) -> None:
    simulator.add_usage(2_000, 3_200, kind="task")
    simulator.add_fault("internal", item=ITEMS[0], times=4)
    simulator.set_latency(1.0)
    await_plan(airflow, WORKFLOW.id, store.publish(WORKFLOW).digest)
    run_id = airflow.trigger(WORKFLOW.id)

    wait_for(
        "two answers, and more in flight", lambda: len(answered(simulator)) >= 2 and in_flight(simulator)
    )
    kill_all(psutil.Process(stack.processes["triggerer"]))
    before = len(answered(simulator))
    cut = Counter(
        entry.item for entry in open_calls_of(open_files(str(stack.home / "records")), WORKFLOW.id, run_id)
    )
    stack.restart("triggerer")
    assert airflow.wait_run(WORKFLOW.id, run_id, seconds=300) == "failed"
    first = len(answered(simulator))
    assert before < first, "the run went on after the kill"
    assert first * PRICE <= BUDGET + PRICE + 1e-9

    errors = {error["class"] for error in failures(airflow, run_id)}
    assert errors == {"LimitSpentError"}
    told = restore_error(failures(airflow, run_id)[0])
    assert "budget_usd of $1.00" in told.message
    assert "chassis limits dollar --budget-usd" in told.hint

    clear_failed(airflow, run_id)
    assert airflow.wait_run(WORKFLOW.id, run_id, seconds=300) == "failed"
    spent = len(answered(simulator))
    assert spent * PRICE <= BUDGET + PRICE + 1e-9, "a clear gives no new dollar"
    assert {ti["try_number"] for ti in failed(airflow, run_id)} == {2}, "a spent limit is not retried"

    totals = ledger(stack, run_id).totals()
    assert totals.spent_usd >= BUDGET
    # What was sent to the killed triggerer looks complete at the simulator, also where nobody has read it.
    counted = counted_requests(stack, run_id)
    assert totals.cost_usd == pytest.approx(len(counted) * PRICE), (
        "what was seen to its end is counted exactly"
    )
    unread = [entry for entry in answered(simulator) if entry["request_id"] not in counted]
    assert Counter(entry["item"] for entry in unread) <= cut, (
        "all else was in flight when the triggerer was killed"
    )
    assert len(unread) <= totals.uncertain_calls <= cut.total(), "and is told apart as uncertain"
    figure(
        f"a budget of $1.00: {spent} calls of ${PRICE:.2f} paid for, over a retry, a killed triggerer and a clear; "
        f"the ledger counts ${totals.cost_usd:.2f}, and up to ${totals.uncertain.cost_usd:.2f} for "
        f"{totals.uncertain_calls} lost calls"
    )

    raised = chassis("limits", WORKFLOW.id, "--budget-usd", "20")
    assert raised.returncode == 0, raised.stdout + raised.stderr
    await_plan(airflow, WORKFLOW.id, store.get(WORKFLOW.id).digest12)
    clear_failed(airflow, run_id, run_on_latest_version=True)
    assert airflow.wait_run(WORKFLOW.id, run_id, seconds=300) == "success"
    assert ledger(stack, run_id).totals().cost_usd > BUDGET


def answered(simulator: SimulatorControl) -> list[dict[str, Any]]:
    """The requests for tasks that were paid for: whose answer began."""
    return [entry for entry in simulator.requests(kind="task") if entry["status"] == 200]


def in_flight(simulator: SimulatorControl) -> bool:
    return any(entry["ended"] is None for entry in simulator.requests(kind="task"))


def failed(airflow: AirflowDriver, run_id: str) -> list[dict[str, Any]]:
    return [ti for ti in airflow.instances(WORKFLOW.id, run_id) if ti["state"] == "failed"]


def failures(airflow: AirflowDriver, run_id: str) -> list[dict[str, Any]]:
    path = f"/dags/{WORKFLOW.id}/dagRuns/{run_id}/taskInstances/change/xcomEntries/error"
    return [
        airflow.get(path, map_index=ti["map_index"], deserialize=True)["value"]
        for ti in failed(airflow, run_id)
    ]


def clear_failed(airflow: AirflowDriver, run_id: str, **options: bool) -> None:
    body = {"dry_run": False, "dag_run_id": run_id, "only_failed": True, **options}
    answer = airflow.http.post(f"/dags/{WORKFLOW.id}/clearTaskInstances", json=body)
    assert answer.is_success, answer.text
    wait_for(
        "the run to start again",
        lambda: airflow.get(f"/dags/{WORKFLOW.id}/dagRuns/{run_id}")["state"] != "failed",
    )


def counted_requests(stack: LocalStack, run_id: str) -> set[str]:
    """The ids of the requests that the ledger counts at what they cost."""
    entries = entries_of(open_files(str(stack.home / "records")), WORKFLOW.id, run_id)
    return {entry.request_id for entry in entries if isinstance(entry, Closed) and entry.usage.calls}


def ledger(stack: LocalStack, run_id: str) -> RunLedger:
    return RunLedger(open_files(str(stack.home / "records")), WORKFLOW.id, run_id)
