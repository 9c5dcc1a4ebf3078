"""Runs one task of a hand-written DAG as far as its call, with Airflow's own rendering and a stand-in for its XComs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import TaskDeferred
from jinja2 import Template

from chassis.dag.deferred_call import TaskCall, restore_call
from chassis.local.simulator.claude_request import ClaudeRequest, Fence


@dataclass
class OwnRun:
    """A run of a DAG in which some tasks have returned something.

    :ivar returned: return values by task id
    """

    dag: DAG
    returned: Mapping[str, Any] = field(default_factory=dict)
    conf: Mapping[str, Any] = field(default_factory=dict)

    def call(self, task_id: str, map_index: int = -1) -> TaskCall:
        """The call that a task, or an instance of it, hands to the triggerer."""
        context = self.rendered(task_id, map_index)
        with pytest.raises(TaskDeferred) as deferral:
            context["task"].execute(context)
        call = restore_call(json.loads(json.dumps(deferral.value.trigger.serialize()[1]["call"])))
        assert isinstance(call, TaskCall)
        return call

    def label(self, task_id: str, map_index: int) -> str:
        """How Airflow names an instance of a mapped task."""
        context = self.rendered(task_id, map_index)
        return Template(context["map_index_template"]).render(**context)

    def rendered(self, task_id: str, map_index: int = -1) -> Any:
        task = self.dag.get_task(task_id)
        ti = SimpleNamespace(
            dag_id=self.dag.dag_id,
            run_id="r",
            task_id=task_id,
            map_index=map_index,
            try_number=1,
            task=task,
            xcom_pull=self._xcom,
            xcom_push=lambda *_, **__: None,
        )
        context: Any = {
            "dag": self.dag,
            "ti": ti,
            "task": task,
            "dag_run": SimpleNamespace(clear_number=0, conf=dict(self.conf)),
            "params": {**self.dag.params.dump(), **self.conf},
            "map_index_template": task.map_index_template,
            "ds": "2026-11-28",
        }
        prepared: Any = task.prepare_for_execution()
        context["task"] = prepared
        prepared.render_template_fields(context)
        return context

    def _xcom(self, task_ids: str, key: str = "return_value", default: Any = None, **_: Any) -> Any:
        value = self.returned.get(task_ids)
        return value if value is None or key == "return_value" else value[key]


def fences(call: TaskCall) -> list[Fence]:
    """The blocks of data in a call's prompt."""
    body = {"messages": [message.model_dump() for message in call.request.messages]}
    return list(ClaudeRequest("m", body, stream=False).fences)


def told(call: TaskCall) -> dict[str, str]:
    """The data in a call's prompt by the names under which it stands there."""
    found = {}
    for fence in fences(call):
        facts = (fence.attributes.get("task"), fence.attributes.get("argument"))
        found[" ".join([fence.name, *(fact for fact in facts if fact)])] = fence.content
    return found
