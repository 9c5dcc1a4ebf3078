"""A small Airflow API server on port 0: real HTTP, made-up runs.

It asserts what it gets (a signed-in caller, known paths) and records every request. It can't prove that
Airflow behaves like that: ``tests/system`` drives the real one.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from chassis.contract.run_view import NEWEST_RUN, NO_SUCH_RUN
from chassis.contract.workflow_rows import WaitingPlan, WorkflowList, WorkflowRow
from chassis.contract.xcoms import PendingPlan
from tests.unit.fake_run_view import run_view

HEARTS = ("scheduler", "dag_processor", "triggerer")
USERNAME, PASSWORD, TOKEN = "ann", "right", "a-token"


def instance(task_id: str, state: str | None, map_index: int = -1, **more: Any) -> dict[str, Any]:
    """A task instance as Airflow's API gives it, cut down to what the command line reads."""
    label = str(map_index) if map_index >= 0 else None
    tries = 1 if state in ("success", "failed", "running") else 0
    return {
        "task_id": task_id,
        "map_index": map_index,
        "state": state,
        "task_display_name": task_id.replace("_", " "),
        "rendered_map_index": label,
        "try_number": tries,
        **more,
    }


@dataclass
class FakeRun:
    """One run. Each look at its task instances goes on to the next snapshot, and stays at the last."""

    state: str = "success"
    snapshots: list[list[dict[str, Any]]] = field(default_factory=lambda: [[]])
    xcoms: dict[tuple[str, int, str], Any] = field(default_factory=dict)
    logs: dict[tuple[str, int], list[dict[str, Any]]] = field(default_factory=dict)
    downstream: list[dict[str, Any]] = field(default_factory=list)
    after_clear: FakeRun | None = None
    conf: dict[str, Any] = field(default_factory=dict)
    running: bool = False
    looks: int = 0
    after_answers: list[FakeRun] = field(default_factory=list)
    """How the run goes on after each answer of a person."""

    @property
    def snapshot(self) -> list[dict[str, Any]]:
        return self.snapshots[min(self.looks, len(self.snapshots) - 1)]

    @property
    def asks(self) -> list[str]:
        return [each["task_id"] for each in self.snapshot if each["state"] == "awaiting_input"]

    amendments: list[dict[str, Any]] = field(default_factory=list)
    amending: tuple[int, dict[str, Any]] = (200, {})
    transcripts: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)

    @property
    def at_end(self) -> bool:
        return self.looks >= len(self.snapshots)


@dataclass
class FakeDag:
    """One DAG and its runs, oldest first."""

    tasks: list[dict[str, Any]] = field(default_factory=list)
    runs: dict[str, FakeRun] = field(default_factory=dict)
    tags: tuple[str, ...] = ("chassis",)
    paused: bool = False
    bundle_version: str | None = None
    refuses: str = ""
    params: dict[str, str] = field(default_factory=dict)
    starts: dict[str, FakeRun] = field(default_factory=dict)
    next_run: str | None = None
    items: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Items of mapped tasks that the plan names."""

    @property
    def last_state(self) -> str | None:
        run = next(reversed(self.runs.values()), None)
        return None if run is None else run.state if run.at_end else "running"


def task(task_id: str, *followers: str, mapped: bool = False) -> dict[str, Any]:
    """A task as Airflow's API gives it."""
    return {
        "task_id": task_id,
        "task_display_name": task_id.replace("_", " "),
        "downstream_task_ids": list(followers),
        "is_mapped": mapped,
    }


