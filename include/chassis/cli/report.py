"""A run as rows and as the ``--json`` document: the one place that reads Airflow's answers about a run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from chassis.cli import amounts
from chassis.cli.spending import latest, settled, spent_by_result
from chassis.cli.task_failure import error_document, read_failure
from chassis.cli.task_shapes import Shape, TaskShape
from chassis.contract.spending import Spending
from chassis.outdated import outdated_instances

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from chassis.airflow_client import Airflow, Json
    from chassis.cli.spending import SpendingReader
    from chassis.contract.spending import Totals
    from chassis.rerun_scope import Instance

FINISHED = frozenset({"success", "failed"})
"""States of a run that has ended."""

_FAILED = frozenset({"failed", "up_for_retry"})
_LABELLED = frozenset({"success", "failed", "removed"})
"""States of instances that have ended: Airflow's label of them is their item."""


@dataclass(frozen=True)
class Row:
    """One task instance: a task, or one item of it.

    :ivar state: Airflow's state; None before it has one
    :ivar map_index: position of the item; -1 for a task that isn't mapped, or not yet
    :ivar result: summary, output, model and request ids of a task that is done; else None
    :ivar usage: token counts and ``cost_usd`` of the answers that the result came from; else None
    :ivar spending: what the task has spent in all its tries, and the run by then; None if it didn't say
    :ivar error: class, message and hint of what made a task fail; else None
    :ivar carried_from: the run that its result was taken over from; empty when it was done in this one
    :ivar amendment: the last amendment that the task goes by, as the API has it; None when it goes by its plan
    :ivar outdated: whether a result that it rests on is newer, see ``chassis.outdated``
    """

    id: str
    item: str | None
    name: str
    state: str | None
    depends_on: tuple[str, ...]
    try_number: int = 0
    map_index: int = -1
    result: Json | None = None
    usage: Json | None = None
    spending: Spending | None = None
    error: Json | None = None
    simulated: bool = False
    amendment: Json | None = None
    carried_from: str = ""
    outdated: bool = False

    @property
    def spent(self) -> Totals | None:
        """What the task has spent, as far as is known."""
        if self.spending is not None:
            return self.spending.task
        return None if self.usage is None else spent_by_result(self.usage, self.usage["cost_usd"])


@dataclass(frozen=True)
class Report:
    """One run of a workflow, as far as it is.

    :ivar planning: what the planner's ``plan`` task returned, with the planner's ``spending``, when one started it
    """

    workflow_id: str | None
    revision: int | None
    dag_run_id: str | None
    state: str
    rows: tuple[Row, ...] = ()
    planning: Mapping[str, Any] | None = None
    seconds: float | None = None
    error: Json | None = None

    @property
    def simulated(self) -> bool:
        """Whether any answer came from the simulator."""
        return (
            bool(self.planning and self.planning["simulated"])
            or any(row.simulated for row in self.rows)
            or bool(self.spending and self.spending.run.simulated_calls)
        )

    @property
    def spending(self) -> Spending | None:
        """The newest word on what the run has spent, and on its limits; None if no task left one."""
        return latest(row.spending for row in self.rows if row.spending is not None)

    @property
    def spent(self) -> Totals | None:
        """What the run has spent, without its planning; None as long as nothing is known of."""
        if self.spending is not None:
            return settled(self.spending.run) if self.state in FINISHED else self.spending.run
        return _sum(row.spent for row in self.rows)

    @property
    def planning_spent(self) -> Totals | None:
        """What the planner has spent on the plan that this run is the first one of; else None."""
        if not self.planning:
            return None
        spending = Spending.of(self.planning.get("spending"))
        return (
            spending.run if spending else spent_by_result(self.planning["usage"], self.planning["cost_usd"])
        )

    @property
    def total(self) -> Totals | None:
        """The run and its planning together; None as long as nothing is known of."""
        return _sum((self.spent, self.planning_spent))

    def document(self) -> Json:
        """The ``--json`` document. The tasks' usage adds up to ``usage``; ``total_usage`` has the planning, too."""
        document = {
            "workflow_id": self.workflow_id,
            "revision": self.revision,
            "dag_run_id": self.dag_run_id,
            "state": self.state,
            "simulated": self.simulated,
            "tasks": [_row_document(row) for row in self.rows],
            "usage": amounts.document(self.spent),
            "planning_usage": None if self.planning_spent is None else amounts.document(self.planning_spent),
            "total_usage": amounts.document(self.total),
        }
        if (spending := self.spending) is not None:
            document["limits"] = spending.limits.document()
            document["prices"] = spending.prices
        return document if self.error is None else {**document, "error": self.error}


