"""Amends one task of one run, or items of it, and reruns it; the plan stays.

The order matters: check everything, record the amendment, clear the task, then publish the plan's next revision if
requested. So no task runs by a change that can't be read afterwards. If the process dies in between, the amendment
remains and holds for the task's next clear.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.api_fastapi.core_api.datamodels.task_instances import ClearTaskInstancesBody
from airflow.api_fastapi.core_api.routes.public.task_instances import post_clear_task_instances
from airflow.models.log import Log
from airflow.models.taskinstance import TaskInstance
from airflow.utils.sqlalchemy import with_row_locks
from fastapi import HTTPException, status
from pydantic import BaseModel, ConfigDict, Field, JsonValue
from sqlalchemy import select

from chassis.deployment import Deployment
from chassis.errors import ChassisError, PlanFault
from chassis.records.amendments import Amendments, Change, what_holds
from chassis.records.run_records import RunRecords
from chassis.rerun_scope import Instance, instances_to_clear
from chassis.ui.instance_items import items_of
from chassis.ui.run_facts import failed_instances, find_instance, find_run
from chassis.ui.run_plans import inputs_of_run, plan_of_run, store_of
from chassis.workflow.amended_plan import amended_plan
from chassis.workflow.given import size_fault

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
    from airflow.models.dagbag import DBDagBag
    from sqlalchemy.orm import Session

    from chassis.settings import Settings
    from chassis.workflow import WorkflowSpec

log = logging.getLogger(__name__)

EVENT = "chassis_amend"
"""The event's name in Airflow's audit log."""

AT_WORK = frozenset(
    {"running", "queued", "scheduled", "deferred", "restarting", "awaiting_input", "up_for_reschedule"}
)
"""States of a task that runs or is about to: it would end with the old input, and be paid for."""


class AmendRequest(BaseModel):
    """What a person wants changed."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    instruction: str | None = Field(None, description="In place of the plan's; null leaves it.")
    inputs: dict[str, JsonValue] = Field({}, max_length=100, description="Values by name.")
    reason: str = Field(max_length=2_000, description="Why; required.")
    save: bool = Field(False, description="Publish the change as the workflow's next revision, too.")
    downstream: bool = Field(False, description="Also rerun downstream tasks that succeeded.")
    all_failed: bool = Field(False, description="Also amend all other failed items of this task.")


@dataclass(frozen=True)
class AmendedRerun:
    """The outcome of an amended rerun.

    :ivar amendment: its number in the run
    :ivar items: the amended items; none for a task without items
    :ivar cleared: the task instances that run again
    :ivar revision: the plan's revision that includes the change, if that was requested and worked
    :ivar save_error: why the plan doesn't include it although that was requested
    """

    amendment: int
    items: tuple[str, ...]
    cleared: list[Instance] = field(default_factory=list)
    revision: int | None = None
    save_error: str = ""


@dataclass(frozen=True)
class RunTarget:
    """A task instance, and what a request needs with it.

    :ivar dag_bag: Airflow's DAGs, as its API server keeps them
    """

    session: Session
    dag_bag: DBDagBag
    user: BaseUser
    settings: Settings
    dag_id: str
    run_id: str
    task_id: str
    map_index: int


def rerun_amended(target: RunTarget, asked: AmendRequest) -> AmendedRerun:
    """Amend a task of a run, and rerun it with what its failure blocked.

    :raises HTTPException: 404 for an unknown run or task; 409 if the task, or one of its items, is running
    :raises PlanError: lists what is wrong with the request; nothing was written
    :raises StoreError: the plan store or the record store is out of reach
    """
    run = find_run(target.session, target.dag_id, target.run_id)
    instances = _instances(target, all_failed=asked.all_failed)
    plan = plan_of_run(target.settings, target.dag_id, run.bundle_version)
    if plan is None:
        raise HTTPException(
            status.HTTP_400_BAD_REQUEST,
            f"Only tasks of a plan can be amended; the plan store has none for DAG '{target.dag_id}'. The tasks of a "
            "hand-written DAG are changed in its file; then clear them.",
        )
    items = _items(target, plan.spec, instances)
    amendments = RunRecords.open(target.settings, target.dag_id, target.run_id).amendments
    given = inputs_of_run(plan.spec, run) | (run.conf or {})
    change = _change(target, asked, items, _before(target, plan.spec, items, given, amendments))
    amended_plan(
        plan.spec,
        target.task_id,
        instruction=change.instruction,
        inputs=change.inputs,
        known_faults=list(_faults(change, given, target.settings)),
    )
    saved = _plan_to_save(target, change) if asked.save else None
    _refuse_busy(target, instances, items)
    number = amendments.add(change)
    try:
        cleared = _clear(target, instances, downstream=asked.downstream)
        _audit(target, instances, number, change)
        target.session.commit()
    except BaseException:
        target.session.rollback()
        _withdraw(amendments, number)
        raise
    revision, save_error = _publish(target, amendments, number, saved)
    return AmendedRerun(number, items, cleared, revision, save_error)


