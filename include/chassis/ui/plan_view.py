"""A plan as its page shows it: made up from the plan alone, without a database and without a request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chassis.text import DECEIVING, one_line, signs
from chassis.ui.graph_svg import Node, draw_plan
from chassis.ui.json_view import pretty
from chassis.workflow import dump_plan, plan_digest, plan_warnings
from chassis.workflow.field_meaning import facts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Literal

    from markupsafe import Markup

    from chassis.catalogue import Catalogue, Service
    from chassis.errors import PlanFault
    from chassis.workflow import TaskSpec, WorkflowSpec
    from chassis.workflow.plan_changes import PlanChanges

_FEW_ITEMS = 12
_BUDGET = "budget in US dollars"


@dataclass(frozen=True)
class TaskRow:
    """One task in the table of tasks; every text in signs.

    :ivar items: what it goes through, in words; empty for a task that is done once
    :ivar few: the first of its items, when the plan names them
    :ivar facts: whatever else the plan says of it, by name
    :ivar mark: what became of it since the revision before
    """

    id: str
    name: str
    instruction: str
    agent: str
    depends_on: tuple[str, ...]
    items: str
    few: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    mark: str


@dataclass(frozen=True)
class PlanView:
    """A plan to look at.

    :ivar text: the plan as YAML, exactly as it is read again
    :ivar shown_text: the same in signs
    :ivar facts: schedule, limits and the like, by name
    :ivar services: entries of the catalogue that the plan's items name
    :ivar simulated: whether the simulator made it, and not Claude
    :ivar warnings: what may be meant otherwise in it, for a person to look at
    """

    workflow_id: str
    title: str
    requirement: str
    digest: str
    text: str
    shown_text: str
    facts: tuple[tuple[str, str], ...]
    inputs: tuple[tuple[str, str, str], ...]
    tasks: tuple[TaskRow, ...]
    graph: Markup
    services: tuple[Service, ...]
    simulated: bool
    warnings: tuple[PlanFault, ...]

    @property
    def deceives(self) -> bool:
        """Whether the text holds characters that are not what they look like."""
        return DECEIVING.search(self.text) is not None


def view_plan(
    spec: WorkflowSpec, *, changes: PlanChanges | None = None, catalogue: Catalogue | None = None
) -> PlanView:
    """The plan as a page shows it.

    :param changes: since the revision before, to mark what is new; None: nothing is marked
    :param catalogue: where the services are that its items may name; None: none are told
    """
    marks = _marks(changes)
    nodes = {task.id: Node(href=f"#task-{task.id}", mark=marks.get(task.id, "")) for task in spec.tasks}
    text = dump_plan(spec)
    return PlanView(
        workflow_id=spec.id,
        title=one_line(spec.title),
        requirement=signs(spec.requirement),
        digest=plan_digest(spec),
        text=text,
        shown_text=signs(text),
        facts=(
            ("schedule", one_line(schedule_in_words(spec)) or "manual"),
            *({_BUDGET: "no limit"} | dict(_facts(spec))).items(),
        ),
        inputs=tuple(
            (name, f"{given.type}, {_default(given.default)}", one_line(given.description))
            for name, given in spec.inputs.items()
        ),
        tasks=tuple(_row(task, marks.get(task.id, "")) for task in spec.tasks),
        graph=draw_plan(
            spec.tasks, nodes, label=f"The plan's {len(spec.tasks)} tasks and what each waits for"
        ),
        services=tuple(_services(spec, catalogue)) if catalogue else (),
        simulated=spec.provenance is not None and spec.provenance.simulated,
        warnings=tuple(plan_warnings(spec, catalogue.names)) if catalogue else (),
    )


def _marks(changes: PlanChanges | None) -> Mapping[str, Literal["", "added", "changed"]]:
    if changes is None or changes.new:
        return {}
    return {part.name: part.kind for part in changes.tasks if part.kind != "removed"}


def _row(task: TaskSpec, mark: str) -> TaskRow:
    items = task.for_each.items or () if task.for_each else ()
    return TaskRow(
        id=task.id,
        name=one_line(task.name),
        instruction=signs(task.instruction),
        agent=task.agent,
        depends_on=task.depends_on,
        items=items_in_words(task),
        few=tuple(one_line(item) for item in items[:_FEW_ITEMS]),
        # A schema, which takes many lines, after what takes one.
        facts=tuple(sorted(_facts(task), key=lambda fact: "\n" in fact[1])),
        mark=mark,
    )


def items_in_words(task: TaskSpec) -> str:
    """What a mapped task goes through; empty for a task that is done once."""
    source = task.for_each
    if source is None:
        return ""
    if source.items is not None:
        more = len(source.items) - _FEW_ITEMS
        return f"and {more:,} more" if more > 0 else ""
    if source.input is not None:
        return f"each of input {source.input}"
    if source.same_as is not None:
        return f"each item of {source.same_as}"
    return f"each of {source.path or 'the output'} of {source.output_of}"


def _facts(part: TaskSpec | WorkflowSpec) -> list[tuple[str, str]]:
    return [(label, signs(text)) for label, text in facts(part).items()]


def schedule_in_words(spec: WorkflowSpec) -> str:
    """When a workflow runs by itself; empty for one that doesn't."""
    schedule = spec.schedule
    if schedule is None:
        return ""
    if schedule.asset is not None:
        return f"when {schedule.asset} is updated"
    catchup = "; missed runs are caught up" if schedule.catchup else ""
    return f"{schedule.cron or schedule.preset}, {schedule.timezone}{catchup}"


def _default(value: Any) -> str:
    return "required" if value is None else f"default {one_line(pretty(value), 200)}"


def _services(spec: WorkflowSpec, catalogue: Catalogue) -> list[Service]:
    named = {item for task in spec.tasks if task.for_each for item in task.for_each.items or ()}
    for given in spec.inputs.values():
        if isinstance(given.default, list):
            named.update(item for item in given.default if isinstance(item, str))
    return [service for service in catalogue.services if service.name in named]