class FakeAirflow:
    """The server. Change ``dags`` and ``entries`` at will; read ``requests`` afterwards."""

    def __init__(self) -> None:
        self.dags: dict[str, FakeDag] = {}
        self.entries: dict[str, dict[str, dict[str, Any]]] = {"pools": {}, "connections": {}, "variables": {}}
        self.requests: list[tuple[str, str, Any]] = []
        self.failing = 0
        self.beat = datetime.now(UTC)
        self.sick = ""
        self.import_errors: list[dict[str, str]] = []
        self.tokens_expire = 0
        self.page = 500
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                status, document = fake.answer(self.command, self.path, dict(self.headers), body)
                html = isinstance(document, str)
                content = b"" if document is None else json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Type", "text/html" if html else "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PATCH = do_DELETE = _answer  # noqa: N815  names that the base class calls

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def sent(self, method: str, ending: str) -> list[Any]:
        """Bodies of the requests of this method whose path ends so."""
        return [body for verb, path, body in self.requests if verb == method and path.endswith(ending)]

    def answer(self, method: str, target: str, headers: dict[str, str], body: Any) -> tuple[int, Any]:
        url = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
        self.requests.append((method, url.path, body))
        if self.failing:
            self.failing -= 1
            return 503, {"detail": "restarting"}
        if url.path == "/auth/token":
            good = body == {"username": USERNAME, "password": PASSWORD}
            return (201, {"access_token": TOKEN}) if good else (401, {"detail": "Invalid credentials"})
        if url.path == "/api/v2/monitor/health":
            return 200, {part: self._health(part) for part in ("metadatabase", *HEARTS)}
        if url.path == "/execution/health":
            return 200, {"status": "healthy"}
        if url.path == "/api/v2/version":
            return 200, {"version": "3.3.2"}
        if self.tokens_expire:
            self.tokens_expire -= 1
            return 401, {"detail": "Token expired"}
        if headers.get("Authorization") != f"Bearer {TOKEN}":
            return 401, {"detail": "Not authenticated"}
        if url.path.startswith("/chassis/"):
            return self.pages(method, [unquote(part) for part in url.path.split("/")[2:]], query)
        parts = [unquote(part) for part in url.path.removeprefix("/api/v2/").split("/")]
        if parts[0] == "importErrors":
            return 200, {"import_errors": self.import_errors, "total_entries": len(self.import_errors)}
        if parts[0] == "dags":
            return self._dags(method, parts[1:], query, body)
        return self._entries(method, parts, body)

    def _health(self, part: str) -> dict[str, str]:
        status = "unhealthy" if part == self.sick else "healthy"
        return {"status": status, f"latest_{part}_heartbeat": self.beat.isoformat()}

    def _entries(self, method: str, parts: list[str], body: Any) -> tuple[int, Any]:
        kind = self.entries[parts[0]]
        if method == "POST":
            name = body.get("name") or body.get("connection_id") or body.get("key")
            if body.get("slots") == 0:
                return 422, {"detail": [{"loc": ["body", "slots"], "msg": "must not be 0"}]}
            kind[name] = body
            return 201, body
        if parts[1] not in kind:
            return 404, {"detail": f"{parts[1]} was not found"}
        if method == "PATCH":
            kind[parts[1]] = body
        return 200, kind[parts[1]]

    def _dags(self, method: str, parts: list[str], query: dict[str, str], body: Any) -> tuple[int, Any]:
        if not parts:
            found = [
                self._dag(name) for name, dag in self.dags.items() if query.get("tags") in (None, *dag.tags)
            ]
            return 200, {"dags": found, "total_entries": len(found)}
        if parts[0] not in self.dags:
            return 404, {"detail": f"The Dag with ID: `{parts[0]}` was not found"}
        dag, rest = self.dags[parts[0]], parts[1:]
        if not rest:
            if method == "PATCH":
                dag.paused = body["is_paused"]
            if method == "DELETE":
                del self.dags[parts[0]]
                return 204, None
            return 200, self._dag(parts[0])
        if rest == ["details"]:
            params = {name: {"value": None, "schema": {"type": kind}} for name, kind in dag.params.items()}
            return 200, {**self._dag(parts[0]), "params": params}
        if rest == ["tasks"]:
            return 200, {"tasks": dag.tasks}
        if rest == ["clearTaskInstances"]:
            return self._clear(dag, body)
        assert rest[0] == "dagRuns", f"the fake has no {rest}"
        if len(rest) == 1:
            return (
                self._start(parts[0], dag, body) if method == "POST" else (200, self._newest(parts[0], dag))
            )
        if rest[1] not in dag.runs:
            return 404, {"detail": f"run {rest[1]} was not found"}
        if len(rest) == 2 and method == "PATCH":
            dag.runs[rest[1]].state = body["state"]
            dag.runs[rest[1]].looks = len(dag.runs[rest[1]].snapshots)
        if len(rest) == 2 and method == "DELETE":
            del dag.runs[rest[1]]
            return 204, None
        if rest[-1] == "hitlDetails":
            return self._take_answer(dag, rest[1], rest[3], body)
        return self._run(parts[0], rest[1], dag.runs[rest[1]], rest[2:], query)

    def _take_answer(self, dag: FakeDag, run_id: str, task_id: str, body: Any) -> tuple[int, Any]:
        assert set(body) == {"chosen_options", "params_input"}
        run = dag.runs[run_id]
        if task_id not in run.asks:
            return 409, {"detail": "has already been updated"}
        dag.runs[run_id] = run.after_answers[0]
        return 200, body

    def _dag(self, dag_id: str) -> dict[str, Any]:
        dag = self.dags[dag_id]
        tags = [{"name": tag} for tag in dag.tags]
        return {
            "dag_id": dag_id,
            "is_paused": dag.paused,
            "is_stale": False,
            "tags": tags,
            "bundle_version": dag.bundle_version,
            "next_dagrun_run_after": dag.next_run,
        }

    def _start(self, dag_id: str, dag: FakeDag, body: Any) -> tuple[int, Any]:
        assert body["logical_date"] is None
        if dag.refuses:
            return 400, {"detail": dag.refuses}
        run_id, run = next(iter(dag.starts.items()))
        run.conf = body["conf"]
        dag.runs[run_id] = run
        return 200, self._run_document(dag_id, run_id, run)

    def _newest(self, dag_id: str, dag: FakeDag) -> dict[str, Any]:
        runs = [self._run_document(dag_id, run_id, run) for run_id, run in reversed(dag.runs.items())]
        return {"dag_runs": runs, "total_entries": len(runs)}

    def _clear(self, dag: FakeDag, body: Any) -> tuple[int, Any]:
        assert body["only_failed"] is False, "Airflow's default would leave out what never ran"
        run_id = body["dag_run_id"]
        run = dag.runs[run_id]
        if body["dry_run"]:
            assert body["include_downstream"] is True
            return 200, {"task_instances": run.downstream}
        if run.running:
            return 409, {"detail": "a task is running"}
        if run.after_clear is not None:
            dag.runs[run_id] = run.after_clear
        return 200, {"task_instances": []}

    def _run(
        self, dag_id: str, run_id: str, run: FakeRun, rest: list[str], query: dict[str, str]
    ) -> tuple[int, Any]:
        if not rest:
            return 200, self._run_document(dag_id, run_id, run)
        if rest == ["taskInstances"]:
            snapshot = run.snapshot
            run.looks += 1
            offset, limit = int(query["offset"]), int(query["limit"])
            return 200, {"task_instances": snapshot[offset : offset + limit], "total_entries": len(snapshot)}
        index = int(query.get("map_index", -1))
        if rest[2] == "logs":
            return 200, {"content": run.logs.get((rest[1], index), [])}
        key = (rest[1], index, rest[3])
        if key not in run.xcoms:
            return 404, {"detail": "XCom entry not found"}
        return 200, {"value": run.xcoms[key]}

    def pages(self, method: str, parts: list[str], query: dict[str, str]) -> tuple[int, Any]:
        """What Chassis adds to Airflow's API."""
        if parts == ["api", "v1", "workflows"]:
            return 200, self._workflows().model_dump(mode="json")
        if parts[:3] == ["api", "v1", "dags"]:
            return self._view(parts[3], parts[5], query)
        dag_id, _, run_id, _, task_id, index, last = parts[1:]
        run = self.dags[dag_id].runs[run_id]
        if last == "transcript":
            nothing = {"task_id": task_id, "item": None, "tries": [], "transcript": None}
            return 200, run.transcripts.get((task_id, int(index)), nothing)
        assert (method, last) == ("POST", "amend"), f"the fake has no {method} {parts}"
        if run.amending[0] == 200 and run.after_clear is not None:
            self.dags[dag_id].runs[run_id] = run.after_clear
        return run.amending

    def _workflows(self) -> WorkflowList:
        rows = [
            WorkflowRow(
                dag_id=dag_id,
                title=dag_id,
                tags=dag.tags,
                paused=dag.paused,
                next_run=dag.next_run,
                state=dag.last_state,
            )
            for dag_id, dag in self.dags.items()
            if "chassis" in dag.tags
        ]
        waiting = [
            WaitingPlan(
                dag_id=dag_id, run_id=run_id, plan=PendingPlan.of(run.xcoms.get(("approve", -1, "proposal")))
            )
            for dag_id, dag in self.dags.items()
            for run_id, run in dag.runs.items()
            if "approve" in run.asks
        ]
        return WorkflowList(workflows=tuple(rows), waiting=tuple(waiting))

    def _view(self, dag_id: str, run_id: str, query: dict[str, str]) -> tuple[int, Any]:
        dag = self.dags.get(dag_id, FakeDag())
        run_id = next(reversed(dag.runs), "") if run_id == NEWEST_RUN else run_id
        if run_id not in dag.runs:
            return 404, {"detail": NO_SUCH_RUN}
        run = dag.runs[run_id]
        planner, results = self.dags.get("plan_workflow"), query["results"] == "true"
        view = run_view((dag_id, run_id), dag, run, planner, since=query["since"], results=results)
        start = int(query["offset"])
        kept = [at for task in view.tasks for at in task.instances][start : start + self.page]
        tasks = tuple(
            task.model_copy(update={"instances": tuple(at for at in task.instances if at in kept)})
            for task in view.tasks
        )
        more = start + self.page < sum(len(task.instances) for task in view.tasks)
        run.looks += not more
        end = start + self.page if more else None
        return 200, view.model_copy(update={"tasks": tasks, "next": end}).model_dump(mode="json")

    def _run_document(self, dag_id: str, run_id: str, run: FakeRun) -> dict[str, Any]:
        ended = run.at_end
        return {
            "dag_id": dag_id,
            "dag_run_id": run_id,
            "state": run.state if ended else "running",
            "start_date": "2026-03-01T06:00:00+00:00",
            "end_date": "2026-03-01T06:00:12+00:00" if ended else None,
            "bundle_version": None,
            "triggering_user_name": "ann",
            "conf": run.conf,
        }
