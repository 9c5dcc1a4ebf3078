"""Asks Airflow's own API server app for pages below a sub-path; prints what they say and lead to, as JSON."""

from __future__ import annotations

import html
import json
import os
import re
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.board import RUN, WORKFLOW, prepare, signed_in, write_run

SUB_PATH = "/airflow-sub"


def write_waiting() -> None:
    """A planner's run that waits for a decision on a plan with a hostile title."""
    from airflow.models.dag import DagModel, DagTag
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    from chassis.contract.names import PENDING_PLAN, TAG

    now = datetime.now(UTC)
    place = {"dag_id": "planner", "run_id": "r1", "task_id": "approve", "map_index": -1}
    proposal = {
        "number": 2,
        "workflow_id": "proposed",
        "title": "<b>Bold</b> plan",
        "plan": "",
        "digest": "0" * 64,
        "deadline": now.isoformat(),
    }
    with create_session() as session:
        session.add(DagModel(dag_id="planner", bundle_name="chassis", is_stale=False, is_paused=True))
        session.flush()
        session.add_all([DagTag(dag_id="planner", name=TAG), DagTag(dag_id=WORKFLOW, name=TAG)])
        session.add(DagTag(dag_id=WORKFLOW, name="plan:0123456789ab"))
        run = DagRun(dag_id="planner", run_id="r1", run_type="manual", start_date=now, state="running")
        run.run_after = now
        session.add(run)
        session.flush()
        session.execute(
            TaskInstance.__table__.insert().values(
                **place,
                id=uuid.uuid4(),
                state="awaiting_input",
                try_number=1,
                max_tries=1,
                pool="default_pool",
                pool_slots=1,
                queue="default",
                priority_weight=1,
                start_date=now,
                executor_config={},
            )
        )
        value = json.dumps(proposal)
        session.execute(
            XComModel.__table__.insert().values(**place, dag_run_id=run.id, key=PENDING_PLAN, value=value)
        )


def fail_by_others() -> None:
    """Of the run's items, one failed by an exception in its log, one without any; so the join never ran."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import delete, update

    log = Path(sys.argv[1]) / f"logs/dag_id={WORKFLOW}/run_id={RUN}/task_id=do/map_index=2/attempt=1.log"
    log.parent.mkdir(parents=True)
    now = datetime.now(UTC)
    detail = [{"exc_type": "AirflowException", "exc_value": "<b>The bucket is gone", "frames": []}]
    events: list[dict[str, object]] = [
        {"level": "info", "event": "Begun."},
        {"level": "error", "event": "Task failed with exception", "error_detail": detail},
        {"level": "info", "event": "Ended."},
    ]
    log.write_text("".join(f"{json.dumps({'timestamp': now.isoformat(), **each})}\n" for each in events))
    with create_session() as session:
        session.execute(delete(XComModel).where(XComModel.task_id == "do", XComModel.map_index.in_([2, 3])))
        of_run = update(TaskInstance).where(TaskInstance.dag_id == WORKFLOW, TaskInstance.run_id == RUN)
        session.execute(
            of_run.where(TaskInstance.map_index.in_([2, 3])).values(state="failed", updated_at=now)
        )
        session.execute(
            of_run.where(TaskInstance.task_id == "join").values(
                state="upstream_failed",
                try_number=0,
                start_date=now,
                end_date=now,
                duration=0.0,
                updated_at=now,
            )
        )


prepare(Path(sys.argv[1]))
os.environ["AIRFLOW__API__BASE_URL"] = f"http://testserver{SUB_PATH}"
write_run(5)
write_waiting()
client = signed_in()
board = client.get(f"{SUB_PATH}/chassis/dags/{WORKFLOW}/runs/{RUN}").text
workflows = client.get(f"{SUB_PATH}/chassis/workflows").text
found = re.findall(r'(?:href|src|data-changes)="([^"#]+)', board + workflows)
addresses = {html.unescape(each) for each in found}
statuses = {each: client.get(each).status_code for each in sorted(addresses)}
fail_by_others()
failed = {
    name: client.get(f"{SUB_PATH}/chassis/dags/{WORKFLOW}/runs/{RUN}{path}").text
    for name, path in (
        ("board", ""),
        ("by an exception", "/tasks/do/2"),
        ("in silence", "/tasks/do/3"),
        ("upstream", "/tasks/join/-1"),
    )
}
api = f"{SUB_PATH}/chassis/api/v1"
client.headers["Accept"] = "application/json"
views = {
    "all": client.get(f"{api}/dags/{WORKFLOW}/runs/{RUN}?results=true"),
    "newest": client.get(f"{api}/dags/{WORKFLOW}/runs/~?limit=3"),
    "rest": client.get(f"{api}/dags/{WORKFLOW}/runs/~?limit=3&offset=3"),
    "unknown": client.get(f"{api}/dags/{WORKFLOW}/runs/other"),
    "never ran": client.get(f"{api}/dags/none/runs/~"),
    "workflows": client.get(f"{api}/workflows"),
}
answers = {name: [each.status_code, each.json()] for name, each in views.items()}
print(json.dumps({"addresses": statuses, "workflows": workflows, "failed": failed, "json": answers}))
