"""Transcripts of a task's tries, and a run's amendments, as JSON for the command line and other clients.

So a client needs no access to the record store, and the rules of Airflow's own pages apply.
"""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.common.db.common import SessionDep
from fastapi import HTTPException, status

from chassis.records.run_records import RunRecords
from chassis.settings import Settings
from chassis.ui.access_rules import Read, Routes
from chassis.ui.instance_items import item_of
from chassis.ui.run_facts import find_instance, find_run
from chassis.ui.run_plans import plan_of_run

router = Routes()


@router.get(
    "/dags/{dag_id}/runs/{run_id:path}/tasks/{task_id}/{map_index}/transcript",
    rule=Read(DagAccessEntity.RUN, DagAccessEntity.XCOM, DagAccessEntity.TASK_LOGS),
)
def transcript(
    dag_id: str,
    run_id: str,
    task_id: str,
    map_index: int,
    session: SessionDep,
    try_number: int | None = None,
) -> dict[str, Any]:
    """One try of a task, by default the newest that has a transcript, and which tries have one.

    :raises HTTPException: 404 for an unknown run or task
    """
    settings = Settings.load()
    run = find_run(session, dag_id, run_id)
    instance = find_instance(session, dag_id, run_id, task_id, map_index)
    if instance is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, "This run has no such task.")
    plan = plan_of_run(settings, dag_id, run.bundle_version)
    item = item_of(session, plan.spec if plan else None, instance)
    transcripts = RunRecords.open(settings, dag_id, run_id).transcripts
    numbers = transcripts.try_numbers(task_id, item)
    wanted = try_number if try_number is not None else next(iter(numbers), None)
    found = None if wanted is None else transcripts.find(task_id, item, wanted)
    return {
        "task_id": task_id,
        "item": item,
        "tries": numbers,
        "transcript": None if found is None else found.model_dump(mode="json"),
    }


@router.get("/dags/{dag_id}/runs/{run_id:path}/amendments", rule=Read())
def amendments(dag_id: str, run_id: str, session: SessionDep) -> dict[str, Any]:
    """All amendments of a run, oldest first, withdrawn ones too.

    :raises HTTPException: 404 for an unknown run
    """
    find_run(session, dag_id, run_id)
    found = RunRecords.open(Settings.load(), dag_id, run_id).amendments.all()
    return {"amendments": [each.model_dump(mode="json") for each in found]}
