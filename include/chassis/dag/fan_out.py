"""What a plan's task reads from its run: the items of a fan-out, and the results of its dependencies.

Airflow identifies a mapped instance by its index, Chassis by its item. The two diverge if a list changes within a run:
when the task that finds the items is cleared, or by *run on latest version*. Airflow then keeps the results of indexes
that no longer exist, and of indexes that now have another item.

Invariants that must not be relaxed:

- A task gets the results of the items that the run has now, and of no others.
- A result counts only for the item that it was made for: if its index now has another item, nothing continues until a
  person has cleared it. Doing the old item instead is no way out: the run's plan doesn't have it at that index.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from airflow.sdk import BaseOperator

from chassis.contract.names import CARD
from chassis.dag.reporting import card_on_error, reported
from chassis.dag.retry import ClaudeRetryPolicy
from chassis.errors import ItemsError, ItemsMovedError
from chassis.workflow import check_items

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow.sdk import Context

    from chassis.work.brief import UpstreamResult
    from chassis.workflow import ItemSource

log = logging.getLogger(__name__)

_NAMED = 10
"""Misplaced results that an error names."""


@dataclass(frozen=True)
class Dependency:
    """One declared dependency, and which of its instances a task reads.

    ``one``: the dependency isn't mapped. ``same``: both are steps of one mapped group, and each item reads its own.
    ``all``: the dependency is mapped, and the task joins all its items.

    :ivar items: where a mapped dependency gets its items; None if it isn't mapped
    """

    task_id: str
    instances: Literal["one", "same", "all"]
    items: ItemSource | None = None


def read_items(ti: Any, source: ItemSource) -> Sequence[str]:
    """The items that a run has now.

    :raises ItemsError: the task that finds them has left none
    """
    if source.items is not None:
        return source.items
    found = ti.xcom_pull(task_ids=source.finder, map_indexes=-1)
    if not isinstance(found, list):
        raise ItemsError(
            f"Task '{source.finder}' has left no list of items.",
            hint=f"Clear '{source.finder}' with downstream.",
        )
    return found


def read_results(ti: Any, dependencies: Iterable[Dependency], item: str | None) -> list[UpstreamResult]:
    """The results of a task's dependencies; none for one that a person marked as success.

    :param item: the item that the task is for
    :raises ItemsMovedError: a result belongs to another item than its index has now
    :raises ItemsError: the items of a dependency are unknown
    """
    found: list[UpstreamResult | None] = []
    for dependency in dependencies:
        if dependency.instances == "all":
            found += _of_all_items(ti, dependency)
            continue
        index = ti.map_index if dependency.instances == "same" else -1
        result = _result(ti.xcom_pull(task_ids=dependency.task_id, map_indexes=index))
        if dependency.instances == "same" and result is not None and result.item != item:
            raise _moved(dependency.task_id, [(index, result.item, item)])
        found.append(result)
    return [result for result in found if result is not None]


def _of_all_items(ti: Any, dependency: Dependency) -> list[UpstreamResult | None]:
    assert dependency.items is not None, "a mapped task goes through a list"
    task_id, items = dependency.task_id, list(read_items(ti, dependency.items))
    # One request returns the results in index order, with those of indexes that no longer exist at the end.
    results = [_result(value) for value in ti.xcom_pull(task_ids=[task_id])[: len(items)]]
    if [result and result.item for result in results] == items:
        return results
    # Some are missing or belong to another item; only one request for each tells which.
    results = [_result(value) for value in ti.xcom_pull(task_ids=task_id, map_indexes=range(len(items)))]
    pairs = list(enumerate(zip(items, results, strict=True)))
    if wrong := [(at, result.item, item) for at, (item, result) in pairs if result and result.item != item]:
        raise _moved(task_id, wrong)
    missing = ", ".join(item for _, (item, result) in pairs if result is None)
    log.warning("Task %r has no result for %s: what depends on it goes on without.", task_id, missing)
    return results


def _result(value: Any) -> UpstreamResult | None:
    from chassis.work.brief import UpstreamResult

    return None if value is None else UpstreamResult.of(value)


def check_places(ti: Any, source: ItemSource) -> None:
    """Refuse to do an item of a changed list while results of the same task belong to the previous list.

    Results of instances that are also cleared don't count: they are made again. A list can change only after a clear,
    so this costs two requests then, and none in a first run.

    :raises ItemsMovedError: results belong to other items than their indexes have now
    """
    from chassis.contract.xcoms import Card

    items = read_items(ti, source)
    # States first: an instance that ends in between has done the item that is there now.
    states = ti.get_task_states(ti.dag_id, task_ids=[ti.task_id], run_ids=[ti.run_id]).get(ti.run_id, {})
    standing = {index for index in range(len(items)) if states.get(f"{ti.task_id}_{index}") == "success"}
    if not standing:
        return
    cards = [Card.of(value) for value in ti.xcom_pull(task_ids=[ti.task_id], key=CARD)]
    done = [card for card in cards if card and card.map_index in standing and card.item is not None]
    wrong = [(card.map_index, card.item, items[card.map_index]) for card in done]
    if wrong := [each for each in wrong if each[1] != each[2]]:
        raise _moved(ti.task_id, wrong)


def _moved(task_id: str, wrong: Sequence[tuple[int, str | None, str | None]]) -> ItemsMovedError:
    named = [f"[{index}] is of '{done}', where '{now}' is now" for index, done, now in wrong[:_NAMED]]
    places = ", ".join(f"[{index}]" for index, _, _ in wrong[:_NAMED])
    if len(wrong) > _NAMED:
        named.append(f"and {len(wrong) - _NAMED} more")
        places = "all of its items"
    return ItemsMovedError(
        f"The run's items have changed, and results of task '{task_id}' are of other items: {'; '.join(named)}.",
        hint=f"Clear task '{task_id}' {places}, and what failed by this, with downstream tasks.",
    )


class ItemsOperator(BaseOperator):
    """Finds the items of a fan-out at run time: in an input, or in an upstream task's output.

    Items pass the same checks as a plan's literal items, and keep their order: an item's index is its identity in
    Airflow, for a clear and for a rerun.

    :param source: the input's name, or the upstream task's id
    :param path: for an upstream task, the dotted path to the list in its output; empty for the output itself
    :param of_input: whether ``source`` names an input
    :param members: ids of the tasks that go through the items
    """

    ui_color = "#e8e8e8"

    def __init__(
        self, *, source: str, of_input: bool, path: str = "", members: Sequence[str] = (), **kwargs: Any
    ) -> None:
        kwargs.setdefault("retry_policy", ClaudeRetryPolicy())
        super().__init__(**kwargs)
        self.source = source
        self.of_input = of_input
        self.path = path
        self.members = tuple(members)

    def execute(self, context: Context) -> list[str]:
        with reported(self, context), card_on_error(context):
            items = self._find(context)
            if faults := check_items(items):
                place = f"input '{self.source}'" if self.of_input else f"the output of task '{self.source}'"
                raise ItemsError(
                    f"The items in {place} can't be used: {'; '.join(faults)}.",
                    hint="Start a run with other inputs, or clear the upstream task.",
                )
            if not items:
                self.log.warning("There are no items: the mapped tasks and what depends on them are skipped.")
            self._forget_gone(context, items)
            return list(items)

    def _forget_gone(self, context: Context, items: Sequence[str]) -> None:
        """Keep later runs from reusing the result of an item that a clear has removed from this run."""
        from chassis.records.run_records import RunRecords
        from chassis.settings import Settings

        if not context["dag_run"].clear_number:
            return
        ti = context["ti"]
        results = RunRecords.open(Settings.load(), ti.dag_id, ti.run_id).results
        for task_id in self.members:
            results.forget_others(task_id, items)

    def _find(self, context: Context) -> Any:
        if self.of_input:
            return context["params"][self.source]
        result = _result(context["ti"].xcom_pull(task_ids=self.source, map_indexes=-1))
        value = result and result.output
        for key in filter(None, self.path.split(".")):
            if not isinstance(value, Mapping) or key not in value:
                raise ItemsError(
                    f"The output of task '{self.source}' has nothing at '{self.path}' (looked for '{key}').",
                    hint=f"Give the task an output_schema that requires '{self.path}', then plan again.",
                )
            value = value[key]
        return value
