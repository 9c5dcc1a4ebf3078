"""Makes the view of a run (``chassis.contract.run_view``) for the board, a task's page and the JSON.

:func:`view_run` is pure, and takes what one statement reads. :func:`with_details` adds what only the JSON has; it reads
    for the instances of one page of the answer, however many the run has.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from chassis.contract.names import PLAN_OPERATOR
from chassis.contract.run_view import InstanceView, RunView, TaskView
from chassis.contract.spending import least
from chassis.contract.xcoms import Card, TaskError
from chassis.outdated import outdated_instances
from chassis.ui.queries import EVER, Instance, RunState
from chassis.workflow import TaskGraph
from chassis.workflow.names import items_task

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from airflow.serialization.definitions.dag import SerializedDAG

    from chassis.ui.run_plans import RunPlan
    from chassis.workflow import WorkflowSpec

OVERLAP = timedelta(seconds=5)
"""How far a refresh looks back behind the last one: clocks of several machines differ, and commits take time."""
SETTLED = timedelta(seconds=60)
"""How long after a change no earlier change can still appear."""
ACTIVE = frozenset({"queued", "running"})
GONE = "removed"
"""State of an item that the run no longer has, and of a task that its plan no longer has."""
_ENDED = frozenset({"success", "failed", GONE})
"""States of instances that have ended: Airflow's label of them is their item."""


@dataclass(frozen=True)
class Task:
    """A task of a plan or a DAG.

    :ivar items: if they are known
    :ivar group: the same for tasks that are steps for the same items; None for a task that isn't mapped
    """

    id: str
    name: str
    depends_on: tuple[str, ...]
    items: Sequence[str] = ()
    group: str | None = None
    kind: Literal["planned", "items", "other"] = "planned"


def tasks_of_plan(spec: WorkflowSpec, lists: Mapping[str, Sequence[str]] | None = None) -> list[Task]:
    """The tasks of a plan, each after its dependencies.

    :param lists: items that only the run knows, by the task that has them
    """
    graph, lists = TaskGraph(spec.tasks), lists or {}
    found = []
    for task_id in graph.order:
        task, source = graph.tasks[task_id], graph.items(task_id)
        items = lists.get(source.root) or source.items or () if source else ()
        found.append(Task(task_id, task.name, task.depends_on, items, source.root if source else None))
    return found


def tasks_of_dag(dag: SerializedDAG) -> list[Task]:
    """The tasks of a DAG without a plan, each after its dependencies, else by id."""
    own = {each.task_id: each for each in dag.tasks if not _is_helper(each.task_id, dag)}
    left, order = sorted(own), list[str]()
    while left:
        order += [task_id for task_id in left if not own[task_id].upstream_task_ids & own.keys() - set(order)]
        left = [task_id for task_id in left if task_id not in order]
    return [
        Task(
            task_id,
            own[task_id].task_display_name,
            tuple(sorted(own[task_id].upstream_task_ids & own.keys())),
            # Airflow doesn't say which tasks share their items: mapped tasks are assumed to match index by index.
            group="mapped" if own[task_id].is_mapped else None,
        )
        for task_id in order
    ]


def _is_helper(task_id: str, dag: SerializedDAG) -> bool:
    """Whether Chassis added the task. In a hand-written DAG, Airflow itself assigns ids such as ``ask__1``."""
    return any(task_id == items_task(other) for other in dag.task_dict)


