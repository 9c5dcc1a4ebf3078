from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred

from chassis.claude.connection_options import NO_OPTIONS
from chassis.contract.names import ERROR
from chassis.dag.deferred_call import TaskCall, restore_call
from chassis.dag.fan_out import Dependency
from chassis.dag.planned import PlannedTaskOperator
from chassis.errors import RequestRefusedError
from chassis.local.simulator.claude_request import ClaudeRequest
from chassis.workflow import TaskSpec


class TaskInstance:
    """Answers xcom_pull as Airflow does: one value for a map index, a list for a list of task ids."""

    dag_id, run_id, task_id, try_number = "sums", "manual__1", "add", 1

    def __init__(self, xcoms: dict[tuple[str, int], Any], map_index: int = -1) -> None:
        self.xcoms = xcoms
        self.map_index = map_index
        self.pushed: dict[str, Any] = {}

    def xcom_pull(self, task_ids: str | list[str], map_indexes: int | None = None) -> Any:
        if isinstance(task_ids, list):
            (task_id,) = task_ids
            return [value for (name, _), value in sorted(self.xcoms.items()) if name == task_id]
        return self.xcoms.get((task_ids, -1 if map_indexes is None else map_indexes))

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


def result(task: str, item: str | None = None, output: Any = "done") -> dict[str, Any]:
    return {"task": task, "item": item, "status": "completed", "summary": f"{task} {item}", "output": output}


@pytest.fixture(autouse=True)
def no_connection(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("chassis.claude.connection_options.connection_options", lambda conn_id: NO_OPTIONS)
    return


def deferred_call(operator: PlannedTaskOperator, ti: TaskInstance, **params: Any) -> TaskCall:
    with pytest.raises(TaskDeferred) as deferral:
        operator.execute({"params": params, "ti": ti, "dag_run": SimpleNamespace(clear_number=2)})  # type: ignore[typeddict-item]
    call = restore_call(json.loads(json.dumps(deferral.value.trigger.serialize()[1]["call"])))
    assert isinstance(call, TaskCall)
    return call


def told(call: TaskCall) -> list[tuple[str, str | None]]:
    """Task and item of the results in the call's prompt."""
    body = {"messages": [message.model_dump() for message in call.request.messages]}
    fences = ClaudeRequest("m", body, stream=False).fences
    return [(f.attributes["task"], f.attributes.get("item")) for f in fences if f.name == "result"]


def test_the_prompt_holds_the_results_of_the_declared_dependencies_and_no_others() -> None:
    operator = PlannedTaskOperator(
        spec=TaskSpec(id="join", name="Join", instruction="Join them."),
        requirement="Do it.",
        dependencies=[Dependency("plain", "one")],
    )
    ti = TaskInstance({("plain", -1): result("plain"), ("other", -1): result("other")})
    assert told(deferred_call(operator, ti)) == [("plain", None)]


def test_only_the_declared_inputs_reach_the_prompt() -> None:
    operator = PlannedTaskOperator(
        spec=TaskSpec(id="use", name="Use", instruction="Use {product}."),
        requirement="Do it.",
        inputs=("product",),
    )
    call = deferred_call(operator, TaskInstance({}), product="boats", undeclared="not this")
    text = json.dumps(call.request.model_dump(mode="json"))
    assert "boats" in text
    assert "not this" not in text


def test_a_model_named_by_the_task_comes_before_the_configured_one() -> None:
    spec = TaskSpec(id="use", name="Use", instruction="Use it.", model="eu.anthropic.claude-other")
    call = deferred_call(PlannedTaskOperator(spec=spec, requirement="Do it."), TaskInstance({}))
    assert call.request.model == "eu.anthropic.claude-other"


def test_a_failure_of_the_triggerer_is_raised_in_the_worker_and_left_as_an_xcom() -> None:
    operator = PlannedTaskOperator(
        spec=TaskSpec(id="use", name="Use", instruction="Use it."), requirement="Do it."
    )
    ti = TaskInstance({})
    failure = RequestRefusedError("too long", status=413, request_id="r-9")
    with pytest.raises(RequestRefusedError, match="too long"):
        operator.resume({"ti": ti}, failure.describe())  # type: ignore[typeddict-item]
    assert ti.pushed[ERROR]["status"] == 413


PREPARE = """
import sys
from types import SimpleNamespace
from airflow.sdk.exceptions import TaskDeferred
import chassis.claude.connection_options
chassis.claude.connection_options.connection_options = lambda conn_id: chassis.claude.connection_options.NO_OPTIONS
from chassis.dag.planned import PlannedTaskOperator
from chassis.workflow import TaskSpec
operator = PlannedTaskOperator(spec=TaskSpec(id="a", name="A", instruction="Do."), requirement="Do it.")
try:
    ti = SimpleNamespace(dag_id="d", run_id="r", task_id="a", map_index=-1, try_number=1)
    operator.execute({"params": {}, "ti": ti, "dag_run": SimpleNamespace(clear_number=0)})
except TaskDeferred:
    print(*sorted({"anthropic", "boto3", "httpx2", "genai_prices"} & set(sys.modules)))
"""


def test_a_worker_prepares_a_call_without_the_claude_or_aws_sdk() -> None:
    done = subprocess.run([sys.executable, "-c", PREPARE], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == ""
