"""What a task of a plan reads of its run: the items of a fan-out, and the results of its dependencies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from airflow.sdk import BaseOperator

from chassis.dag.calling import reported
from chassis.dag.cards import card_on_error
from chassis.dag.retry import ClaudeRetryPolicy
from chassis.errors import ItemsError
from chassis.workflow import check_items

if TYPE_CHECKING:
    from airflow.sdk import Context


@dataclass(frozen=True)
class Dependency:
    """One declared dependency, and which of its instances a task reads.

    ``one``: the dependency is not mapped. ``same``: both are steps of one mapped group and each item reads its
    own. ``all``: the dependency is mapped and the task joins all of its items.
    """

    task_id: str
    instances: Literal["one", "same", "all"]


class ItemsOperator(BaseOperator):
    """Finds the items of a fan-out when the run knows them: in an input, or in an upstream task's output.

    Items are checked as a plan's literal items are, and keep their order: an item's place is its identity in
    Airflow, for a clear and for a rerun.

    :param source: the input's name, or the upstream task's id
    :param path: for an upstream task, the dotted way through its output to the list; empty for the output itself
    :param of_input: whether ``source`` names an input
    """

    ui_color = "#e8e8e8"

    def __init__(self, *, source: str, of_input: bool, path: str = "", **kwargs: Any) -> None:
        kwargs.setdefault("retry_policy", ClaudeRetryPolicy())
        super().__init__(**kwargs)
        self.source = source
        self.of_input = of_input
        self.path = path

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
            return list(items)

    def _find(self, context: Context) -> Any:
        if self.of_input:
            return context["params"][self.source]
        value = context["ti"].xcom_pull(task_ids=self.source, map_indexes=-1)["output"]
        for key in filter(None, self.path.split(".")):
            if not isinstance(value, Mapping) or key not in value:
                raise ItemsError(
                    f"The output of task '{self.source}' has nothing at '{self.path}' (looked for '{key}').",
                    hint=f"Give the task an output_schema that requires '{self.path}', then plan again.",
                )
            value = value[key]
        return value