def view_run(
    run: RunState,
    plan: RunPlan | None,
    tasks: Sequence[Task],
    now: datetime,
    *,
    ceiling_usd: float | None = None,
    failures: Mapping[tuple[str, int], TaskError] | None = None,
) -> RunView:
    """View a run from what one statement reads.

    :param tasks: those of its plan or DAG; empty if only the run is known
    :param ceiling_usd: what any run of the deployment may spend
    :param failures: why tasks failed without a card, by task id and map index
    """
    by_task: dict[str, list[Instance]] = {}
    for each in run.instances:
        by_task.setdefault(each.task_id, []).append(each)
    tasks = list(_with_others(tasks, by_task))
    labels = _Labels(tasks, by_task)
    groups = {task.id: task.group for task in tasks}
    outdated = outdated_instances(
        run.instances,
        {task.id: task.depends_on for task in tasks if task.kind == "planned"},
        lambda one, other: groups.get(one) is not None and groups.get(one) == groups.get(other),
    )

    def instances(task: Task) -> Iterator[InstanceView]:
        mine = by_task.get(task.id, [])
        expanded = [each for each in mine if each.map_index >= 0]
        if task.group is not None and not expanded and task.items:
            yield from (_instance(mine[0] if mine else None, item) for item in task.items)
            return
        shown: Sequence[Instance | None] = expanded or mine or (None,)
        for each in shown:
            failure = (failures or {}).get((task.id, each.map_index)) if each else None
            late = each is not None and (task.id, each.map_index) in outdated
            yield _instance(each, labels.item(task, each), failure, outdated=late)

    views = []
    for task in tasks:
        found = tuple(instances(task))
        views.append(
            TaskView(
                id=task.id,
                name=task.name,
                kind=task.kind,
                depends_on=task.depends_on,
                mapped=task.group is not None or any(each.map_index >= 0 for each in found),
                group=task.group,
                instances=found,
            )
        )
    card = run.card or Card(line="")
    own_limit = plan.spec.limits.budget_usd if plan else card.budget_usd
    started = None if run.start is None else ((run.end or now) - run.start).total_seconds()
    return RunView(
        workflow_id=run.dag_id,
        run_id=run.run_id,
        title=plan.spec.title if plan else run.dag_id,
        revision=plan.ref.revision if plan else None,
        pinned=plan is None or plan.pinned,
        is_planner=any(each.operator == PLAN_OPERATOR for each in run.instances),
        state=run.state,
        active=run.state in ACTIVE,
        start=run.start,
        end=run.end,
        seconds=started,
        usd=card.run_usd,
        tokens=card.run_tokens,
        limit_usd=least(own_limit, ceiling_usd),
        simulated=card.simulated,
        tasks=tuple(views),
        since=_since(run, now).isoformat(),
    )


def _since(run: RunState, now: datetime) -> datetime:
    """Where the next refresh starts: a little before the last change, while another may still arrive."""
    newest = max((each.updated for each in run.instances), default=EVER)
    return newest - OVERLAP if now - newest < SETTLED else newest


def _with_others(tasks: Sequence[Task], by_task: Mapping[str, Sequence[Instance]]) -> Iterator[Task]:
    """The tasks, with each of the run's helpers before its task, and last those that no plan or DAG names."""
    named = set()
    for task in tasks:
        helper = items_task(task.id)
        if helper in by_task:
            named.add(helper)
            yield Task(helper, f"{task.name}: items", (), kind="items")
        named.add(task.id)
        yield task
    for task_id in sorted(by_task.keys() - named):
        yield Task(task_id, task_id, (), kind="other")


def _instance(
    at: Instance | None, item: str | None, failure: TaskError | None = None, *, outdated: bool = False
) -> InstanceView:
    if at is None:
        return InstanceView(item=item)
    return InstanceView(
        map_index=at.map_index,
        item=item,
        state=at.state,
        try_number=at.try_number,
        start=at.start,
        end=at.end,
        updated=at.updated,
        card=at.card,
        error=failure,
        carried_from=at.card.carried_from if at.card else "",
        simulated=at.card is not None and at.card.simulated,
        outdated=outdated,
    )


class _Labels:
    """Names of items by task and map index.

    Airflow knows an instance's label only after it has run; before, the label is the index. Tasks with equally many
    instances whose known labels never differ are mapped over the same items.
    """

    def __init__(self, tasks: Iterable[Task], by_task: Mapping[str, Sequence[Instance]]) -> None:
        self._by_size: dict[int, dict[int, set[str]]] = {}
        self._sizes = {task.id: len(by_task.get(task.id, ())) for task in tasks}
        for task_id, instances in by_task.items():
            labels = self._by_size.setdefault(self._sizes[task_id], {})
            for each in instances:
                if own := _own_label(each):
                    labels.setdefault(each.map_index, set()).add(own)

    def item(self, task: Task, at: Instance | None) -> str | None:
        """The item of an instance; None if it has none, or it is not known yet."""
        if at is None or at.map_index < 0:
            return None
        own = _own_label(at)
        # After a change to another plan, what has ended was done for the item of its label.
        if own not in (None, str(at.map_index)) and at.state in _ENDED:
            return own
        if at.map_index < len(task.items):
            return task.items[at.map_index]
        shared = self._by_size[self._sizes[task.id]].get(at.map_index, set())
        return own or (next(iter(shared)) if len(shared) == 1 else None)


def _own_label(at: Instance) -> str | None:
    if at.map_index < 0 or not at.label:
        return None
    return at.label if at.state in _ENDED or at.label != str(at.map_index) else None