def _sum(parts: Iterable[Totals | None]) -> Totals | None:
    total = None
    for part in parts:
        total = part if total is None else total if part is None else total + part
    return total


def _row_document(row: Row) -> Json:
    document = {
        "id": row.id,
        "item": row.item,
        "name": row.name,
        "state": row.state,
        "depends_on": list(row.depends_on),
        "try_number": row.try_number,
        "result": row.result,
        "usage": None if row.spent is None else amounts.document(row.spent),
    }
    if row.amendment is not None:
        document["amendment"] = row.amendment
    if row.carried_from:
        document["carried_from"] = row.carried_from
    if row.outdated:
        document["outdated"] = True
    return document if row.error is None else {**document, "error": row.error}


def read_report(
    airflow: Airflow,
    workflow_id: str,
    run_id: str,
    shape: Shape,
    *,
    planning: Mapping[str, Any] | None = None,
    reader: SpendingReader | None = None,
) -> Report | None:
    """How a run stands, without results; None when there is no such run.

    :param reader: finds what the tasks that have ended spent; None leaves that out
    """
    run = airflow.find_run(workflow_id, run_id)
    if run is None:
        return None
    rows = tuple(make_rows(shape, airflow.task_instances(workflow_id, run_id)))
    return Report(
        workflow_id=workflow_id,
        revision=shape.revision,
        dag_run_id=run_id,
        state=run["state"],
        rows=rows if reader is None else reader.fill(rows),
        planning=planning,
        seconds=_seconds(run),
    )


def with_results(airflow: Airflow, report: Report, reader: SpendingReader) -> Report:
    """The report with what each finished task gave and spent, and why each failed one failed."""
    assert report.workflow_id is not None, "a report of a run has a workflow"
    assert report.dag_run_id is not None, "a report of a run has a run"
    rows = (_with_result(airflow, report.workflow_id, report.dag_run_id, row) for row in report.rows)
    return replace(report, rows=reader.fill(rows, every=True))


def _with_result(airflow: Airflow, workflow_id: str, run_id: str, row: Row) -> Row:
    if row.state in _FAILED:
        error = read_failure(
            airflow, workflow_id, run_id, row.id, try_number=row.try_number, map_index=row.map_index
        )
        return replace(row, error=error_document(error))
    if row.state != "success":
        return row
    value = airflow.xcom(workflow_id, run_id, row.id, map_index=row.map_index)
    if not isinstance(value, dict) or not value.keys() >= {"summary", "usage"}:
        return row  # not a result of Claude: of a helper, of the planner, or of another task of a hand-written DAG
    return replace(
        row,
        item=value.get("item") or row.item,
        result={key: value.get(key) for key in ("summary", "output", "model", "request_ids")},
        usage={**value["usage"], "cost_usd": value.get("cost_usd")},
        simulated=bool(value.get("simulated")),
        carried_from=str(value.get("carried_from") or ""),
    )


def make_rows(shape: Shape, instances: Iterable[Mapping[str, Any]]) -> Iterator[Row]:
    """One row for each task instance, in the workflow's order, and for each item that is still to come.

    Instances that aren't of the plan's tasks (Chassis's helpers, the stand-in for a broken plan) get a row
    only when they failed, because then they are the reason of everything else.
    """
    instances = list(instances)
    outdated = _outdated(shape, instances)
    for row in _rows(shape, instances):
        yield replace(row, outdated=True) if (row.id, row.map_index) in outdated else row


