"""What the JSON of a run tells beyond its board: what tasks gave and spent, why they failed, planning, amendments.

Invariant: results and spending are read for the instances of one page of the answer only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.models.dag import DagTag
from airflow.models.xcom import XComModel
from pydantic import ValidationError
from sqlalchemy import and_, or_, select

from chassis.contract.names import ERROR, PLANNER_DAG
from chassis.contract.run_view import FailureView, InstanceView, PlanningView, RunView, TaskView
from chassis.contract.spending import Totals
from chassis.errors import ChassisError, failure_of
from chassis.files import open_files
from chassis.records.amendments import Amendments
from chassis.ui.failure_reasons import FAILED, log_events
from chassis.ui.run_facts import find_instance, find_run, plain_json, xcoms
from chassis.ui.run_plans import RunPlan, inputs_of_run, plan_of_run
from chassis.ui.run_reader import tasks_of_dag, tasks_of_plan, view_run
from chassis.workflow.names import items_task

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from airflow.models.dagbag import DBDagBag
    from sqlalchemy.orm import Session

    from chassis.records.amendments import Amendment
    from chassis.settings import Settings
    from chassis.ui.queries import RunState
    from chassis.ui.run_reader import Task

MOST_LOGS = 100
"""Logs that one answer reads at most, for tasks that failed and left no error."""

STARTED_RUN = "planned__"
"""Before the planner's run id: the id of the run that it started."""

Left = defaultdict[tuple[str, int], dict[str, Any]]
"""XComs of instances by their keys; an instance is its task id and map index."""


@dataclass(frozen=True)
class Wanted:
    """What of a run is asked for, see the route."""

    since: datetime
    results: bool
    limit: int
    offset: int


class Detailed:
    """A run and what is known of it beyond its board.

    :param allowed: whether the user may read that of a DAG
    """

    def __init__(
        self,
        session: Session,
        dag_bag: DBDagBag,
        settings: Settings,
        run: RunState,
        allowed: Callable[[str, DagAccessEntity], bool],
    ) -> None:
        self._session = session
        self._dag_bag = dag_bag
        self._settings = settings
        self._run = run
        self._allowed = allowed

    def view(self, wanted: Wanted, now: datetime) -> RunView:
        """The part of the run that is asked for.

        :raises StoreError: the run's records are out of reach
        """
        row = find_run(self._session, self._run.dag_id, self._run.run_id)
        plan = self._plan()
        tasks = self._tasks(plan, row)
        view = view_run(self._run, plan, tasks, now, ceiling_usd=self._settings.run_budget_usd)
        changed = [
            (task, each)
            for task in view.tasks
            for each in task.instances
            if each.outdated or each.updated is None or each.updated > wanted.since
        ]
        end = wanted.offset + wanted.limit
        page = changed[wanted.offset : end]
        left = self._left(page, results=wanted.results)
        amendments = self._amendments()
        logs = MOST_LOGS if self._allowed(self._run.dag_id, DagAccessEntity.TASK_LOGS) else 0
        kept: dict[str, list[InstanceView]] = {}
        for task, each in page:
            values = left[task.id, each.map_index]
            silent = each.state in FAILED and ERROR not in values
            reads_log = wanted.results and silent and logs > 0
            logs -= reads_log
            error = self._failure(task.id, each, values, log=reads_log)
            facts = {
                "amendment": _last(amendments, task.id, each.item),
                "error": error,
                **_facts(each, values),
            }
            kept.setdefault(task.id, []).append(each.model_copy(update=facts))
        spec = plan.spec if plan else None
        update = {
            "revision": plan.ref.revision if plan else self._tagged_revision(),
            "inputs": inputs_of_run(spec, row),
            "input_types": {name: each.type for name, each in spec.inputs.items()} if spec else {},
            "planning": self._planning(),
            "spending": newest_spending(values.get("spending") for values in left.values()),
            "amendments": tuple(each.model_dump(mode="json") for each in amendments),
            "tasks": tuple(
                task.model_copy(update={"instances": tuple(kept.get(task.id, ()))}) for task in view.tasks
            ),
            "next": end if end < len(changed) else None,
        }
        return view.model_copy(update=update)

    def _plan(self) -> RunPlan | None:
        try:
            return plan_of_run(self._settings, self._run.dag_id, self._run.bundle_version)
        except ChassisError:
            return None  # A broken plan, say: its DAG says more than nothing at all.

    def _tasks(self, plan: RunPlan | None, row: Any) -> list[Task]:
        if plan is None:
            dag = self._dag_bag.get_dag_for_run(row, self._session)
            return tasks_of_dag(dag) if dag is not None else []
        lists: dict[str, Sequence[str]] = {}
        for task in plan.spec.tasks:
            if task.for_each is None or task.for_each.same_as is not None or task.for_each.items is not None:
                continue
            helper = items_task(task.id)
            found = xcoms(self._session, self._run.dag_id, self._run.run_id, helper).get("return_value")
            if found is None and task.for_each.input is not None:
                found = inputs_of_run(plan.spec, row).get(task.for_each.input)
            if isinstance(found, list | tuple):
                lists[task.id] = found
        return tasks_of_plan(plan.spec, lists)

    def _left(self, page: Iterable[tuple[TaskView, InstanceView]], *, results: bool) -> Left:
        """What the instances of a page left, by one statement."""
        spans: dict[str, tuple[int, int]] = {}
        for task, each in page:
            first, last = spans.get(task.id, (each.map_index, each.map_index))
            spans[task.id] = min(first, each.map_index), max(last, each.map_index)
        found = Left(dict)
        if not spans:
            return found
        keys = ["spending", ERROR, *(["return_value"] if results else [])]
        statement = select(XComModel.task_id, XComModel.map_index, XComModel.key, XComModel.value).where(
            XComModel.dag_id == self._run.dag_id,
            XComModel.run_id == self._run.run_id,
            XComModel.key.in_(keys),
            or_(
                *(
                    and_(XComModel.task_id == task_id, XComModel.map_index.between(*span))
                    for task_id, span in spans.items()
                )
            ),
        )
        wanted = {(task.id, each.map_index) for task, each in page}
        for task_id, map_index, key, value in self._session.execute(statement):
            if (task_id, map_index) in wanted:
                found[task_id, map_index][key] = plain_json(value)
        return found

    def _failure(
        self, task_id: str, at: InstanceView, values: Mapping[str, Any], *, log: bool
    ) -> FailureView | None:
        if at.state not in FAILED or (ERROR not in values and not log):
            return at.error
        instance = (
            find_instance(self._session, self._run.dag_id, self._run.run_id, task_id, at.map_index)
            if log
            else None
        )
        error = failure_of(values.get(ERROR), log_events(instance) if instance else (), task_id)
        return failure_view(error)

    def _planning(self) -> PlanningView | None:
        run_id = self._run.run_id
        if not run_id.startswith(STARTED_RUN) or not self._allowed(PLANNER_DAG, DagAccessEntity.XCOM):
            return None
        planner_run = run_id.removeprefix(STARTED_RUN)
        planned = xcoms(self._session, PLANNER_DAG, planner_run, "plan")
        value = planned.get("return_value")
        if not isinstance(value, dict):
            return None
        # The planner's last word: revisions that a reviewer asked for are in it.
        approved = xcoms(self._session, PLANNER_DAG, planner_run, "approve")
        spending = approved.get("spending") or planned.get("spending")
        known = {name: value[name] for name in PlanningView.model_fields if name in value}
        return PlanningView(**{**known, "dag_id": PLANNER_DAG, "run_id": planner_run, "spending": spending})

    def _amendments(self) -> list[Amendment]:
        files = open_files(self._settings.records_root, self._settings.storage_conn_id, what="record store")
        return Amendments(files, self._run.dag_id, self._run.run_id).all()

    def _tagged_revision(self) -> int | None:
        names = self._session.scalars(select(DagTag.name).where(DagTag.dag_id == self._run.dag_id))
        numbers = (name.removeprefix("revision:") for name in names if name.startswith("revision:"))
        return next((int(number) for number in numbers if number.isdecimal()), None)


