"""One run as shown everywhere: on the board and the task page, by the command line, and as JSON.

Only ``chassis.ui.run_reader`` makes it, from Airflow's database, the plan store and the run's records. Version 1 may
gain fields; changing a field's meaning, or removing one, needs another version.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from chassis.contract.spending import Spending, Spent, Totals
from chassis.contract.usage import Usage
from chassis.contract.xcoms import Card, TaskError, TaskResult

if TYPE_CHECKING:
    from collections.abc import Iterable

Json = dict[str, Any]


class _View(BaseModel):
    # A client may be older than the Airflow it asks, so it ignores unknown fields.
    model_config = ConfigDict(frozen=True, extra="ignore")


class InstanceView(_View):
    """One task, or one item of a mapped task."""

    map_index: int = Field(
        -1, description="The item's position; -1 for a task without items, or not expanded yet."
    )
    item: str | None = Field(None, description="The item; null without one, or where nobody knows it yet.")
    state: str | None = Field(None, description="Airflow's state; null before it has one.")
    try_number: int = Field(0, description="Number of the current try; 0 before the first.")
    start: datetime | None = Field(None, description="When the current try began.")
    end: datetime | None = Field(None, description="When it ended.")
    updated: datetime | None = Field(
        None, description="When it last changed; null for what the run doesn't have, or doesn't have yet."
    )
    card: Card | None = Field(None, description="What the task left for the board.")
    result: TaskResult | None = Field(
        None, description="What Claude answered; null without an answer, or unless results are asked for."
    )
    spent: Totals | None = Field(
        None, description="What the task spent over all its tries; null where it left no word of it."
    )
    error: TaskError | None = Field(None, description="Why its last try failed.")
    amendment: int | None = Field(None, description="Number of the last amendment that it goes by.")
    carried_from: str = Field(
        "", description="Run that its result was taken over from; empty if done in this one."
    )
    simulated: bool = Field(False, description="Whether the simulator answered instead of Claude.")
    outdated: bool = Field(False, description="Whether a task that it depends on has a newer result.")


class TaskView(_View):
    """One task of the plan, or one that Airflow runs beside it."""

    id: str = Field(description="The task's id in Airflow.")
    name: str = Field(description="The task's name.")
    kind: Literal["planned", "items", "other"] = Field(
        "planned",
        description="A task of the plan or DAG; the helper that finds a task's items; or what the plan doesn't name.",
    )
    depends_on: tuple[str, ...] = Field(
        (), description="Ids of the tasks that it waits for, in the plan's order."
    )
    mapped: bool = Field(False, description="Whether it is done once for each of several items.")
    group: str | None = Field(None, description="Tasks of the same group are steps for the same items.")
    instances: tuple[InstanceView, ...] = Field(
        (), description="Its instances by map_index. One without an updated isn't in Airflow's database yet."
    )


class PlanningView(_View):
    """The planner's run that started this one."""

    dag_id: str = Field(description="The planner's DAG.")
    run_id: str = Field(description="Id of its run.")
    model: str = Field("", description="The model that planned.")
    attempts: int = Field(1, description="How many answers it took until the plan was valid.")
    simulated: bool = Field(False, description="Whether the simulator planned.")
    usage: Usage = Field(Usage(), description="Tokens of the planning.")
    cost_usd: float | None = Field(None, description="List price of that; null when the price isn't known.")
    spending: Spending | None = Field(
        None,
        description="What all of the planning spent, revisions included; null where it left no word of it.",
    )


class RunView(_View):
    """A run."""

    version: Literal[1] = 1
    workflow_id: str = Field(description="The workflow, or another DAG whose tasks are Chassis's.")
    run_id: str
    title: str = Field(description="The plan's title, or the DAG's id.")
    revision: int | None = Field(None, description="The plan's revision; null for a DAG without a plan.")
    pinned: bool = Field(True, description="Whether the run is held to that revision.")
    is_planner: bool = Field(False, description="Whether it is a planner's run.")
    state: str = Field(description="Airflow's state of the run.")
    active: bool = Field(description="Whether anything may still change by itself.")
    start: datetime | None = None
    end: datetime | None = None
    seconds: float | None = Field(None, description="Duration, so far; null before it started.")
    inputs: Json = Field({}, description="Values of the plan's inputs in this run.")
    input_types: dict[str, str] = Field({}, description="Their types.")
    planning: PlanningView | None = Field(
        None, description="Null when no planner started it, or not for you to read."
    )
    usd: float | None = Field(None, description="US dollars spent when the last task ended; null if unknown.")
    tokens: int | None = Field(None, description="Tokens used by then.")
    limit_usd: float | None = Field(None, description="US dollars that the run may spend; null for no limit.")
    spending: Spending | None = Field(
        None, description="What the run spent and may spend, by the newest word of the tasks in this answer."
    )
    simulated: bool = Field(False, description="Whether the simulator answered for any of it.")
    amendments: tuple[Json, ...] = Field((), description="All amendments of the run, the oldest first.")
    tasks: tuple[TaskView, ...] = Field((), description="All tasks in the plan's order, then all others.")
    since: str = Field("", description="To be sent as since, for what changes after this answer.")
    next: int | None = Field(
        None, description="To be sent as offset for the next page; null on the last one."
    )

    def joined(self, other: RunView) -> RunView:
        """This view combined with another answer about the same run: its next page, or what changed since.

        Where both have an instance, the other's wins, as do all facts of the run itself, except its spending, which
        is the newest, and ``since``: a follower keeps that of the first page.
        """
        before = {task.id: task.instances for task in self.tasks}
        tasks = tuple(
            task.model_copy(update={"instances": _joined(before.get(task.id, ()), task.instances)})
            for task in other.tasks
        )
        spending = newest_spending([self.spending, other.spending])
        return other.model_copy(update={"tasks": tasks, "spending": spending})


def _joined(old: tuple[InstanceView, ...], new: tuple[InstanceView, ...]) -> tuple[InstanceView, ...]:
    found: dict[tuple[int, str | None], InstanceView] = {}
    for each in (*old, *new):
        at = each.map_index, each.item if each.map_index < 0 else None
        # When a task runs again, Airflow deletes its XComs, but what it had spent stays spent.
        spent = each.spent or (found[at].spent if at in found else None)
        found[at] = each if spent is each.spent else each.model_copy(update={"spent": spent})
    instances = sorted(found.values(), key=lambda each: each.map_index)
    # Once a task is expanded, its pending items are there, one by one.
    return tuple(each for each in instances if each.map_index >= 0) or tuple(instances)


def newest_spending(found: Iterable[Spending | None]) -> Spending | None:
    """The spending that the last task to end has left; None if no task has left any."""
    return max((one for one in found if one is not None), key=last_word, default=None)


def last_word(spent: Spent) -> tuple[int, ...]:
    """Greatest for the last to end: spending only grows, unless a call counted as lost ended after all."""
    run = spent.run
    return run.usage.tokens, run.calls, run.uncertain.tokens, -run.open_calls


NEWEST_RUN = "~"
"""In place of a run's id: the newest run of its DAG."""
NO_SUCH_RUN = "There is no such run."
"""The ``detail`` of a 404 from the route itself; any other 404 comes from an Airflow that doesn't have the route."""
