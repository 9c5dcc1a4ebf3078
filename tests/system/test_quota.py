"""Two hundred tasks at once against a quota: none fails, and the quota is used well."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from chassis.local.simulator import SimulatorControl
from chassis.local.stack import LocalStack
from chassis.local.stack_file import read_record
from chassis.plans.store import PlanStore
from chassis.workflow import ForEach, Limits, TaskSpec, WorkflowSpec
from tests.system.driver import AirflowDriver, await_plan, wait_for

TASKS = 200
A_SECOND, IN_FLIGHT = 10, 20

WORKFLOW = WorkflowSpec(
    schema_version=1,
    id="wide",
    title="Two hundred items at once",
    requirement="Look at two hundred services.",
    tasks=(
        TaskSpec(
            id="look",
            name="Look",
            instruction="Look at {item}.",
            for_each=ForEach(items=tuple(f"service{number:03}" for number in range(TASKS))),
        ),
    ),
    limits=Limits(max_parallel=TASKS),
)


@pytest.fixture
def big_pool(airflow: AirflowDriver) -> Iterator[None]:
    def resize(slots: int) -> None:
        answer = airflow.http.patch(
            "/pools/bedrock", json={"pool": "bedrock", "slots": slots, "include_deferred": True}
        )
        assert answer.is_success, answer.text

    slots = airflow.get("/pools/bedrock")["slots"]
    resize(TASKS + 10)
    yield
    resize(slots)


@pytest.mark.usefixtures("big_pool")
def test_two_hundred_tasks_that_wait_at_once_all_succeed_within_the_quota(
    airflow: AirflowDriver,
    simulator: SimulatorControl,
    stack: LocalStack,
    store: PlanStore,
    figure: Callable[[str], None],
) -> None:
    simulator.set_quota(requests_per_second=A_SECOND, in_flight=IN_FLIGHT)
    simulator.set_latency(0.5)
    await_plan(airflow, WORKFLOW.id, store.publish(WORKFLOW).digest)
    # Two cores start three workers a second, a fleet many more: here all tasks wait before the first call is made.
    with without_triggerer(stack):
        run_id = airflow.trigger(WORKFLOW.id)
        wait_for("all tasks to wait", lambda: waiting(airflow, run_id) == TASKS, seconds=420, every=2)
    assert airflow.wait_run(WORKFLOW.id, run_id, seconds=300) == "success"

    instances = airflow.instances(WORKFLOW.id, run_id)
    assert len(instances) == TASKS
    assert {(ti["state"], ti["try_number"]) for ti in instances} == {("success", 1)}
    entries = simulator.requests(task="look")
    admitted = [entry for entry in entries if entry["status"] == 200]
    assert len(admitted) == TASKS, "no task was asked for twice"
    seconds = max(entry["ended"] for entry in admitted) - min(entry["started"] for entry in entries)
    limit = TASKS / A_SECOND
    figure(
        f"{TASKS} tasks at {A_SECOND} requests a second, {IN_FLIGHT} in flight: {seconds:.1f} s, "
        f"{seconds / limit:.2f} times the quota's own limit of {limit:.0f} s; "
        f"{len(entries) - len(admitted)} requests were refused"
    )
    assert seconds < 3 * limit


@contextmanager
def without_triggerer(stack: LocalStack) -> Iterator[None]:
    """Kill the triggerer, and keep the stack's supervisor from starting it again for as long."""
    record = read_record(stack.home)
    supervisor = record.supervisor.find() if record else None
    assert supervisor
    supervisor.suspend()
    try:
        os.kill(stack.processes["triggerer"], signal.SIGKILL)
        yield
    finally:
        supervisor.resume()
    stack.restart("triggerer")


def waiting(airflow: AirflowDriver, run_id: str) -> int:
    found = airflow.get(f"/dags/{WORKFLOW.id}/dagRuns/{run_id}/taskInstances", state="deferred", limit=1)
    return int(found["total_entries"])
