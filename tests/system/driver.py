"""How the system tests speak with a real Airflow: its REST API, as any client would."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx

from chassis.local.simulator.claude_request import ClaudeRequest
from chassis.local.stack import LocalStack

PROJECT = Path(__file__).parents[2]

T = TypeVar("T")

FINAL = {"success", "failed"}


def wait_for(what: str, check: Callable[[], T | None], *, seconds: float = 120, every: float = 0.5) -> T:
    """Poll until ``check`` gives something true, and say what was waited for when it doesn't."""
    deadline = time.monotonic() + seconds
    while True:
        found = check()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s for {what}; the last look gave {found!r}")
        time.sleep(every)


@contextmanager
def started(stack: LocalStack) -> Iterator[LocalStack]:
    """The stack while it runs."""
    stack.start()
    try:
        yield stack
    finally:
        stack.stop()


def run_chassis(home: Path, *arguments: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """The command line as a person runs it, against the stack of that home."""
    return subprocess.run(
        [sys.executable, "-m", "chassis.cli.main", *arguments],
        env=os.environ | {"CHASSIS_HOME": str(home), "NO_COLOR": "1", "COLUMNS": "160"},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


class AirflowDriver:
    """A signed-in client of one Airflow."""

    def __init__(self, url: str, username: str, password: str) -> None:
        self.url = url.rstrip("/")
        token = httpx.post(
            f"{self.url}/auth/token", json={"username": username, "password": password}, timeout=30
        )
        token.raise_for_status()
        self.http = httpx.Client(
            base_url=f"{self.url}/api/v2",
            headers={"Authorization": f"Bearer {token.json()['access_token']}"},
            timeout=60,
        )

    def get(self, path: str, **params: Any) -> Any:
        answer = self.http.get(path, params=params)
        assert answer.is_success, f"GET {path}: {answer.status_code} {answer.text[:500]}"
        return answer.json()

    def find(self, path: str) -> Any | None:
        answer = self.http.get(path)
        return answer.json() if answer.is_success else None

    def trigger(self, dag_id: str, conf: dict[str, Any] | None = None) -> str:
        """Start a run, under an id of its own, so that a second attempt can't start another.

        On SQLite, Airflow's API server can find its own database locked (3.3.2), and says so with status 500.
        """
        run_id = f"manual__{uuid.uuid4()}"
        body = {"logical_date": None, "conf": conf or {}, "dag_run_id": run_id}
        for _ in range(3):
            answer = self.http.post(f"/dags/{dag_id}/dagRuns", json=body)
            if answer.status_code != httpx.codes.INTERNAL_SERVER_ERROR:
                break
        begun = answer.is_success or answer.status_code == httpx.codes.CONFLICT
        assert begun, f"trigger {dag_id}: {answer.status_code} {answer.text[:500]}"
        return run_id

    def wait_run(self, dag_id: str, run_id: str, *, seconds: float = 240) -> str:
        def ended() -> str | None:
            run = self.find(f"/dags/{dag_id}/dagRuns/{run_id}")
            return run["state"] if run and run["state"] in FINAL else None

        return wait_for(f"run {run_id} of {dag_id} to end", ended, seconds=seconds)

    def instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        path, found = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances", []
        while True:  # Airflow gives a hundred at most
            page = self.get(path, limit=100, offset=len(found))
            found += page["task_instances"]
            if len(found) >= page["total_entries"]:
                return found

    def states(self, dag_id: str, run_id: str) -> dict[tuple[str, int], str | None]:
        return {(ti["task_id"], ti["map_index"]): ti["state"] for ti in self.instances(dag_id, run_id)}

    def result(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> Any:
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/return_value"
        return self.get(path, map_index=map_index, deserialize=True)["value"]

    def log(self, dag_id: str, run_id: str, task_id: str, *, try_number: int = 1, map_index: int = -1) -> str:
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{try_number}"
        answer = self.http.get(
            path,
            params={"map_index": map_index, "full_content": True},
            headers={"Accept": "application/x-ndjson"},
        )
        assert answer.is_success, f"log of {task_id}: {answer.status_code} {answer.text[:500]}"
        return answer.text

    def plan(self, requirement: str, **params: Any) -> tuple[str, str]:
        """Run the planner to its end; the workflow's id and the id of the run that it started."""
        run_id = self.trigger("plan_workflow", {"requirement": requirement, **params})
        state = self.wait_run("plan_workflow", run_id)
        assert state == "success", self.log("plan_workflow", run_id, "plan")[-3000:]
        workflow_id = self.result("plan_workflow", run_id, "publish")["workflow_id"]
        return str(workflow_id), f"planned__{run_id}"

    def plan_and_run(self, requirement: str, **params: Any) -> tuple[str, str, str]:
        """Plan, and wait for the planned run; the workflow's id, the run's id, and its final state."""
        workflow_id, run_id = self.plan(requirement, **params)
        return workflow_id, run_id, self.wait_run(workflow_id, run_id)


def await_plan(airflow: AirflowDriver, workflow_id: str, digest: str, *, seconds: float = 60) -> float:
    """Seconds until Airflow's DAG is the one of the plan with that digest."""
    started = time.monotonic()

    def visible() -> bool:
        dag = airflow.find(f"/dags/{workflow_id}")
        return bool(dag) and f"plan:{digest[:12]}" in {tag["name"] for tag in dag["tags"]}

    wait_for(f"plan {digest[:12]} of {workflow_id}", visible, seconds=seconds, every=0.1)
    return time.monotonic() - started


def instruction_in_prompt(request: dict[str, Any]) -> str:
    """The instruction that a request of the simulator's log asks for."""
    return ClaudeRequest(request["model"], request["body"], request["stream"]).text_of("task")


def results_in_prompt(request: dict[str, Any]) -> list[tuple[str, str | None]]:
    """Task and item of each dependency's result that a request of the simulator's log holds, in order."""
    prompt = ClaudeRequest(request["model"], request["body"], request["stream"])
    return [
        (fence.attributes["task"], fence.attributes.get("item"))
        for fence in prompt.fences
        if fence.name == "result"
    ]
