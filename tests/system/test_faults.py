"""Each fault of Bedrock, met by the planner, by a task and by an item of a mapped task, all at once.

The table says what each is to become: the class of the error (None: the task succeeds), the number of requests, and the
seconds that lie at least between them. A try of Airflow's begins at the earliest after the suite's retry delay of 1 s.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from chassis.local.simulator import SimulatorControl
from chassis.local.stack import LocalStack
from chassis.plans.store import PlanStore
from chassis.workflow import ForEach, TaskSpec, WorkflowSpec
from tests.system.driver import AirflowDriver, await_plan, wait_for

QUICK = (0.37, 0.75)  # 0.5 s and 1 s, less a quarter of jitter
AIRFLOW = 1.0
CROWDED = (0.5, 1.0)  # 1 s and 2 s, less half of them for jitter
PLACES = ("planner", "task", "mapped task")


@dataclass(frozen=True)
class Expected:
    error: str | None
    requests: int
    waits: tuple[float, ...] = ()
    spared: int = 0
    """Requests fewer, where the triggerer knows from another case already that another form is needed."""


PASSING = Expected("ServiceFaultError", 6, (*QUICK, AIRFLOW, *QUICK))
BROKEN = Expected("StreamBrokenError", 2, (AIRFLOW,))
TABLE: dict[str, Expected] = {
    "throttle": Expected(None, 4, (1.0, 1.0, 1.0)),
    "exception_frame": Expected(None, 2, (AIRFLOW,)),
    "internal": PASSING,
    "unavailable": Expected(None, 3, CROWDED),
    "overloaded": Expected(None, 3, CROWDED),
    "model_not_ready": Expected(None, 3, CROWDED),
    "model_error": PASSING,
    "stall": BROKEN,
    "reset": BROKEN,
    "truncate": BROKEN,
    "access_denied": Expected("AccessDeniedError", 1),
    "expired_token": Expected("CredentialsRefusedError", 1),
    "unknown_model": Expected("ModelNotFoundError", 1),
    "max_tokens": Expected("AnswerTruncatedError", 2, spared=1),
    "refusal": Expected("ModelRefusalError", 1),
    "malformed_json": Expected("AnswerInvalidError", 3),
    "wrong_schema": Expected("AnswerInvalidError", 3),
    "no_structured_output": Expected(None, 2),
    "blocked": Expected("TaskBlockedError", 1),
    "wrong_plan": Expected("AnswerInvalidError", 3),
}
DETAILS: dict[str, dict[str, Any]] = {
    "throttle": {"times": 3, "retry_after": 1},
    "exception_frame": {"times": 1},
    "unavailable": {"times": 2},
    "overloaded": {"times": 2},
    "model_not_ready": {"times": 2},
    "stall": {"seconds": 1},
}
CASES = [
    (place, fault)
    for place in PLACES
    for fault in TABLE
    if not (fault == "blocked" and place == "planner") and not (fault == "wrong_plan" and place != "planner")
]
SCHEMA = {"type": "object", "properties": {"done": {"type": "string"}}, "required": ["done"]}


def mine(place: str, fault: str) -> dict[str, str]:
    """Which requests of the simulator's log belong to a case."""
    if place == "planner":
        return {"kind": "plan", "requirement": f"[{fault}]"}
    if place == "task":
        return {"kind": "task", "task": f"with_{fault}"}
    return {"kind": "task", "task": "each", "item": fault}


@dataclass(frozen=True)
class Ended:
    """What became of a case: the error that its task left, and the times of its requests."""

    state: str
    error: str | None
    started: list[float]