def _instances(target: RunTarget, *, all_failed: bool) -> list[TaskInstance]:
    """The named task instance, then, if requested, all other failed items of its task.

    :raises HTTPException: 404, there is no such task
    """
    place = (target.dag_id, target.run_id, target.task_id)
    named = find_instance(target.session, *place, target.map_index)
    if named is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, "This run has no such task.")
    others = failed_instances(target.session, *place) if all_failed else []
    return [named, *(each for each in others if each.map_index != target.map_index)]


def _items(target: RunTarget, spec: WorkflowSpec, instances: list[TaskInstance]) -> tuple[str, ...]:
    """The amended items, in the order of their instances; none for a task without items."""
    items = items_of(target.session, spec, instances)
    mapped = any(task.id == target.task_id and task.for_each for task in spec.tasks)
    if mapped and None in items:
        raise HTTPException(
            status.HTTP_409_CONFLICT,
            f"Task '{target.task_id}' has items, and Airflow doesn't know which one this is: "
            "rerun what finds the items first, then name one.",
        )
    return tuple(item for item in items if item is not None)


_Told = tuple[str | None, dict[str, Any]]
"""An instruction, and values of inputs by name."""


def _before(
    target: RunTarget,
    spec: WorkflowSpec,
    items: tuple[str, ...],
    given: dict[str, Any],
    amendments: Amendments,
) -> list[_Told]:
    """The instruction and inputs of each instance before this amendment, in order.

    :param given: values of the run's inputs, before any amendment
    """
    planned = next((task.instruction for task in spec.tasks if task.id == target.task_id), None)
    known = amendments.all()
    held = (what_holds(known, target.task_id, item) for item in items or (None,))
    return [(each.instruction or planned, given | each.inputs) for each in held]


