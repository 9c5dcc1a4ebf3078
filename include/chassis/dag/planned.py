"""The operators of a DAG that the factory builds: one task of a plan, and the stand-in for a plan that can't be built.

Invariants that must not be relaxed:

- What comes from an XCom, a person's input or a plan is never rendered as a template.
- A task gets the results of its declared dependencies and no others.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from chassis.dag.claude_operator import ClaudeOperator
from chassis.dag.deferred_call import PlanCall, TaskCall
from chassis.dag.fan_out import check_places, read_results
from chassis.errors import ChassisError
from chassis.workflow import Limits, TaskSpec

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from airflow.sdk import Context

    from chassis.dag.fan_out import Dependency
    from chassis.records.amendments import Amended
    from chassis.settings import Settings
    from chassis.workflow import ItemSource


class PlannedTaskOperator(ClaudeOperator):
    """Does one task of a plan, or one item of it.

    Nothing that a person or a model wrote is a template field, except ``item``: Airflow resolves a mapped argument
    only for template fields. It doesn't render a resolved item again, so an item named ``{{ 1 }}`` stays that text (a
    test in ``tests/system`` checks it).

    :param inputs: names of the plan's inputs; their values are the run's params
    :param dependencies: the declared dependencies, whose results alone the prompt holds
    :param limits: what a run, and each of its tasks, may spend
    :param items: where a mapped task gets its items; None: nobody checks that they are still the same
    :param item_inputs: names of the inputs that fan-outs of the plan go through
    :param others: whether other tasks of the plan have the same agent, model and answer schema
    """

    template_fields: Collection[str] = ("item",)

    def __init__(
        self,
        *,
        spec: TaskSpec,
        requirement: str,
        inputs: Sequence[str] = (),
        dependencies: Sequence[Dependency] = (),
        limits: Limits | None = None,
        item: str | None = None,
        items: ItemSource | None = None,
        item_inputs: Sequence[str] = (),
        others: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(task_id=spec.id, **kwargs)
        self.spec = spec
        self.requirement = requirement
        self.inputs = tuple(inputs)
        self.dependencies = tuple(dependencies)
        self.limits = limits or Limits()
        self.item = item
        self.items = items
        self.item_inputs = tuple(item_inputs)
        self.others = others

    def prepare(self, context: Context, settings: Settings) -> TaskCall:
        from chassis.work.brief import Sharing, TaskBrief

        if self.items is not None and context["dag_run"].clear_number:
            check_places(context["ti"], self.items)
        results = read_results(context["ti"], self.dependencies, self.item)
        amended, params = self._amended(context, settings), context["params"]
        task = self.spec
        if amended.instruction is not None:
            task = task.model_copy(update={"instruction": amended.instruction})
        of_item = {each.task_id for each in self.dependencies if each.instances == "same"}
        brief = TaskBrief.of(
            task,
            settings,
            requirement=self.requirement,
            # The run may have moved on to a plan that no longer has an amended input.
            inputs={name: amended.inputs.get(name, params[name]) for name in self.inputs},
            item=self.item,
            results=results,
            item_inputs=self.item_inputs,
            sharing=Sharing(
                wave=self.items is not None and self.items.several,
                own=[result for result in results if result.task in of_item],
                others=self.others,
            ),
        )
        return TaskCall(
            conn_id=settings.conn_id,
            request=brief.request(),
            accounts=self.account(context, settings, limits=self.limits, item=self.item),
            output_schema=self.spec.output_schema,
            repairs=settings.repair_attempts,
            fingerprint=brief.fingerprint(),
            amendment=amended.numbers[-1] if amended.numbers else None,
        )

    def _amended(self, context: Context, settings: Settings) -> Amended:
        """The person's amendment of this task in this run.

        :raises ChassisError: it can't be read, so the task must not run
        """
        from chassis.records.amendments import Amended
        from chassis.records.run_records import RunRecords

        if not context["dag_run"].clear_number:
            # An amended task was cleared. Most runs can skip the lookup, which takes a second on S3.
            return Amended()
        ti = context["ti"]
        amended = RunRecords.open(settings, ti.dag_id, ti.run_id).amendments.of(ti.task_id, self.item)
        for number in amended.numbers:
            self.log.info("By amendment %d of this run.", number)
        return amended

    def reused(
        self, context: Context, settings: Settings, call: TaskCall | PlanCall
    ) -> dict[str, Any] | None:
        """The result of the run that this one continues, if the task has the same fingerprint there."""
        from chassis.dag.reuse_results import reused_result

        assert isinstance(call, TaskCall), "prepare makes one"
        return reused_result(context, settings, call)


class PlanErrorOperator(BaseOperator):
    """The one task of a workflow whose plan can't be built: it fails with the reason."""

    ui_color = "#f5c6c6"

    def __init__(self, *, reason: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.reason = reason

    def execute(self, context: Context) -> None:
        raise ChassisError(self.reason)


def timeout_of(spec: TaskSpec, settings: Settings) -> timedelta:
    """How long one try of the task may take."""
    return timedelta(minutes=spec.timeout_minutes or settings.task_timeout_minutes)
