"""Has today's code do again what an earlier version was recorded doing (``tests/recorded``)."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskAwaitingInput, TaskDeferred
from airflow.sdk.execution_time import hitl
from airflow.serialization.serialized_objects import DagSerialization

from chassis.dag.factory import build_dag
from chassis.dag.planner import planner_dag
from chassis.settings import Settings
from chassis.workflow import WorkflowSpec, load_plan
from tests.unit.recorded import own_dag

RECORDED = Path(__file__).parents[2] / "recorded"
ROOT = "/recorded"
"""Stands in recordings for the folder that the records and the plan store were in."""
CONNECTION = {
    "conn_type": "claude_bedrock",
    "login": "nobody",
    "password": "nobody's password",
    "extra": {"region_name": "us-east-1", "endpoint_url": "http://127.0.0.1:9"},
}
"""Where nobody answers: what isn't found in the records ends in an error."""
_OF_THE_MACHINE = ("fileloc", "relative_fileloc", "_processor_dags_folder")


def recorded(name: str) -> Any:
    """What a JSON file of the recordings holds."""
    return json.loads((RECORDED / name).read_text())


def names(folder: str, suffix: str) -> list[str]:
    """The names, without suffix, of the recordings in a folder."""
    found = sorted(path.stem for path in (RECORDED / folder).glob(f"*{suffix}"))
    assert found, f"nothing is recorded in {folder}: these tests would show nothing"
    return found


def plan(name: str) -> WorkflowSpec:
    """A recorded plan."""
    return load_plan((RECORDED / "plans" / f"{name}.yaml").read_bytes(), source=name)


def serialised(dag: Any) -> Any:
    """A DAG as Airflow stores it, but for the folders of the machine."""
    stored = json.loads(json.dumps(DagSerialization.to_dict(dag)))
    return stored | {
        "dag": {key: value for key, value in stored["dag"].items() if key not in _OF_THE_MACHINE}
    }


def missing(old: Any, new: Any, where: str = "") -> list[str]:
    """What of a recording has another value today. A field that came since then is no fault."""
    if isinstance(old, dict) and isinstance(new, dict):
        return [fault for key in old for fault in missing(old[key], new.get(key), f"{where}.{key}")]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = zip(old, new, strict=True)
        return [fault for at, pair in enumerate(pairs) for fault in missing(*pair, f"{where}[{at}]")]
    return [] if (old, type(old)) == (new, type(new)) else [f"{where}: was {old!r}, is {new!r}"]


class Deployment:
    """A deployment over copies of the recorded stores, with the agents and services of that time.

    :ivar root: folder of the copies
    """

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self._environment = root, monkeypatch
        for name in ("records", "store"):
            if (RECORDED / name).exists():
                shutil.copytree(RECORDED / name, root / name)
        options = {
            "agents_folder": RECORDED / "agents",
            "services_file": RECORDED / "services.yaml",
            "records_root": root / "records",
            "plans_root": root / "store",
        }
        for name, value in options.items():
            monkeypatch.setenv(f"AIRFLOW__CHASSIS__{name.upper()}", str(value))
        monkeypatch.setenv("AIRFLOW_CONN_CLAUDE_BEDROCK", json.dumps(CONNECTION))
        monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **_: None)

    def plain(self, value: Any) -> Any:
        """A value as JSON, with no folder of this machine in it."""
        return json.loads(json.dumps(value).replace(str(self.root), ROOT))

    def here(self, value: Any) -> Any:
        """A recorded value, with the folders of this machine."""
        return json.loads(json.dumps(value).replace(ROOT, str(self.root)))

    def visit(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """What one visit of a task to a worker ends with: how it was handed on, or what it returned.

        :param given: whose visit it is (``dag``: a plan's name, ``own`` or ``planner``; ``task``; ``item``), what the
            method is given, and what is set
        """
        with self._environment.context() as only_here:
            for name, value in given.get("environment", {}).items():
                only_here.setenv(name, value)
            return self._visit(given)

    def _visit(self, given: Mapping[str, Any]) -> dict[str, Any]:
        operator = self._operator(given)
        ti = TaskInstance(given, operator.dag.dag_id)
        run: dict[str, Any] = {
            "clear_number": ti.clear_number,
            "run_after": datetime.fromisoformat("2026-03-01T06:00:00+00:00"),
            "conf": {},
        }
        params = {**operator.dag.params.dump(), **given.get("params", {})}
        context: Any = {"ti": ti, "task": operator, "dag": operator.dag, "dag_run": SimpleNamespace(**run)}
        context |= {"params": params, "run_id": ti.run_id, "map_index_template": None}
        if given["dag"] == "own":
            context["task"] = operator = operator.prepare_for_execution()
            operator.render_template_fields(context)
        try:
            method = getattr(operator, given.get("method", "execute"))
            outcome = {"returned": method(context, **self.here(given.get("arguments", {})))}
        except (TaskDeferred, TaskAwaitingInput) as parted:
            outcome = {"method": parted.method_name, "arguments": dict(parted.kwargs or {})}
            if isinstance(parted, TaskDeferred):
                path, call = parted.trigger.serialize()
                outcome |= {"trigger": path, "trigger_arguments": call}
        return dict(self.plain(outcome | {"pushed": ti.pushed}))

    def _operator(self, given: Mapping[str, Any]) -> Any:
        if given["dag"] == "own":
            dag = own_dag.own_dag()
        elif given["dag"] == "planner":
            dag = planner_dag("plan_workflow", approve=given.get("approve"))
        else:
            dag = build_dag(plan(given["dag"]), revision=3, settings=Settings.load())
        operator: Any = copy.copy(dag.get_task(given["task"]))
        if "item" in given and given["dag"] != "own":
            operator.item = given["item"]
        return operator


class TaskInstance:
    """What a task sees of Airflow: XComs as they are stored, by task and map index."""

    id, max_tries, rendered_map_index = "01a204a6-3b50-7f52-9223-8328570fb99f", 3, None

    def __init__(self, given: Mapping[str, Any], dag_id: str) -> None:
        self.dag_id, self.task_id = dag_id, given["task"]
        self.run_id = given.get("run_id", "manual__2026-03-01T06:00:00+00:00")
        self.clear_number, self.try_number = given.get("clear_number", 0), given.get("try_number", 1)
        self.map_index = given.get("map_index", -1)
        self.pushed: dict[str, Any] = {}
        self._xcoms = given.get("xcoms", [])
        self._states = given.get("states", [])

    def xcom_pull(
        self, task_ids: Any, map_indexes: Any = -1, key: str = "return_value", default: Any = None, **_: Any
    ) -> Any:
        if isinstance(task_ids, list):
            return [each["value"] for each in self._xcoms if each["task"] == task_ids[0]]
        if isinstance(map_indexes, range):
            return [self.xcom_pull(task_ids, index, key) for index in map_indexes]
        here = (task_ids, -1 if map_indexes is None else map_indexes, key)
        return next((each["value"] for each in self._xcoms if _place(each) == here), default)

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value

    def get_task_breadcrumbs(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        return list(self._states)

    def get_task_states(self, dag_id: str, **_: Any) -> dict[str, Any]:
        return {}

    def get_dr_count(self, dag_id: str, run_ids: list[str]) -> int:
        return len(run_ids)


def _place(xcom: Mapping[str, Any]) -> tuple[str, int, str]:
    return xcom["task"], xcom.get("map_index", -1), xcom.get("key", "return_value")