def _change(target: RunTarget, asked: AmendRequest, items: tuple[str, ...], before: list[_Told]) -> Change:
    """The change to record. A form sends every field; a field that stays the same for all instances is no amendment."""
    # The form is that of the first one, with an empty text for an input that has no value there.
    blank = {name for name, value in before[0][1].items() if value is None and asked.inputs.get(name) == ""}
    return Change(
        task_id=target.task_id,
        items=items,
        instruction=None if all(each == asked.instruction for each, _ in before) else asked.instruction,
        inputs={
            name: value
            for name, value in asked.inputs.items()
            if name not in blank and any(name not in inputs or inputs[name] != value for _, inputs in before)
        },
        reason=asked.reason.strip(),
        by=target.user.get_name(),
        by_id=str(target.user.get_id()),
        at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _faults(change: Change, given: Mapping[str, Any], settings: Settings) -> Iterator[PlanFault]:
    """Faults of a change besides those that it causes in the plan."""
    if not change.reason:
        yield PlanFault(
            "no_reason", "reason", "is missing: an amendment needs a reason, which is kept with the run"
        )
    if change.instruction is None and not change.inputs:
        message = (
            "changes nothing: change the instruction or an input, or clear the task to rerun it as it is"
        )
        yield PlanFault("no_change", "the amendment", message)
    if wrong := size_fault({**given, **change.inputs}, settings.context_chars):
        yield PlanFault("too_long", "inputs", wrong)


def _refuse_busy(target: RunTarget, instances: list[TaskInstance], items: tuple[str, ...]) -> None:
    """Refuse tasks that are running, and keep the scheduler from starting one until this request has ended.

    :raises HTTPException: 409, names all of them
    """
    places = [each.map_index for each in instances]
    names = dict(zip(places, items, strict=False))
    statement = (
        select(TaskInstance.map_index, TaskInstance.state)
        .where(
            TaskInstance.dag_id == target.dag_id,
            TaskInstance.run_id == target.run_id,
            TaskInstance.task_id == target.task_id,
            TaskInstance.map_index.in_(places),
        )
        .order_by(TaskInstance.map_index)
    )
    reasons = []
    for index, state in target.session.execute(with_row_locks(statement, target.session, of=TaskInstance)):
        name = f"{target.task_id} [{names[index]}]" if index in names else target.task_id
        if state in AT_WORK:
            reasons.append(f"{name} is active ({state})")
        elif state == "removed":
            reasons.append(f"{name} was removed from this run")
    if reasons:
        raise HTTPException(
            status.HTTP_409_CONFLICT,
            f"{', '.join(reasons)}. Nothing was changed: wait until the task has ended, "
            "or mark it as failed.",
        )


def _clear(target: RunTarget, instances: list[TaskInstance], *, downstream: bool) -> list[Instance]:
    """Clear the instances, and what their failure blocked, in one step through Airflow's own function."""
    named: list[Instance] = [(each.task_id, each.map_index) for each in instances]
    following = _airflow_clears(target, named, include_downstream=True, dry_run=True)
    states = [((each.task_id, each.map_index), each.state) for each in following]
    chosen = instances_to_clear(named, states, downstream=downstream)
    # The run keeps its version of the plan: only this task is amended.
    _airflow_clears(target, chosen, dry_run=False, prevent_running_task=True, run_on_latest_version=False)
    return chosen


def _airflow_clears(target: RunTarget, instances: list[Instance], **options: bool) -> list[Any]:
    body = ClearTaskInstancesBody(
        dag_run_id=target.run_id,
        task_ids=[task_id if index < 0 else (task_id, index) for task_id, index in instances],
        only_failed=False,
        **options,
    )
    answer = post_clear_task_instances(target.dag_id, target.dag_bag, body, target.session, target.user)
    return list(answer.task_instances)


def _audit(target: RunTarget, instances: list[TaskInstance], number: int, change: Change) -> None:
    """Write each instance to Airflow's audit log, where people look for it."""
    facts = {"amendment": number, "reason": change.reason, "inputs": sorted(change.inputs)}
    facts["instruction"] = change.instruction is not None
    name = target.user.get_name()
    for each in instances:
        target.session.add(Log(EVENT, each, owner=name, owner_display_name=name, extra=json.dumps(facts)))


def _withdraw(amendments: Amendments, number: int) -> None:
    try:
        amendments.withdraw(number)
    except ChassisError as error:
        log.error("Amendment %d counts, although its task was not cleared: %s", number, error)  # noqa: TRY400


def _plan_to_save(target: RunTarget, change: Change) -> WorkflowSpec:
    """The workflow's newest plan with the change, checked like any plan. Whoever saves it answers for it."""
    store, deployment = store_of(target.settings), Deployment.read(target.settings)
    plan = amended_plan(
        store.read(store.get(target.dag_id)),
        target.task_id,
        instruction=change.instruction,
        inputs=change.inputs,
        agents=deployment.agents,
        services=deployment.catalogue.names,
    )
    deployment.require(plan, subject=f"The plan with task '{target.task_id}' amended")
    if plan.provenance is None:
        return plan
    who = {"approved_by": change.by, "approved_at": change.at, "edited": True}
    return plan.model_copy(update={"provenance": plan.provenance.model_copy(update=who)})


def _publish(
    target: RunTarget, amendments: Amendments, number: int, plan: WorkflowSpec | None
) -> tuple[int | None, str]:
    """Publish the plan and record that with the amendment. Return the error if the stores fail: the task already
    runs.
    """
    if plan is None:
        return None, ""
    try:
        revision = store_of(target.settings).publish(plan).revision
        amendments.saved(number, revision)
    except ChassisError as error:
        log.warning("Amendment %d is not saved as a revision: %s", number, error)
        return None, error.message
    return revision, ""
