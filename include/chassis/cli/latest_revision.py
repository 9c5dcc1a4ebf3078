"""The newest revision of a workflow: waiting until Airflow has it, and whether a run can continue with it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chassis.cli.follow import patiently
from chassis.cli.target import is_remote, open_store
from chassis.contract.names import digest_tag
from chassis.errors import PlanNotFoundError
from chassis.errors.client import StackError, UsageError
from chassis.workflow import TaskGraph, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from chassis.airflow_client import Airflow, Json
    from chassis.cli.report import Row
    from chassis.plans.refs import PlanRef
    from chassis.plans.store import PlanStore
    from chassis.workflow import WorkflowSpec

_PATIENCE_SECONDS = 300.0
"""As long as the planner waits for its plan."""
_POLL_SECONDS = 1.0


@dataclass(frozen=True)
class LatestRevision:
    """What a run would continue with.

    :ivar label: what to call it in a message
    :ivar mapped: its tasks by id, and whether each is done for several items
    :ivar items: the items of its mapped tasks, as far as they are known beforehand
    """

    workflow_id: str
    label: str
    mapped: Mapping[str, bool]
    items: Mapping[str, tuple[str, ...]]

    @classmethod
    def of_plan(cls, spec: WorkflowSpec, revision: int, inputs: Mapping[str, Any]) -> LatestRevision:
        """A revision of a plan.

        :param inputs: of the run; they win over the plan's defaults
        """
        graph = TaskGraph(spec.tasks)
        values = {name: each.default for name, each in spec.inputs.items()} | dict(inputs)
        sources = {task_id: graph.items(task_id) for task_id in graph.order}
        known = {task_id: source.known(values) for task_id, source in sources.items() if source}
        return cls(
            spec.id,
            f"Revision {revision} of {spec.id}, the newest,",
            {task_id: source is not None for task_id, source in sources.items()},
            {task_id: items for task_id, items in known.items() if items is not None},
        )


def wait_for_latest(
    airflow: Airflow, home: Path, workflow_id: str, inputs: Mapping[str, Any], tell: Callable[[str], None]
) -> LatestRevision:
    """Wait until Airflow runs the newest revision that the plan store has.

    Where the plan store doesn't have the workflow, the newest is what Airflow has: the DAG is of another kind, or the
    store is out of this machine's reach.

    :param inputs: inputs of the run that is to continue
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
            if is_remote():
                tell(
                    f"The plan store of this machine doesn't have {workflow_id}; the newest version in Airflow counts."
                )
            tasks = {task["task_id"]: bool(task["is_mapped"]) for task in airflow.tasks(workflow_id)}
            return LatestRevision(workflow_id, f"The newest version of {workflow_id}", tasks, {})
        dag = patiently(lambda: airflow.find_dag(workflow_id))
        if dag is not None and _runs(dag, store, ref):
            return LatestRevision.of_plan(store.read(ref), ref.revision, inputs)
        if time.monotonic() > deadline:
            raise StackError(
                f"Airflow doesn't run revision {ref.revision} of {workflow_id} after {_PATIENCE_SECONDS:.0f} s; "
                "nothing was retried.",
                hint=f"Its page says whether the plan can't be built: {airflow.url}/dags/{workflow_id}. "
                "`chassis doctor` checks whether plans reach Airflow at all.",
            )
        if not told:
            told = True
            tell(f"Waiting for Airflow to take up revision {ref.revision} ...")
        time.sleep(_POLL_SECONDS)


def _runs(dag: Json, store: PlanStore, ref: PlanRef) -> bool:
    """Whether what Airflow starts now is of this revision, and pinned to it.

    Airflow stores a DAG and the bundle version of its runs apart: for a moment, the new graph can stand beside the old
    version, and a run that continued then would use the old plan.
    """
    tags = {tag["name"] for tag in dag["tags"]}
    if not tags >= {digest_tag(ref.digest12), f"revision:{ref.revision}"}:
        return False
    if (version := dag["bundle_version"]) is None:
        return True  # without PlanBundle nothing is pinned
    try:
        pinned = store.version_heads(version).get(ref.id)
    except PlanNotFoundError:
        return True  # a version of somebody else's bundle
    return pinned is not None and pinned.revision == ref.revision


def check_targets(targets: Iterable[Row], latest: LatestRevision) -> None:
    """Refuse what the newest revision doesn't have any more: Airflow would drop it instead of running it.

    :raises UsageError: a task, or one of its items, is gone or stands elsewhere in the list of items
    """
    for row in targets:
        task_id, index = row.instance
        if task_id not in latest.mapped:
            near = nearest(task_id, latest.mapped)
            meant = f" It has '{near}'." if near else f" It has: {', '.join(latest.mapped)}."
            raise _gone(latest, f"has no task '{task_id}' any more.{meant}")
        if index < 0:
            continue
        if not latest.mapped[task_id]:
            raise _gone(latest, f"does task '{task_id}' once, not for each item.")
        if task_id not in latest.items:
            continue  # known only when the run continues
        there = latest.items[task_id][index : index + 1]
        # Airflow names an item that it never rendered by its index.
        if not there or row.at.item not in (None, str(index), *there):
            raise _gone(latest, f"has another item, or none, in the place of {row.label}.")


def _gone(latest: LatestRevision, what: str) -> UsageError:
    return UsageError(
        f"{latest.label} {what} Nothing was retried.",
        hint="Without --latest, the task runs again with the plan of its run. "
        f"For the newest plan, start a new run in Airflow: {latest.workflow_id}.",
    )