@pytest.fixture(scope="module")
def ended(airflow: AirflowDriver, stack: LocalStack) -> Iterator[dict[tuple[str, str], Ended]]:
    assert stack.simulator_url
    simulator = SimulatorControl(stack.simulator_url)
    simulator.reset()
    for place, fault in CASES:
        fields = mine(place, fault)
        if "requirement" in fields:
            fields["requirement"] = re.escape(fields["requirement"])  # A scenario takes it for an expression.
        simulator.add_fault(fault, **DETAILS.get(fault, {}), **fields)
    digest = PlanStore(str(stack.home / "plans")).publish(faulty_workflow()).digest
    planners = {
        fault: airflow.trigger(
            "plan_workflow",
            {
                "requirement": f"Calculate the sum of 2 and 2 [{fault}]",
                "workflow_id": f"planned_with_{fault}",
                "action": "publish",
            },
        )
        for place, fault in CASES
        if place == "planner"
    }
    await_plan(airflow, "faulty", digest)
    run_id = airflow.trigger("faulty")
    airflow.wait_run("faulty", run_id, seconds=400)
    found = {}
    items = [fault for place, fault in CASES if place == "mapped task"]
    for place, fault in CASES:
        if place == "planner":
            where = ("plan_workflow", planners[fault], "plan", -1)
            wait_for("the planner", lambda where=where: task_state(airflow, *where), seconds=300)
        elif place == "task":
            where = ("faulty", run_id, f"with_{fault}", -1)
        else:
            where = ("faulty", run_id, "each", items.index(fault))
        found[place, fault] = look(airflow, simulator, place, fault, where)
    yield found
    simulator.reset()


def faulty_workflow() -> WorkflowSpec:
    plain = [
        # A schema of its own: which models refuse constrained decoding is remembered with the schema.
        TaskSpec(id=f"with_{fault}", name=fault, instruction="Do it.", output_schema=SCHEMA)
        for place, fault in CASES
        if place == "task"
    ]
    items = tuple(fault for place, fault in CASES if place == "mapped task")
    mapped = TaskSpec(id="each", name="Each", instruction="Do {item}.", for_each=ForEach(items=items))
    return WorkflowSpec(
        schema_version=1,
        id="faulty",
        title="One task for each fault",
        requirement="Meet each fault.",
        tasks=(*plain, mapped),
    )


def task_state(airflow: AirflowDriver, dag_id: str, run_id: str, task_id: str, map_index: int) -> str | None:
    state = airflow.states(dag_id, run_id).get((task_id, map_index))
    return state if state in ("success", "failed") else None


def look(
    airflow: AirflowDriver, simulator: SimulatorControl, place: str, fault: str, where: tuple[Any, ...]
) -> Ended:
    dag_id, run_id, task_id, map_index = where
    path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/error"
    answer = airflow.http.get(path, params={"map_index": map_index, "deserialize": True})
    error = answer.json()["value"]["class"] if answer.is_success else None
    fields = mine(place, fault)
    marked = fields.pop("requirement", "")
    entries = [entry for entry in simulator.requests(**fields) if not marked or marked in str(entry["body"])]
    state = task_state(airflow, dag_id, run_id, task_id, map_index)
    return Ended(str(state), error, sorted(entry["started"] for entry in entries))


@pytest.mark.parametrize(("place", "fault"), CASES, ids=[f"{place}-{fault}" for place, fault in CASES])
def test_a_fault_has_its_error_its_number_of_requests_and_its_wait(
    ended: dict[tuple[str, str], Ended], place: str, fault: str
) -> None:
    expected, found = TABLE[fault], ended[place, fault]
    assert found.error == expected.error
    assert found.state == ("failed" if expected.error else "success")
    assert expected.requests - expected.spared <= len(found.started) <= expected.requests
    waits = [after - before for before, after in zip(found.started, found.started[1:], strict=False)]
    too_short = [(wait, least) for wait, least in zip(waits, expected.waits, strict=False) if wait < least]
    assert not too_short


def test_the_table_is_printed(ended: dict[tuple[str, str], Ended], figure: Callable[[str], None]) -> None:
    for fault, expected in TABLE.items():
        counts = [str(len(ended[place, fault].started)) for place in PLACES if (place, fault) in ended]
        figure(f"{fault}: {expected.error or 'success'}, requests in each place: {', '.join(counts)}")
    assert {place for place, _ in ended} == set(PLACES)
