"""A plan as its page shows it, made from the plan alone, without a database or a request.

Templates show every text in signs, whoever wrote it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chassis.text import DECEIVING, one_line
from chassis.ui.graph_svg import Node, draw_plan
from chassis.ui.json_view import pretty
from chassis.workflow import dump_plan, plan_digest, plan_warnings
from chassis.workflow.field_meaning import facts
from chassis.workflow.plan_changes import schedule_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from markupsafe import Markup

    from chassis.catalogue import Catalogue, Service
    from chassis.errors import PlanFault
    from chassis.workflow import TaskSpec, WorkflowSpec
    from chassis.workflow.plan_changes import PlanChanges

_FEW_ITEMS = 12


@dataclass(frozen=True)
class TaskRow:
    """A row in the table of tasks.

    :ivar few: the first of its items, if the plan lists them
    :ivar items: where its items come from, or how many more there are; empty for a task without items
    :ivar facts: whatever else the plan says of it, by name
    :ivar mark: how it changed since the previous revision
    """

    spec: TaskSpec
    few: tuple[str, ...]
    items: str
    facts: Mapping[str, str]
    mark: str


@dataclass(frozen=True)
class PlanView:
    """A plan to show.

    :ivar text: the plan as YAML, exactly as it can be read again
    :ivar facts: schedule, limits and the like, by name
    :ivar inputs: name, type with default, and description of each
    :ivar services: entries of the catalogue that the plan's items name
    :ivar warnings: what may be unintended in it, for a person to check
    """

    spec: WorkflowSpec
    digest: str
    text: str
    facts: Mapping[str, str]
    inputs: tuple[tuple[str, str, str], ...]
    tasks: tuple[TaskRow, ...]
    graph: Markup
    services: tuple[Service, ...]
    warnings: tuple[PlanFault, ...]

    @property
    def simulated(self) -> bool:
        """Whether the simulator made it, not Claude."""
        return self.spec.provenance is not None and self.spec.provenance.simulated

    @property
    def deceives(self) -> bool:
        """Whether the text contains deceptive characters."""
        return DECEIVING.search(self.text) is not None


def view_plan(
    spec: WorkflowSpec, *, changes: PlanChanges | None = None, catalogue: Catalogue | None = None
) -> PlanView:
    """The plan as a page shows it.

    :param changes: since the previous revision, to mark what is new; None to mark nothing
    :param catalogue: the services that its items may name; None to show none
    """
    marks = {} if changes is None or changes.new else {each.name: each.kind for each in changes.tasks}
    nodes = {task.id: Node(href=f"#task-{task.id}", mark=marks.get(task.id, "")) for task in spec.tasks}
    schedule = schedule_text(spec.schedule) if spec.schedule else "manual"
    return PlanView(
        spec=spec,
        digest=plan_digest(spec),
        text=dump_plan(spec),
        facts={"schedule": schedule, "budget in US dollars": "no limit"} | facts(spec),
        inputs=tuple(
            (name, f"{given.type}, {_default(given.default)}", given.description)
            for name, given in spec.inputs.items()
        ),
        tasks=tuple(_row(task, marks.get(task.id, "")) for task in spec.tasks),
        graph=draw_plan(
            spec.tasks, nodes, label=f"The plan's {len(spec.tasks)} tasks and what each waits for"
        ),
        services=tuple(_services(spec, catalogue)) if catalogue else (),
        warnings=tuple(plan_warnings(spec, catalogue.names)) if catalogue else (),
    )


def _row(task: TaskSpec, mark: str) -> TaskRow:
    few: tuple[str, ...] = ()
    items = task.for_each.words if task.for_each else ""
    if task.for_each and task.for_each.items is not None:
        few, more = task.for_each.items[:_FEW_ITEMS], len(task.for_each.items) - _FEW_ITEMS
        items = f"and {more:,} more" if more > 0 else ""
    # A schema, which takes many lines, comes after one-line facts.
    ordered = sorted(facts(task).items(), key=lambda fact: "\n" in fact[1])
    return TaskRow(task, few, items, dict(ordered), mark)


def _default(value: Any) -> str:
    return "required" if value is None else f"default {one_line(pretty(value), 200)}"


def _services(spec: WorkflowSpec, catalogue: Catalogue) -> list[Service]:
    named = {item for task in spec.tasks if task.for_each for item in task.for_each.items or ()}
    for given in spec.inputs.values():
        if isinstance(given.default, list):
            named.update(item for item in given.default if isinstance(item, str))
    return [service for service in catalogue.services if service.name in named]
