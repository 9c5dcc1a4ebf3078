"""Turns a plan into a DAG: a pure function of the plan, its revision and the settings.

It uses no clock, network, randomness or Claude. The same plan gives the same serialised DAG in any process, so Airflow
stores a new DAG version when, and only when, the plan changed.

A plan's task ids are the Airflow task ids. Tasks that share their items form one mapped task group, ``<root>__each``,
in which each item advances by itself; a task outside the group that depends on a member joins all items. If only the
run knows the items, a helper task, ``<root>__items``, finds them.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pendulum
from airflow.sdk import DAG, Asset, CronTriggerTimetable, Param, task_group

from chassis.contract.names import ERROR_TAG, RETIRED_TAG, TAG, digest_tag
from chassis.dag.conf import check_conf
from chassis.dag.fan_out import Dependency, ItemsOperator
from chassis.dag.planned import PlanErrorOperator, PlannedTaskOperator, timeout_of
from chassis.text import signs
from chassis.workflow import (
    CARRY_OVER,
    InputSpec,
    ItemSource,
    Schedule,
    TaskGraph,
    TaskSpec,
    WorkflowSpec,
    plan_digest,
)

if TYPE_CHECKING:
    from chassis.settings import Settings


def build_dag(spec: WorkflowSpec, *, revision: int, settings: Settings, retired: bool = False) -> DAG:
    """The DAG of a plan.

    :param revision: the plan's revision in the store, shown as a tag
    :param retired: whether the workflow no longer runs by itself; it keeps its history and its tasks
    :raises Exception: whatever Airflow raises if it can't build the DAG; ``loader`` turns that into a visible DAG
    """
    with DAG(
        dag_id=spec.id,
        dag_display_name=spec.title,
        description=spec.title,
        doc_md=_describe(spec),
        schedule=None if retired else _timetable(spec.schedule),
        start_date=_start_date(spec),
        catchup=bool(spec.schedule and spec.schedule.catchup and spec.provenance),
        # This bounds worker slots: deferred tasks don't count. The run's gate bounds its calls.
        max_active_tasks=spec.limits.max_parallel,
        dagrun_timeout=timedelta(minutes=spec.limits.max_minutes) if spec.limits.max_minutes else None,
        params={name: _param(given) for name, given in spec.inputs.items()} | {CARRY_OVER: _carry_over()},
        tags=[
            TAG,
            digest_tag(plan_digest(spec)),
            f"revision:{revision}",
            *spec.tags,
            *([RETIRED_TAG] if retired else []),
        ],
        default_args={"owner": spec.owner},
        is_paused_upon_creation=False,
    ) as dag:
        _Builder(spec, settings).build()
    return dag


def build_error_dag(workflow_id: str, reason: str) -> DAG:
    """A visible stand-in for a workflow whose plan can't be built; its one task fails with the reason."""
    with DAG(
        dag_id=workflow_id,
        doc_md=_as_text("This workflow's plan can't be used", reason),
        schedule=None,
        tags=[TAG, ERROR_TAG],
        is_paused_upon_creation=False,
    ) as dag:
        PlanErrorOperator(task_id="plan_error", reason=reason, retries=0)
    return dag


