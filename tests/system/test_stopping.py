"""Whoever stops a task stops its spending: the call in flight is closed within seconds, and none follows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest

from chassis.local.simulator import SimulatorControl
from chassis.local.stack import LocalStack
from tests.system.driver import AirflowDriver, wait_for

WAYS = [
    "task_marked_failed",
    "task_cleared",
    "run_marked_failed",
    "run_deleted",
    "worker_marked_failed",
    "worker_cleared",
    "run_timeout",
    "task_timeout",
]
WITHIN = 15.0
"""Seconds between the end of a task, as Airflow has it, and the end of its call; one or two, but for a busy machine."""


@pytest.fixture(scope="module")
def control(stack: LocalStack) -> Iterator[SimulatorControl]:
    assert stack.simulator_url
    control = SimulatorControl(stack.simulator_url)
    control.reset()
    yield control
    control.reset()


@pytest.fixture(scope="module")
def held(airflow: AirflowDriver, control: SimulatorControl) -> dict[str, str]:
    """A run of each DAG of ``held_calls.py`` whose call is in flight and hangs for ever; run ids by way."""
    for way in WAYS:
        control.add_fault("stall", task=way, times=1)
    # A time limit counts from the start of the run or task, and not from its call: with these, all is warm by then.
    limited = [way for way in WAYS if way.endswith("timeout")]
    others = [way for way in WAYS if way not in limited]
    return hanging(airflow, control, others) | hanging(airflow, control, limited)


def hanging(airflow: AirflowDriver, control: SimulatorControl, ways: list[str]) -> dict[str, str]:
    """A run for each of these ways, once their calls hang."""
    runs = {way: airflow.trigger(f"held_{way}") for way in ways}
    wait_for("the calls to hang", lambda: {entry["task"] for entry in control.requests()} >= set(ways))
    return runs


def stop(airflow: AirflowDriver, way: str, run_id: str) -> float:
    """Stop the run or its task in that way, or wait until its timeout did; Unix time of the stop."""
    dag_id = f"held_{way}"
    run = f"/dags/{dag_id}/dagRuns/{run_id}"
    started = time.time()
    if way == "run_timeout":
        assert airflow.wait_run(dag_id, run_id) == "failed"
        return datetime.fromisoformat(airflow.get(run)["end_date"]).timestamp()
    if way == "task_timeout":
        assert airflow.wait_run(dag_id, run_id) == "failed"
        (instance,) = airflow.instances(dag_id, run_id)
        # What has waited too long is queued once more, to fail in a worker.
        return datetime.fromisoformat(instance["queued_when"]).timestamp()
    match way.removeprefix("task_").removeprefix("worker_"):
        case "marked_failed":
            answer = airflow.http.patch(f"{run}/taskInstances/{way}", json={"new_state": "failed"})
        case "cleared":
            body = {"dry_run": False, "dag_run_id": run_id, "task_ids": [way], "only_failed": False}
            answer = airflow.http.post(f"/dags/{dag_id}/clearTaskInstances", json=body)
        case "run_marked_failed":
            answer = airflow.http.patch(run, json={"state": "failed"})
        case "run_deleted":
            airflow.http.patch(run, json={"state": "failed"})
            answer = airflow.http.delete(run)
    assert answer.is_success, answer.text
    return started


@pytest.mark.parametrize("way", WAYS)
def test_the_call_in_flight_ends_with_its_task_and_none_follows(
    airflow: AirflowDriver,
    control: SimulatorControl,
    held: dict[str, str],
    figure: Callable[[str], None],
    way: str,
) -> None:
    stopped = stop(airflow, way, held[way])

    def left() -> dict[str, Any] | None:
        first = control.requests(task=way)[0]
        return first if first["ended"] is not None else None

    entry = wait_for(f"the call of {way} to end", left, seconds=60, every=0.1)
    assert entry["disconnected"]
    seconds = entry["ended"] - stopped
    figure(f"{way}: the call ended {seconds:.1f} s after the stop")
    assert seconds < WITHIN
    if way.endswith("cleared"):
        assert airflow.wait_run(f"held_{way}", held[way]) == "success"
    assert len(control.requests(task=way)) == (2 if way.endswith("cleared") else 1)


def test_nothing_is_spent_afterwards(
    airflow: AirflowDriver, control: SimulatorControl, held: dict[str, str], stack: LocalStack
) -> None:
    """Looked at once all stops are some time ago: nothing was asked that the tests above don't know of."""
    expected = {way: 2 if way.endswith("cleared") else 1 for way in WAYS}
    asked = [entry["task"] for entry in control.requests()]
    assert {way: asked.count(way) for way in WAYS} == expected
    assert control.health()["in_flight"] == 0
