"""Planning on from a run: the workflow's current plan, and what that run has done or failed to do.

The plan is the workflow's newest revision, not the one that the run was pinned to. The next plan follows the newest, so
planning on from an old run must not undo a correction made since then. Which results are reused doesn't depend on the
revision but on each task's fingerprint.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple

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
"""Failed tasks whose errors the planner gets. Each takes a request to Airflow, and many fail for one reason."""
_LONGEST = 500
"""Characters of a summary or an error in the planner's prompt."""


class PlannedOn(NamedTuple):
    """What to plan on from: the workflow's newest plan, a run of it (empty: none), and what is done there."""

    current: WorkflowSpec
    run_id: str
    done: tuple[DoneTask, ...]


def read_planned_on(context: Context, settings: Settings) -> PlannedOn | None:
    """What the planner's params say to plan on from; None if they name no run. Reads stores and asks Airflow.

    :raises PlanError: they name a run but no workflow
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
    files, ti = open_records(settings), context["ti"]
    run_id = _find_run(ti, files, workflow_id, wanted)
    if run_id:
        log.info("Planning on from run %r of workflow %r.", run_id, workflow_id)
        return PlannedOn(current, run_id, tuple(_done(ti, files, current, run_id)))
    log.info("Workflow %r has not run yet: its plan is changed, and there is nothing to reuse.", workflow_id)
    return PlannedOn(current, "", ())


def _find_run(ti: Any, files: Files, workflow_id: str, wanted: str) -> str:
    from chassis.records.run_records import recorded_runs

    runs = recorded_runs(files, workflow_id, skip_broken=True)
    recorded = [run.run_id for run in runs if run.began_at is not None]
    if wanted == LATEST:
        return recorded[0] if recorded else ""
    if wanted in recorded or ti.get_dr_count(workflow_id, run_ids=[wanted]):
        return wanted
    near = nearest(wanted, recorded, cutoff=0.5)
    raise RunNotFoundError(
        f"Workflow {workflow_id!r} has no run {wanted!r}.",
        hint=f"Did you mean {near!r}?" if near else f"Name a run of it, or {LATEST} for its newest.",
    )


def _done(ti: Any, files: Files, current: WorkflowSpec, run_id: str) -> Iterator[DoneTask]:
    from chassis.planning import DoneTask
    from chassis.records.run_records import RunRecords

    finished: set[tuple[str, str | None]] = set()
    for result in RunRecords(files, current.id, run_id).results.all():
        finished.add((result["task"], result["item"]))
        summary = one_line(result["summary"], _LONGEST)
        yield DoneTask(task=result["task"], item=result["item"], state="success", summary=summary)
    graph, errors = TaskGraph(current.tasks), 0
    for row in ti.get_task_breadcrumbs(current.id, run_id):
        task_id, index, state = row["task_id"], row["map_index"], row["state"]
        if state not in ("failed", "upstream_failed"):
            continue
        source = graph.items(task_id)
        item = source.at(index) if source is not None else None
        if item is not None and (task_id, item) in finished:
            item = None  # The items had another order then.
        error = ""
        if state == "failed" and errors < _ERRORS:
            errors += 1
            error = _said(
                ti.xcom_pull(dag_id=current.id, run_id=run_id, task_ids=task_id, map_indexes=index, key=ERROR)
            )
        yield DoneTask(task=task_id, item=item, state=state, error=error)


def _said(error: Any) -> str:
    if not isinstance(error, dict):
        return ""
    faults = error.get("faults")
    text = error.get("message") or (faults and f"{error.get('subject')}: {len(faults)} faults") or ""
    return one_line(text, _LONGEST)