class _Builder:
    """Builds one plan's tasks, groups and edges inside the open DAG."""

    def __init__(self, spec: WorkflowSpec, settings: Settings) -> None:
        self.spec = spec
        self.settings = settings
        self.graph = TaskGraph(spec.tasks)
        self.operators: dict[str, Any] = {}
        self.alike = Counter(map(_beginning, spec.tasks))
        gone_through = {task.for_each.input for task in spec.tasks if task.for_each}
        self.item_inputs = tuple(name for name in spec.inputs if name in gone_through)

    def build(self) -> None:
        for task in self.spec.tasks:
            if self.graph.group_of(task.id) is None:
                self.operators[task.id] = self._operator(task)
        for root in self.graph.groups:
            self._add_group(root)
        for task in self.spec.tasks:
            for upstream in task.depends_on:
                self.operators[upstream] >> self.operators[task.id]

    def _add_group(self, root: str) -> None:
        members = [self.graph.tasks[task_id] for task_id in self.graph.groups[root]]
        source = self.graph.items(root)
        assert source is not None, f"{root} is the root of a group and has items"

        @task_group(
            group_id=f"{root}__each",
            prefix_group_id=False,
            group_display_name=f"{self.graph.tasks[root].name}: each item",
            tooltip="Each item goes its own way through these tasks.",
        )
        def each(item: Any) -> None:
            for member in members:
                self.operators[member.id] = self._operator(
                    member, item=item, items=source, map_index_template="{{ task.item }}"
                )

        each.expand(item=self._items(source))

    def _items(self, source: ItemSource) -> Any:
        """The list to expand over: the plan's own, or the output of a task that finds it at run time."""
        if source.items is not None:
            return list(source.items)
        finder = ItemsOperator(
            task_id=source.finder,
            members=self.graph.groups[source.root],
            task_display_name=f"{self.graph.tasks[source.root].name}: items",
            source=source.input or source.output_of or "",
            of_input=source.input is not None,
            path=source.path,
            pre_execute=check_conf,
            retries=self.settings.task_retries,
            retry_delay=timedelta(seconds=self.settings.retry_delay_seconds),
        )
        if source.output_of is not None:
            self.operators[source.output_of] >> finder
        return finder.output

    def _operator(self, task: TaskSpec, **mapping: Any) -> PlannedTaskOperator:
        return PlannedTaskOperator(
            spec=task,
            requirement=self.spec.requirement,
            inputs=tuple(self.spec.inputs),
            dependencies=[self._dependency(task.id, upstream) for upstream in task.depends_on],
            limits=self.spec.limits,
            item_inputs=self.item_inputs,
            others=self.alike[_beginning(task)] > 1,
            pre_execute=check_conf,
            task_display_name=task.name,
            doc_md=_as_text("Instruction", task.instruction),
            pool=self.settings.pool,
            retries=self.settings.task_retries if task.retries is None else task.retries,
            retry_delay=timedelta(seconds=self.settings.retry_delay_seconds),
            retry_exponential_backoff=2,
            max_retry_delay=timedelta(minutes=10),
            execution_timeout=timeout_of(task, self.settings),
            **mapping,
        )

    def _dependency(self, task_id: str, upstream: str) -> Dependency:
        theirs = self.graph.items(upstream)
        if theirs is None:
            return Dependency(upstream, "one")
        return Dependency(upstream, "same" if self.graph.same_items(task_id, upstream) else "all", theirs)


def _beginning(task: TaskSpec) -> tuple[str, ...]:
    """What two tasks of a plan must share so that one can read what the other wrote to the prompt cache."""
    schema = json.dumps(task.output_schema, sort_keys=True)
    return task.agent, task.model or "", schema


def _timetable(schedule: Schedule | None) -> Any:
    if schedule is None:
        return None
    if schedule.asset is not None:
        return [Asset(schedule.asset)]
    # The timetable treats presets such as @daily as crons, too. Publishing is no reason to run, so the first run is the
    # next one that the cron names; with run_immediately=False, Airflow would make up for one just missed.
    return CronTriggerTimetable(
        schedule.cron or schedule.preset or "", timezone=schedule.timezone, run_immediately=timedelta(0)
    )


def _start_date(spec: WorkflowSpec) -> datetime | None:
    """The time of planning: no scheduled run is earlier, and catch-up goes back no further."""
    if spec.provenance is None:
        return None
    return pendulum.instance(datetime.fromisoformat(spec.provenance.planned_at))


def _param(given: InputSpec) -> Param:
    schema: dict[str, Any] = {"type": given.type, "description": given.description}
    if given.type == "array":
        schema["items"] = {"type": "string"}
    return Param(**schema) if given.default is None else Param(given.default, **schema)


def _carry_over() -> Param:
    return Param(
        None,
        type=["string", "null"],
        title="Carry over from",
        description="Id of a run of this workflow: what was done there, and means the same now, is not done again. "
        "Empty: everything is done.",
    )


def _describe(spec: WorkflowSpec) -> str:
    """The DAG's page: the requirement and the tasks, as text that Markdown doesn't interpret."""
    lines = [
        f"{task.id}: {task.name}" + (f" (after {', '.join(task.depends_on)})" if task.depends_on else "")
        for task in spec.tasks
    ]
    return _as_text("Requirement", spec.requirement) + _as_text("Tasks", "\n".join(lines))


def _as_text(heading: str, text: str) -> str:
    """Text as an indented Markdown block.

    Text can't end an indented block from inside, as it could end a fence of backticks. Characters that a page would
    hide or reverse are shown as symbols, because this is the text that Claude gets. The block always ends in a
    newline: Airflow opens a doc_md that ends in ``.md`` as a file.
    """
    block = "\n".join(f"    {line}" for line in signs(text).splitlines())
    return f"**{heading}**\n\n{block}\n\n"
