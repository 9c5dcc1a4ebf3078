"""The board of a run with many tasks: time to the first page, its size, queries and time for each refresh.

    python -m benchmarks.board [--instances 1000] [--json]

The database is a scratch one of SQLite with a run whose rows are written directly; the pages are asked of Airflow's own
API server app (``create_app``), in this process, signed in by a token. Times are of the server alone.
"""

from __future__ import annotations

import argparse
import gzip
import html
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

PROJECT = Path(__file__).parents[1]
WORKFLOW, RUN = "big_workflow", "manual__1"
REFRESHES = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--instances", type=int, default=1000)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        prepare(Path(home))
        figures = measure(options.instances)
    if options.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name:<32} {value}")


def prepare(home: Path) -> None:
    """An Airflow of its own, before anything of Airflow is imported."""
    for name in [name for name in os.environ if name.startswith("AIRFLOW")]:
        del os.environ[name]
    os.environ |= {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
        "AIRFLOW__CORE__FERNET_KEY": "",
        "AIRFLOW__API__SECRET_KEY": "for-this-run-only-0123456789abcdef",
        "AIRFLOW__API_AUTH__JWT_SECRET": "for-this-run-only-0123456789abcdef",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
    }
    subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"], check=True, capture_output=True, cwd=home
    )


def measure(instances: int) -> dict[str, Any]:
    """The figures of a run with that many task instances."""
    write_run(instances)
    client = signed_in()
    board = f"/chassis/dags/{WORKFLOW}/runs/{RUN}"
    first = _asked(client, board)
    page = _asked(client, board)
    since = quote(html.unescape(page["answer"].text.partition('data-since="')[2].partition('"')[0]))
    quiet = [_asked(client, f"{board}/changes?since={since}") for _ in range(REFRESHES)]
    touch(10)
    busy = [_asked(client, f"{board}/changes?since={since}") for _ in range(REFRESHES)]
    whole = _asked(client, f"{board}/changes?since=")
    json_figures = measure_json(client)
    return {
        "task instances": instances,
        "first page, seconds": round(first["seconds"], 3),
        "page again, seconds": round(page["seconds"], 3),
        "page, kB": len(page["answer"].content) // 1000,
        "page, kB as sent": len(gzip.compress(page["answer"].content, 5)) // 1000,
        "page, queries": page["queries"],
        "page, queries of Airflow's": page["airflow"],
        "refresh, nothing changed, ms": _median_ms(quiet),
        "refresh, nothing changed, kB": len(quiet[0]["answer"].content) // 1000,
        "refresh, rows": len(quiet[0]["answer"].json()["rows"]),
        "refresh, queries": quiet[0]["queries"],
        "refresh, queries of Airflow's": quiet[0]["airflow"],
        "refresh, 10 changed, ms": _median_ms(busy),
        "refresh, 10 changed, rows": len(busy[0]["answer"].json()["rows"]),
        "refresh, 10 changed, queries": busy[0]["queries"],
        "refresh of all, ms": round(whole["seconds"] * 1000, 1),
        **json_figures,
    }


def measure_json(client: Any) -> dict[str, Any]:
    """The figures of the run's JSON: its pages, with and without results, and a look at what changed."""
    address = f"/chassis/api/v1/dags/{WORKFLOW}/runs/{RUN}"
    figures: dict[str, Any] = {}
    _asked(client, address)  # loads what the pages don't need
    for name, query in (("JSON", ""), ("JSON with results", "&results=true")):
        asked, offset = [], 0
        while offset is not None:
            asked.append(_asked(client, f"{address}?offset={offset}{query}"))
            offset = asked[-1]["answer"].json()["next"]
        bodies = [each["answer"].content for each in asked]
        figures |= {
            f"{name}, pages": len(asked),
            f"{name}, ms": round(sum(each["seconds"] for each in asked) * 1000, 1),
            f"{name}, kB": sum(map(len, bodies)) // 1000,
            f"{name}, kB compressed": sum(len(gzip.compress(each, 5)) for each in bodies) // 1000,
            f"{name}, queries": sum(each["queries"] for each in asked),
        }
    since = quote(asked[0]["answer"].json()["since"])
    quiet = [_asked(client, f"{address}?since={since}") for _ in range(REFRESHES)]
    figures["JSON, what changed, ms"] = _median_ms(quiet)
    figures["JSON, what changed, kB"] = len(quiet[0]["answer"].content) // 1000
    figures["JSON, what changed, queries"] = quiet[0]["queries"]
    return figures


