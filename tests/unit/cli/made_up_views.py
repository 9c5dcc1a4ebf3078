"""Views of runs as the plugin gives them, for tests of what the command line makes of them."""

from __future__ import annotations

from typing import Any

from chassis.cli.report import Report, Row
from chassis.contract.run_view import InstanceView, PlanningView, RunView, TaskView
from chassis.contract.spending import Spending, Totals
from chassis.contract.usage import Usage
from chassis.contract.xcoms import TaskResult
from tests.unit.cli.made_up_runs import spending

USAGE = Usage(input_tokens=1000, output_tokens=50, cache_read_tokens=200, cache_write_tokens=30, calls=2)


def row(
    task_id: str,
    state: str | None = "success",
    item: str | None = None,
    index: int = -1,
    *,
    name: str = "",
    depends_on: tuple[str, ...] = (),
    **facts: Any,
) -> Row:
    """A line of a run; ``facts`` go into its instance, or say which ``kind`` of task it is."""
    kind = facts.pop("kind", "planned")
    task = TaskView(id=task_id, name=name or task_id, kind=kind, depends_on=depends_on)
    return Row(task, InstanceView(map_index=index, item=item, state=state, **facts))


def report(*rows: Row, state: str = "success", **view: Any) -> Report:
    """A run of these tasks; those of one id are one task's items."""
    tasks: dict[str, TaskView] = {}
    for each in rows:
        before = tasks.get(each.task.id, each.task)
        instances = (*before.instances, each.at)
        tasks[each.task.id] = before.model_copy(update={"instances": instances, "mapped": len(instances) > 1})
    view = {"workflow_id": "onboard", "run_id": "r1", "title": "Onboard", "revision": 1, **view}
    return Report(RunView(state=state, active=state == "running", tasks=tuple(tasks.values()), **view))


def result(output: Any = "8", summary: str = "Done.", **more: Any) -> TaskResult:
    facts = {"task": "add", "usage": USAGE, "cost_usd": 0.0123, "model": "claude", "request_ids": ("r-1",)}
    return TaskResult(**{"summary": summary, "output": output, **facts, **more})


def done(output: Any = "8", summary: str = "Done.", **more: Any) -> Row:
    """A task with a result that cost 1.23 cents."""
    spent = Totals(calls=2, usage=USAGE, cost_usd=0.0123)
    return row("add", name="Add", result=result(output, summary), spent=spent, **more)


def spent(task_usd: float, run_usd: float, **facts: Any) -> Spending:
    """What a task left as ``spending``."""
    return Spending.model_validate(spending(task_usd, run_usd, **facts))


def planning(
    usd: float | None = 0.02, *, whole: Spending | None = None, simulated: bool = False
) -> PlanningView:
    """A planner's run of one call of 15 tokens, and what all of the planning spent."""
    usage = Usage(input_tokens=10, output_tokens=5, calls=1)
    return PlanningView(
        dag_id="plan_workflow", run_id="p1", usage=usage, cost_usd=usd, spending=whole, simulated=simulated
    )
