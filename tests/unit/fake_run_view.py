"""The view of a run that the fake Airflow gives, made with the contract's own types.

What stands in it for which state of Airflow is ``chassis.ui.run_reader``'s to say, and its tests' to hold; a test of
the real route (``tests/system``) holds that the command line shows it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from chassis.contract.names import APPROVE, ERROR, PLAN, RETURNED, SPENDING, planner_run_of
from chassis.contract.run_view import InstanceView, PlanningView, RunView, TaskView, newest_spending
from chassis.contract.spending import Spending, Totals
from chassis.contract.xcoms import CheckedPlan, TaskError, TaskResult
from chassis.errors import failure_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.fake_airflow import FakeDag, FakeRun

START = datetime(2026, 3, 1, 6, tzinfo=UTC)
SECONDS = 12
_LABELLED = ("success", "failed", "removed")


def run_view(
    ids: tuple[str, str], dag: FakeDag, run: FakeRun, planner: FakeDag | None, *, since: str, results: bool
) -> RunView:
    """The run as its snapshot has it; ``since`` is the number of an earlier look.

    :param planner: the planner's DAG, whose run may have started this one
    """
    earlier = run.snapshots[int(since)] if since else []
    instances = [_instance(dag, run, each, results=results) for each in run.snapshot if each not in earlier]
    named = [task["task_id"] for task in dag.tasks]
    others = dict.fromkeys(task_id for task_id, _ in instances if task_id not in named)
    spending = [_spending(run, task_id, at.map_index) for task_id, at in instances]
    ended = run.at_end
    return RunView(
        workflow_id=ids[0],
        run_id=ids[1],
        title=ids[0],
        revision=next((int(tag[9:]) for tag in dag.tags if tag.startswith("revision:")), None),
        state=run.state if ended else "running",
        active=not ended,
        start=START,
        seconds=SECONDS,
        input_types=dag.params,
        planning=_planning(ids[1], planner),
        spending=newest_spending(spending),
        amendments=tuple(run.amendments),
        tasks=(
            *_tasks(dag, instances, fresh=not since),
            *(TaskView(id=name, name=name, kind="other", instances=_of(name, instances)) for name in others),
        ),
        since=str(min(run.looks, len(run.snapshots) - 1)),
    )


def _tasks(dag: FakeDag, instances: list[tuple[str, InstanceView]], *, fresh: bool) -> Iterator[TaskView]:
    for task in dag.tasks:
        name = task["task_id"]
        found = _of(name, instances)
        if fresh and not found:
            found = tuple(InstanceView(item=item) for item in dag.items.get(name, (None,)))
        depends_on = (other["task_id"] for other in dag.tasks if name in other["downstream_task_ids"])
        yield TaskView(
            id=name,
            name=task["task_display_name"],
            kind="items" if name.endswith("__items") else "planned",
            depends_on=tuple(depends_on),
            mapped=task["is_mapped"],
            instances=found,
        )


def _of(task_id: str, instances: list[tuple[str, InstanceView]]) -> tuple[InstanceView, ...]:
    return tuple(sorted((at for name, at in instances if name == task_id), key=lambda at: at.map_index))


def _instance(
    dag: FakeDag, run: FakeRun, given: dict[str, Any], *, results: bool
) -> tuple[str, InstanceView]:
    task_id, index, state = given["task_id"], given["map_index"], given["state"]
    items, label = dag.items.get(task_id, ()), given["rendered_map_index"]
    known = items[index] if 0 <= index < len(items) else None
    item = label if label not in (None, str(index)) and state in _LABELLED else known
    result = TaskResult.of(run.xcoms.get((task_id, index, RETURNED))) if state == "success" else None
    spending, error = _spending(run, task_id, index), None
    if state in ("failed", "up_for_retry"):
        left = run.xcoms.get((task_id, index, ERROR))
        if left is not None or results:
            error = TaskError.made(failure_of(left, run.logs.get((task_id, index), []), task_id))
    amendments = [
        each["number"]
        for each in run.amendments
        if not each["withdrawn"] and each["task_id"] == task_id and item in (each["items"] or [None])
    ]
    view = InstanceView(
        map_index=index,
        item=(result.item if result else None) or item,
        state=state,
        try_number=given["try_number"],
        result=result if results else None,
        spent=spending.task if spending else _spent_by_result(result) if results else None,
        error=error,
        amendment=amendments[-1] if amendments else None,
        carried_from=result.carried_from if result else "",
        simulated=bool(result and result.simulated),
        outdated=bool(given.get("outdated")),
    )
    return task_id, view


def _spending(run: FakeRun, task_id: str, map_index: int) -> Spending | None:
    return Spending.of(run.xcoms.get((task_id, map_index, SPENDING)))


def _spent_by_result(result: TaskResult | None) -> Totals | None:
    if result is None:
        return None
    calls, cost = result.usage.calls, result.cost_usd
    unpriced = calls if cost is None else 0
    return Totals(calls=calls, usage=result.usage, cost_usd=cost or 0.0, unpriced_calls=unpriced)


def _planning(run_id: str, planner: FakeDag | None) -> PlanningView | None:
    planner_run = planner_run_of(run_id)
    found = planner.runs.get(planner_run) if planner and planner_run else None
    planned = CheckedPlan.of(found.xcoms.get((PLAN, -1, RETURNED))) if found else None
    if found is None or planned is None or planner_run is None:
        return None
    return PlanningView(
        dag_id="plan_workflow",
        run_id=planner_run,
        model=planned.model,
        attempts=planned.attempts,
        simulated=planned.simulated,
        usage=planned.usage,
        cost_usd=planned.cost_usd,
        spending=_spending(found, APPROVE, -1) or _spending(found, PLAN, -1),
    )