def _outdated(shape: Shape, instances: Iterable[Mapping[str, Any]]) -> frozenset[Instance]:
    groups = {task.id: task.group for task in shape.tasks}

    def same_items(one: str, other: str) -> bool:
        return groups.get(one) is not None and groups.get(one) == groups.get(other)

    depends_on = {task.id: task.depends_on for task in shape.tasks}
    return outdated_instances(map(_Ended.of, instances), depends_on, same_items)


@dataclass(frozen=True)
class _Ended:
    """What :func:`outdated_instances` asks of a task instance."""

    task_id: str
    map_index: int
    state: str | None
    start: datetime | None
    end: datetime | None

    @classmethod
    def of(cls, instance: Mapping[str, Any]) -> _Ended:
        start, end = (
            datetime.fromisoformat(instance[name]) if instance.get(name) else None
            for name in ("start_date", "end_date")
        )
        return cls(instance["task_id"], instance["map_index"], instance["state"], start, end)


def _rows(shape: Shape, instances: Iterable[Mapping[str, Any]]) -> Iterator[Row]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for instance in sorted(instances, key=lambda instance: instance["map_index"]):
        found.setdefault(instance["task_id"], []).append(instance)
    labels = _Labels(found)
    for task in shape.tasks:
        mine = found.pop(task.id, [])
        if task.items is not None and all(instance["map_index"] < 0 for instance in mine):
            state = mine[0]["state"] if mine else None  # not expanded yet, or it never will be
            yield from (replace(_row(task, state), item=item) for item in task.items)
        elif mine:
            yield from (_instance_row(task, instance, labels.item(task, instance)) for instance in mine)
        else:
            yield _row(task, None)
    for strangers in found.values():
        for instance in strangers:
            if instance["state"] in _FAILED:
                task = TaskShape(instance["task_id"], instance["task_display_name"], ())
                yield _instance_row(task, instance, labels.item(task, instance))


class _Labels:
    """Names of items by task and map index.

    Airflow knows an instance's label once it has run, and until then gives the index as its label. Tasks with
    equally many instances, whose labels never differ where both are known, go through the same items.
    """

    def __init__(self, found: Mapping[str, list[Mapping[str, Any]]]) -> None:
        self._by_size: dict[int, dict[int, set[str]]] = {}
        for instances in found.values():
            labels = self._by_size.setdefault(len(instances), {})
            for instance in instances:
                if (label := _own_label(instance)) is not None:
                    labels.setdefault(instance["map_index"], set()).add(label)
        self._sizes = {task_id: len(instances) for task_id, instances in found.items()}

    def item(self, task: TaskShape, instance: Mapping[str, Any]) -> str | None:
        """The item of an instance; None when it has none, or none that is known yet."""
        index: int = instance["map_index"]
        if index < 0:
            return None
        own = _own_label(instance)
        # After a change to another plan, what has ended was done for the item of its label.
        if own not in (None, str(index)) and instance["state"] in _LABELLED:
            return own
        if task.items is not None and index < len(task.items):
            return task.items[index]
        if own is not None:
            return own
        shared = self._by_size.get(self._sizes.get(task.id, 0), {}).get(index, set())
        return next(iter(shared)) if len(shared) == 1 else None


def _own_label(instance: Mapping[str, Any]) -> str | None:
    index: int = instance["map_index"]
    label: str | None = instance["rendered_map_index"]
    if index < 0 or not label:
        return None
    return label if instance["state"] in _LABELLED or label != str(index) else None


def _row(task: TaskShape, state: str | None) -> Row:
    return Row(id=task.id, item=None, name=task.name, state=state, depends_on=task.depends_on)


def _instance_row(task: TaskShape, instance: Mapping[str, Any], item: str | None) -> Row:
    row = _row(task, instance["state"])
    return replace(row, item=item, try_number=instance["try_number"], map_index=instance["map_index"])


def _seconds(run: Mapping[str, Any]) -> float | None:
    """How long the run has taken, or takes so far."""
    if run["start_date"] is None:
        return None
    end = datetime.fromisoformat(run["end_date"]) if run["end_date"] else datetime.now(UTC)
    return (end - datetime.fromisoformat(run["start_date"])).total_seconds()
