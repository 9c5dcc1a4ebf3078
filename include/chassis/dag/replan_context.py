"""Planning on from a run: the workflow's plan as it is, and what that run has done and what it couldn't.

The plan is the workflow's newest revision, and not the one that the run was pinned to: what is published next follows
the newest, and a correction that a person has made since then must not be undone by planning on from an old run. For
what is taken over, the revision doesn't matter: that goes by what each task is told.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chassis.contract.names import ERROR
from chassis.errors import PlanFault, RunNotFoundError
from chassis.text import one_line
from chassis.workflow import TaskGraph, nearest
from chassis.workflow.given import wrong_input

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.sdk import Context

    from chassis.files import Files
    from chassis.planning import DoneTask
    from chassis.settings import Settings
    from chassis.workflow import WorkflowSpec

log = logging.getLogger(__name__)

LATEST = "latest"
"""Stands for the newest run of the workflow."""

_ERRORS = 20
"""Failed tasks whose error is told to the planner. Each takes a request to Airflow, and many fail for one reason."""
_LONGEST = 500
"""Characters of a summary or an error in the planner's prompt."""


@dataclass(frozen=True)
class Continuation:
    """What is planned on from.

    :ivar current: the workflow's newest plan
    :ivar run_id: the run whose results are taken over; empty when the workflow has not run yet
    """

    current: WorkflowSpec
    run_id: str
    done: tuple[DoneTask, ...]


def read_continuation(context: Context, settings: Settings) -> Continuation | None:
    """What the planner's params say to plan on from; None when they name no run. Reads stores and asks Airflow.

    :raises PlanError: they name a run, and no workflow
    :raises PlanNotFoundError: there is no such workflow; names the nearest
    :raises RunNotFoundError: the workflow has no such run; names the nearest
    """
    from chassis.plans.store import PlanStore
    from chassis.records.run_records import open_records

    params = context["params"]
    wanted, workflow_id = params.get("continue_from"), params["workflow_id"]
    if not wanted:
        return None
    if not workflow_id:
        message = f"names {'a run' if wanted != LATEST else 'the newest run'} of a workflow; give its workflow_id, too"
        raise wrong_input(PlanFault("no_workflow", "continue_from", message))
    store = PlanStore(settings.plans_root, settings.storage_conn_id)
    current = store.read(store.get(workflow_id))
    files = open_records(settings)
    run_id = _find_run(context, files, workflow_id, wanted)
    if not run_id:
        log.info(
            "Workflow %r has not run yet: its plan is changed, and there is nothing to take over.",
            workflow_id,
        )
        return Continuation(current, "", ())
    log.info("Planning on from run %r of workflow %r.", run_id, workflow_id)
    return Continuation(current, run_id, tuple(_done(context, files, current, run_id)))


def _find_run(context: Context, files: Files, workflow_id: str, wanted: str) -> str:
    from chassis.records.run_records import recorded_runs

    runs = recorded_runs(files, workflow_id, skip_broken=True)
    recorded = [run.run_id for run in runs if run.began_at is not None]
    if wanted == LATEST:
        return recorded[0] if recorded else ""
    if wanted in recorded or context["ti"].get_dr_count(workflow_id, run_ids=[wanted]):
        return wanted
    near = nearest(wanted, recorded, cutoff=0.5)
    raise RunNotFoundError(
        f"Workflow {workflow_id!r} has no run {wanted!r}.",
        hint=f"Did you mean {near!r}?" if near else f"Name a run of it, or {LATEST} for its newest.",
    )


def _done(context: Context, files: Files, current: WorkflowSpec, run_id: str) -> Iterator[DoneTask]:
    """What the run has done, and what failed in it. The order is that of the names."""
    from chassis.planning import DoneTask
    from chassis.records.run_records import RunRecords

    finished: set[tuple[str, str | None]] = set()
    for result in RunRecords(files, current.id, run_id).results.all():
        finished.add((result["task"], result["item"]))
        summary = one_line(result["summary"], _LONGEST)
        yield DoneTask(task=result["task"], item=result["item"], state="success", summary=summary)
    graph, errors = TaskGraph(current.tasks), 0
    ti: Any = context["ti"]  # Airflow's type of it doesn't know this method.
    for row in ti.get_task_breadcrumbs(current.id, run_id):
        if row["state"] not in ("failed", "upstream_failed"):
            continue
        source = graph.items(row["task_id"])
        item = source.at(row["map_index"]) if source is not None else None
        if item is not None and (row["task_id"], item) in finished:
            item = None  # The items stood in another order then.
        error = ""
        if row["state"] == "failed" and errors < _ERRORS:
            errors += 1
            error = _error(context, current.id, run_id, row)
        yield DoneTask(task=row["task_id"], item=item, state=row["state"], error=error)


def _error(context: Context, workflow_id: str, run_id: str, row: dict[str, Any]) -> str:
    left = context["ti"].xcom_pull(
        dag_id=workflow_id,
        run_id=run_id,
        task_ids=row["task_id"],
        map_indexes=row["map_index"],
        key=ERROR,
    )
    if not isinstance(left, dict):
        return ""
    faults = left.get("faults")
    text = left.get("message") or (faults and f"{left.get('subject')}: {len(faults)} faults") or ""
    return one_line(text, _LONGEST)
