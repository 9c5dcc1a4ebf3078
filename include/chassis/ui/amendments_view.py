"""The amendments of a run, listed on its plan's page, because the run doesn't follow its plan alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from chassis.errors import ChassisError
from chassis.records.run_records import RunRecords
from chassis.ui.instance_items import list_of
from chassis.ui.run_plans import inputs_of_run
from chassis.ui.task_view import AmendmentView, view_amendments

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow.models.dagrun import DagRun
    from sqlalchemy.orm import Session

    from chassis.records.amendments import Amendment
    from chassis.settings import Settings
    from chassis.workflow import WorkflowSpec


@dataclass(frozen=True)
class RunAmendments:
    """All amendments of a run, oldest first, withdrawn ones too.

    :ivar unreadable: why they can't be read; empty if they can
    """

    each: tuple[AmendmentView, ...] = ()
    unreadable: str = ""

    @property
    def counting(self) -> int:
        """How many of them apply."""
        return sum(not each.amendment.withdrawn for each in self.each)


def read_run_amendments(
    session: Session, run: DagRun, spec: WorkflowSpec, settings: Settings
) -> RunAmendments:
    """Read a run's amendments. If the record store fails, say so instead of raising: the plan can be read without
    them.
    """
    try:
        found = RunRecords.open(settings, run.dag_id, run.run_id).amendments.all()
    except ChassisError as error:
        return RunAmendments(unreadable=str(error))
    return RunAmendments(tuple(_views(session, run, spec, found)))


def _views(
    session: Session, run: DagRun, spec: WorkflowSpec, found: Sequence[Amendment]
) -> Iterator[AmendmentView]:
    tasks = {task.id: task for task in spec.tasks}
    given = inputs_of_run(spec, run)
    lists = {
        task_id: {
            name: index for index, name in enumerate(list_of(session, spec, run.dag_id, run.run_id, task_id))
        }
        for task_id in dict.fromkeys(each.task_id for each in found if each.items)
    }
    for each in found:
        # View each alone: two in a row may be for different items.
        [view] = view_amendments([each], tasks.get(each.task_id), given)
        places = tuple((item, lists[each.task_id].get(item)) for item in each.items)
        yield replace(view, places=places)