def write_run(instances: int) -> None:
    """A workflow of one task over many items and one that joins them, half done, each with a card."""
    from airflow.models.dag import DagModel
    from airflow.models.dagbundle import DagBundleModel
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    from chassis.contract.names import CARD
    from chassis.contract.spending import RunLimits, Spending, Totals
    from chassis.contract.xcoms import Card
    from chassis.plans.store import PlanStore
    from chassis.settings import Settings
    from chassis.workflow import load_plan

    PlanStore(Settings.load().plans_root).publish(load_plan(_plan(instances), source="the benchmark's plan"))
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    with create_session() as session:
        session.execute(DagBundleModel.__table__.insert().values(name="chassis", active=True))
        session.add(DagModel(dag_id=WORKFLOW, bundle_name="chassis", is_stale=False, is_paused=False))
        run = DagRun(dag_id=WORKFLOW, run_id=RUN, run_type="manual", start_date=long_ago, state="running")
        run.run_after = long_ago
        session.add(run)
        session.flush()
        run_id = run.id
        places = [("do", index) for index in range(instances - 1)] + [("join", -1)]
        states = ["success", "success", "failed", "deferred", None]
        session.execute(
            TaskInstance.__table__.insert(),
            [
                {
                    "id": uuid.uuid4(),
                    "dag_id": WORKFLOW,
                    "run_id": RUN,
                    "task_id": task_id,
                    "map_index": index,
                    "state": states[index % len(states)] if index >= 0 else None,
                    "try_number": 1,
                    "max_tries": 3,
                    "pool": "bedrock",
                    "pool_slots": 1,
                    "queue": "default",
                    "priority_weight": 1,
                    "operator": "ClaudeTaskOperator",
                    "start_date": long_ago,
                    "end_date": long_ago + timedelta(seconds=4),
                    "updated_at": long_ago + timedelta(seconds=index / 2),
                    "executor_config": {},
                }
                for task_id, index in places
            ],
        )
        result = {"task": "do", "summary": "The service has the product now. " * 5, "output": "x" * 4000}
        result |= {"usage": {}, "cost_usd": 0.01, "model": "claude", "request_ids": []}
        totals = Totals().model_dump(mode="json")
        limits = RunLimits().model_dump(mode="json")
        spending = {"task": totals, "run": totals, "limits": limits, "prices": "today's"}
        error = {"class": "TaskBlockedError", "message": "Task do is blocked.", "hint": "Say which service."}
        card = Card.made(result=result, spending=Spending.of(spending)).document()
        session.execute(
            XComModel.__table__.insert(),
            [
                {
                    "dag_run_id": run_id,
                    "dag_id": WORKFLOW,
                    "run_id": RUN,
                    "task_id": task_id,
                    "map_index": index,
                    "key": key,
                    "value": json.dumps(value),
                    "timestamp": long_ago,
                }
                for task_id, index in places
                for key, value in (
                    (CARD, card),
                    ("spending", spending),
                    ("error", error) if states[index % len(states)] == "failed" else ("return_value", result),
                )
                if index >= 0
            ],
        )


def touch(count: int) -> None:
    """Let that many instances change now."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import update

    with create_session() as session:
        session.execute(
            update(TaskInstance)
            .where(TaskInstance.map_index >= 0, TaskInstance.map_index < count)
            .values(state="success", updated_at=datetime.now(UTC))
        )


def _plan(instances: int) -> str:
    items = ", ".join(f"item_{number}" for number in range(min(instances - 1, 200)))
    return f"""schema_version: 1
id: {WORKFLOW}
title: A big workflow
requirement: Do it for all.
tasks:
  - id: do
    name: Do it
    instruction: Do {{item}}.
    agent: task-executor
    for_each: {{items: [{items}]}}
  - id: join
    name: Join
    instruction: Join.
    agent: task-executor
    depends_on: [do]
"""


def signed_in() -> Any:
    """A client of Airflow's API server app, in this process; nothing is sent over a network."""
    from airflow.api_fastapi.app import create_app, get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from fastapi.testclient import TestClient

    client = TestClient(create_app(), headers={"Accept": "text/html"})
    token = get_auth_manager().generate_jwt(SimpleAuthManagerUser(username="admin", role="ADMIN"))
    client.headers["Authorization"] = f"Bearer {token}"
    return client


def _asked(client: Any, address: str) -> dict[str, Any]:
    """A page, how long it took, and the statements that it cost: Chassis's own, and those of Airflow's sign-in."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_others: Any) -> None:
        statements.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        started = time.perf_counter()
        answer = client.get(address)
        seconds = time.perf_counter() - started
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert answer.status_code == 200, answer.text[:2000]
    selects = [
        text for text in statements if text.lstrip().upper().startswith(("SELECT", "INSERT", "UPDATE"))
    ]
    own = [text for text in selects if "task_instance" in text or "xcom" in text or "dag_run" in text]
    return {
        "answer": answer,
        "seconds": seconds,
        "queries": len(own),
        "airflow": len(selects) - len(own),
    }


def _median_ms(asked: list[dict[str, Any]]) -> float:
    return round(statistics.median(each["seconds"] for each in asked) * 1000, 1)


if __name__ == "__main__":
    main()
