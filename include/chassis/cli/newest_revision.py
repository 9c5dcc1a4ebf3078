"""The newest revision of a workflow: waiting until Airflow has it, and whether a run can go on by it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chassis.cli.follow import patiently
from chassis.cli.render import full_name
from chassis.cli.target import is_remote, open_store
from chassis.cli.task_shapes import Shape, revision_of_tags, shape_of_dag, shape_of_plan
from chassis.errors import PlanNotFoundError
from chassis.errors.client import StackError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path
    from typing import Any

    from chassis.airflow_client import Airflow, Json
    from chassis.cli.report import Row
    from chassis.plans.refs import PlanRef
    from chassis.plans.store import PlanStore

_PATIENCE_SECONDS = 300.0
"""As long as the planner waits for its plan."""
_POLL_SECONDS = 1.0


@dataclass(frozen=True)
class Newest:
    """What a run would go on by.

    :ivar label: what to call it in a message
    """

    workflow_id: str
    label: str
    shape: Shape


def wait_for_newest(
    airflow: Airflow, home: Path, workflow_id: str, inputs: Mapping[str, Any], tell: Callable[[str], None]
) -> Newest:
    """Wait until Airflow goes by the newest revision that the plan store has.

    Where the plan store doesn't have the workflow, the newest is what Airflow has: the DAG is of another kind, or the
    store is out of this machine's reach.

    :param inputs: inputs of the run that is to go on
    :param tell: gets a line when there is something to wait for
    :raises StackError: Airflow doesn't take the revision up
    :raises PlanError: the newest plan is broken
    """
    store = open_store(home)
    deadline = time.monotonic() + _PATIENCE_SECONDS
    told = False
    while True:
        try:
            ref = store.get(workflow_id)
        except PlanNotFoundError:
            return _as_airflow_has_it(airflow, workflow_id, tell)
        dag = patiently(lambda: airflow.find_dag(workflow_id))
        if dag is not None and _goes_by(dag, store, ref):
            shape = shape_of_plan(store.read(ref), ref.revision, inputs)
            return Newest(workflow_id, f"Revision {ref.revision} of {workflow_id}, the newest,", shape)
        if time.monotonic() > deadline:
            raise StackError(
                f"Airflow doesn't go by revision {ref.revision} of {workflow_id} after {_PATIENCE_SECONDS:.0f} s; "
                "nothing was retried.",
                hint=f"Its page says whether the plan can't be built: {airflow.url}/dags/{workflow_id}. "
                "`chassis doctor` checks whether plans reach Airflow at all.",
            )
        if not told:
            told = True
            tell(f"Waiting for Airflow to go by revision {ref.revision} ...")
        time.sleep(_POLL_SECONDS)


def _goes_by(dag: Json, store: PlanStore, ref: PlanRef) -> bool:
    """Whether what Airflow starts now is of this revision, and pinned to it.

    Airflow stores a DAG and the bundle version of its runs apart: for a moment, the new graph can stand beside the old
    version, and a run that went on then would go by the old plan.
    """
    tags = {tag["name"] for tag in dag["tags"]}
    if f"plan:{ref.digest12}" not in tags or revision_of_tags(dag) != ref.revision:
        return False
    version = dag["bundle_version"]
    if version is None:
        return True  # without PlanBundle nothing is pinned
    try:
        pinned = store.version_heads(version).get(ref.id)
    except PlanNotFoundError:
        return True  # a version of somebody else's bundle
    return pinned is not None and pinned.revision == ref.revision


def _as_airflow_has_it(airflow: Airflow, workflow_id: str, tell: Callable[[str], None]) -> Newest:
    if is_remote():
        tell(
            f"The plan store of this machine doesn't have {workflow_id}; the newest version in Airflow counts."
        )
    shape = shape_of_dag(airflow.tasks(workflow_id), None)
    return Newest(workflow_id, f"The newest version of {workflow_id}", shape)


def check_targets(targets: Iterable[Row], newest: Newest) -> None:
    """Refuse what the newest revision doesn't have any more: Airflow would drop it instead of running it.

    :raises UsageError: a task, or one of its items, is gone or stands elsewhere in the list of items
    """
    from chassis.workflow import nearest

    tasks = {task.id: task for task in newest.shape.tasks}
    for row in targets:
        task = tasks.get(row.id)
        if task is None:
            near = nearest(row.id, tasks)
            meant = f" It has '{near}'." if near else f" It has: {', '.join(tasks)}."
            raise _gone(newest, f"has no task '{row.id}' any more.{meant}")
        if row.map_index < 0:
            continue
        if not task.for_each:
            raise _gone(newest, f"does task '{row.id}' once, not for each item.")
        if task.items is None:
            continue  # known only when the run goes on
        there = task.items[row.map_index : row.map_index + 1]
        # Airflow names an item that it never rendered by its index.
        if not there or row.item not in (None, str(row.map_index), *there):
            raise _gone(newest, f"has another item, or none, in the place of {full_name(row)}.")


def _gone(newest: Newest, what: str) -> UsageError:
    return UsageError(
        f"{newest.label} {what} Nothing was retried.",
        hint="Without --latest, the task runs again by the plan that its run goes by. "
        f"For the newest one, start a run of its own in Airflow: {newest.workflow_id}.",
    )