def failure_view(error: ChassisError) -> FailureView:
    """An error as it is shown."""
    return FailureView(
        kind=type(error).__name__,
        message=error.message.rstrip(),
        hint=error.hint,
        request_id=str(getattr(error, "request_id", "")),
    )


def _facts(at: InstanceView, left: Mapping[str, Any]) -> dict[str, Any]:
    """What an instance gave and spent, as fields of its view."""
    spending, value = left.get("spending"), left.get("return_value")
    facts: dict[str, Any] = {}
    if isinstance(spending, dict) and isinstance(spending.get("task"), dict):
        facts["spent"] = spending["task"]
    # Not of a helper, of the planner, or of another task of a hand-written DAG.
    if at.state != "success" or not isinstance(value, dict) or not value.keys() >= {"summary", "usage"}:
        return facts
    return facts | {
        "item": value.get("item") or at.item,
        "result": {key: value.get(key) for key in ("summary", "output", "model", "request_ids")},
        "usage": {**value["usage"], "cost_usd": value.get("cost_usd")},
        "simulated": bool(value.get("simulated")),
        "carried_from": str(value.get("carried_from") or ""),
    }


def _last(amendments: Iterable[Amendment], task_id: str, item: str | None) -> int | None:
    own = [each.number for each in amendments if not each.withdrawn and each.concerns(task_id, item)]
    return own[-1] if own else None


def newest_spending(found: Iterable[Any]) -> dict[str, Any] | None:
    """What the run spent by the task that ended last: it only grows, but for calls that ended after all."""

    def order(spending: dict[str, Any]) -> tuple[int, ...]:
        run = Totals.model_validate(spending["run"])
        uncertain = run.uncertain.tokens
        return run.tokens - uncertain, run.calls, uncertain, -run.open_calls

    known = []
    for each in found:
        try:
            known.append((order(each), each))
        except (ValidationError, TypeError, KeyError):
            continue
    if not known:
        return None
    _, newest = max(known, key=lambda each: each[0])
    return {name: newest.get(name) for name in ("run", "limits", "prices")}
