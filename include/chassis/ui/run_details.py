"""What a run's JSON holds beyond its board: tasks' results and spending, errors, planning, amendments.

Invariant: results and spending are read only for the instances of one page of the answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.models.dag import DagTag
from airflow.models.xcom import XComModel
from sqlalchemy import and_, or_, select

from chassis.contract.names import APPROVE, ERROR, PLAN, PLANNER_DAG, RETURNED, SPENDING, planner_run_of
from chassis.contract.run_view import InstanceView, PlanningView, RunView, TaskView, last_word
from chassis.contract.spending import Spending, Spent, Totals
from chassis.contract.xcoms import CheckedPlan, TaskError, TaskResult
from chassis.errors import ChassisError
from chassis.records.run_records import RunRecords
from chassis.ui.failure_reasons import FAILED, why_failed
from chassis.ui.instance_items import list_of
from chassis.ui.run_facts import find_instance, find_run, plain_json, xcoms
from chassis.ui.run_plans import RunPlan, inputs_of_run, plan_of_run
from chassis.ui.run_reader import tasks_of_dag, tasks_of_plan, view_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from airflow.models.dagbag import DBDagBag
    from airflow.models.dagrun import DagRun
    from sqlalchemy.orm import Session

    from chassis.records.amendments import Amendment
    from chassis.settings import Settings
    from chassis.ui.queries import RunState
    from chassis.ui.run_reader import Task

MOST_LOGS = 100
"""Maximum number of logs that one answer reads, for tasks that failed without an error."""

Place = tuple[str, int]
"""A task id and a map index."""


@dataclass(frozen=True)
class Wanted:
    """The requested part of a run, see the route."""

    since: datetime
    results: bool
    limit: int
    offset: int


@dataclass(frozen=True)
class DetailReader:
    """Reads what is known of a run beyond its board.

    :ivar allowed: whether the user may read that of a DAG
    """

    session: Session
    dag_bag: DBDagBag
    settings: Settings
    allowed: Callable[[str, DagAccessEntity], bool]

    def view(self, run: RunState, wanted: Wanted, now: datetime) -> RunView:
        """The requested part of a run.

        :raises StoreError: the run's records are out of reach
        """
        row = find_run(self.session, run.dag_id, run.run_id)
        plan = self._plan(run)
        spec = plan.spec if plan else None
        view = view_run(run, plan, self._tasks(plan, row), now, ceiling_usd=self.settings.run_budget_usd)
        changed = [
            (task, at)
            for task in view.tasks
            for at in task.instances
            if at.outdated or at.updated is None or at.updated > wanted.since
        ]
        end = wanted.offset + wanted.limit
        page = changed[wanted.offset : end]
        left = self._left(row, page, results=wanted.results)
        spent = {place: Spent.of(values.get(SPENDING)) for place, values in left.items()}
        words = [(last_word(each), place) for place, each in spent.items() if each is not None]
        spending = Spending.of(left[max(words)[1]][SPENDING]) if words else None
        errors = self._errors(row, page, left, logs=wanted.results)
        amendments = RunRecords.open(self.settings, run.dag_id, run.run_id).amendments.all()
        kept: dict[str, list[InstanceView]] = {}
        for task, at in page:
            place = (task.id, at.map_index)
            result = TaskResult.of(left[place].get(RETURNED)) if at.state == "success" else None
            facts = {
                **(_of_result(result, at) if result else {}),
                "error": errors.get(place),
                "amendment": _last(amendments, task.id, at.item),
            }
            if known := spent[place]:
                facts["spent"] = known.task
            kept.setdefault(task.id, []).append(at.model_copy(update=facts))
        tasks = (task.model_copy(update={"instances": tuple(kept.get(task.id, ()))}) for task in view.tasks)
        facts = {
            "revision": plan.ref.revision if plan else self._tagged_revision(run.dag_id),
            "inputs": inputs_of_run(spec, row),
            "input_types": {name: given.type for name, given in spec.inputs.items()} if spec else {},
            "planning": self._planning(run.run_id),
            "spending": spending,
            "amendments": tuple(each.model_dump(mode="json") for each in amendments),
            "tasks": tuple(tasks),
            "next": end if end < len(changed) else None,
        }
        return view.model_copy(update=facts)

    def _plan(self, run: RunState) -> RunPlan | None:
        try:
            return plan_of_run(self.settings, run.dag_id, run.bundle_version)
        except ChassisError:
            return None  # For example, a broken plan: its DAG is better than nothing.

    def _tasks(self, plan: RunPlan | None, run: DagRun) -> Sequence[Task]:
        if plan is None:
            dag = self.dag_bag.get_dag_for_run(run, self.session)
            return tasks_of_dag(dag) if dag is not None else ()
        inputs, where = inputs_of_run(plan.spec, run), (run.dag_id, run.run_id)
        roots = [task.id for task in plan.spec.tasks if task.for_each and not task.for_each.same_as]
        lists = {root: list_of(self.session, plan.spec, *where, root, inputs) for root in roots}
        return tasks_of_plan(plan.spec, lists)

    def _left(
        self, run: DagRun, page: Sequence[tuple[TaskView, InstanceView]], *, results: bool
    ) -> Mapping[Place, dict[str, Any]]:
        """What a page's instances left, by key, in one statement."""
        found: dict[Place, dict[str, Any]] = {(task.id, at.map_index): {} for task, at in page}
        spans: dict[str, list[int]] = {}
        for task_id, index in found:
            spans.setdefault(task_id, []).append(index)
        which = (
            and_(XComModel.task_id == task_id, XComModel.map_index.between(min(places), max(places)))
            for task_id, places in spans.items()
        )
        statement = select(XComModel.task_id, XComModel.map_index, XComModel.key, XComModel.value).where(
            XComModel.dag_id == run.dag_id,
            XComModel.run_id == run.run_id,
            XComModel.key.in_([SPENDING, ERROR, *([RETURNED] if results else [])]),
            or_(False, *which),
        )
        for task_id, index, key, value in self.session.execute(statement):
            if (task_id, index) in found:
                found[task_id, index][key] = plain_json(value)
        return found

    def _errors(
        self,
        run: DagRun,
        page: Iterable[tuple[TaskView, InstanceView]],
        left: Mapping[Place, Mapping[str, Any]],
        *,
        logs: bool,
    ) -> Mapping[Place, TaskError | None]:
        """Why tasks failed: by their own errors, else by their logs, if these may be read."""
        failed = [(task.id, at.map_index) for task, at in page if at.state in FAILED]
        found = {place: TaskError.of(left[place].get(ERROR)) for place in failed}
        silent = [place for place, error in found.items() if error is None]
        if logs and silent and self.allowed(run.dag_id, DagAccessEntity.TASK_LOGS):
            for place in silent[:MOST_LOGS]:
                instance = find_instance(self.session, run.dag_id, run.run_id, *place)
                found[place] = why_failed(self.session, instance) if instance is not None else None
        return found

    def _planning(self, run_id: str) -> PlanningView | None:
        planner_run = planner_run_of(run_id)
        if planner_run is None or not self.allowed(PLANNER_DAG, DagAccessEntity.XCOM):
            return None
        left = xcoms(self.session, PLANNER_DAG, planner_run, PLAN)
        planned = CheckedPlan.of(left.get(RETURNED))
        if planned is None:
            return None
        # The planner's final figure, which includes revisions that a reviewer requested.
        spending = xcoms(self.session, PLANNER_DAG, planner_run, APPROVE).get(SPENDING) or left.get(SPENDING)
        return PlanningView(
            dag_id=PLANNER_DAG,
            run_id=planner_run,
            model=planned.model,
            attempts=planned.attempts,
            simulated=planned.simulated,
            usage=planned.usage,
            cost_usd=planned.cost_usd,
            spending=Spending.of(spending),
        )

    def _tagged_revision(self, dag_id: str) -> int | None:
        names = self.session.scalars(select(DagTag.name).where(DagTag.dag_id == dag_id))
        numbers = (name.removeprefix("revision:") for name in names if name.startswith("revision:"))
        return next((int(number) for number in numbers if number.isdecimal()), None)


def _of_result(result: TaskResult, at: InstanceView) -> dict[str, Any]:
    """A result as fields of its instance's view."""
    spent = Totals(
        calls=result.usage.calls,
        usage=result.usage,
        cost_usd=result.cost_usd or 0.0,
        unpriced_calls=result.usage.calls if result.cost_usd is None else 0,
    )
    return {
        "item": result.item or at.item,
        "result": result,
        "spent": spent,
        "simulated": result.simulated,
        "carried_from": result.carried_from,
    }


def _last(amendments: Iterable[Amendment], task_id: str, item: str | None) -> int | None:
    own = [each.number for each in amendments if not each.withdrawn and each.concerns(task_id, item)]
    return own[-1] if own else None
