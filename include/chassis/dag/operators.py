"""The operator that has Claude do a task in a hand-written DAG.

Invariants that must not be relaxed:

- What comes from an XCom, a person's input or a plan is never rendered as a template. In a DAG's file, the author's own
  texts may be templates: that file is code.
- Each instance of a mapped task has its own name, which identifies its spending, kept answers and transcript.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk import XComArg

from chassis.contract.names import CARD, ERROR, SPENDING
from chassis.dag.claude_operator import ClaudeOperator
from chassis.dag.context_values import (
    Source,
    mapped_argument,
    plain,
    read_given,
    resolved,
    sources_of,
    task_of,
    tasks_in,
)
from chassis.dag.deferred_call import TaskCall
from chassis.dag.task_arguments import check_arguments, check_instruction, schema_of
from chassis.text import one_line
from chassis.workflow import Limits, TaskSpec

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    import jinja2
    from airflow.sdk import Context
    from airflow.sdk.definitions.mappedoperator import MappedOperator, OperatorPartial
    from pydantic import BaseModel

    from chassis.settings import Settings
    from chassis.work.brief import GivenValue, UpstreamResult
    from chassis.workflow.spec import Effort, Thinking

    Given = UpstreamResult | GivenValue


LABEL = "{{ task.instance_name(ti.map_index) }}"
"""Names a mapped instance in Airflow by its item."""

_LONGEST_LABEL = 200
_TAKEN = frozenset({"summary", "output", "return_value", CARD, ERROR, SPENDING})
"""XCom keys that no field of the output may take."""


class ClaudeTaskOperator(ClaudeOperator):
    """A task for Claude in a DAG of your own.

    Claude gets the instruction, the inputs and, as data, the return values of the tasks directly upstream. The result
    is the task's XCom: a dict with ``summary``, ``output`` and the cost (a ``TaskResult``). ``summary``, ``output``
    and the fields that ``output_schema`` names are also separate XComs.

    :param instruction: what to do, complete on its own; may be a template. A run replaces ``{item}`` and the
        ``{name}`` of each input
    :param agent: name of the agent definition to use
    :param output_schema: format of the output: a JSON schema or a pydantic model; None: Markdown
    :param inputs: values by name, or names of the run's params
    :param context: data for Claude instead of the upstream tasks' return values: an XCom or any other value, or a
        list or dict of them. None: the upstream tasks' return values; an empty list: nothing
    :param item: what one instance of a mapped task is for, usually given by ``.expand(item=...)``
    :param model: Bedrock model id; None uses the agent's, or else the connection's
    :param effort: how hard Claude tries: low, medium, high, xhigh or max; None as for the model
    :param thinking: whether Claude thinks before it answers: adaptive or disabled; None as for the model
    :param requirement: purpose of the whole DAG, which Claude gets as the purpose of the task
    :param limits: what a run of the DAG, and each of its tasks, may spend; set the same for all tasks in
        ``default_args``
    :raises PlanError: lists what is wrong with the arguments
    """

    template_fields: Collection[str] = ("instruction", "inputs", "context", "item")

    def __init__(
        self,
        *,
        instruction: str | XComArg,
        agent: str = "task-executor",
        output_schema: dict[str, Any] | type[BaseModel] | None = None,
        inputs: Mapping[str, Any] | Sequence[str] | XComArg = (),
        context: Any = None,
        item: Any = None,
        model: str | None = None,
        effort: Effort | None = None,
        thinking: Thinking | None = None,
        requirement: str = "",
        limits: Limits | None = None,
        map_index_template: str | None = LABEL,
        **kwargs: Any,
    ) -> None:
        given = {
            "instruction": instruction,
            "agent": agent,
            "output_schema": output_schema,
            "inputs": inputs,
            "item": item,
            "model": model,
            "effort": effort,
            "thinking": thinking,
            "limits": limits,
        }
        from_mapped = getattr(self, "_BaseOperator__from_mapped", False)
        if from_mapped:
            # It may come from another task, which is free to write braces.
            del given["instruction"]
        check_arguments(str(kwargs.get("task_id", "")), given, params=tuple(kwargs.get("params") or ()))
        super().__init__(map_index_template=map_index_template, **kwargs)
        if not from_mapped and self.get_closest_mapped_task_group() is None:
            self.map_index_template = None
        self.instruction = instruction
        self.agent = agent
        self.output_schema: dict[str, Any] | None = schema_of(output_schema)
        self.inputs = inputs
        self.context = context
        self.item = item
        self.model = model
        self.effort = effort
        self.thinking = thinking
        self.requirement = requirement
        self.limits = Limits.model_validate(limits or {})
        # Recorded now: at run time, Airflow replaces the XComs with values.
        self._sources = None if context is None else sources_of(context)
        self._used = tasks_in((instruction, inputs, context, item))
        self._differ: Collection[str] = ()

    @classmethod
    def partial(cls, **kwargs: Any) -> OperatorPartial:
        """Set the arguments that all instances of a mapped task share. Checks them now, not at run time.

        :raises PlanError: lists what is wrong with the arguments
        """
        made: OperatorPartial = super().partial(**kwargs)
        dag = made.kwargs["dag"]
        given = {**(dag.default_args if dag else {}), **kwargs}
        check_arguments(str(kwargs["task_id"]), given, params=tuple(made.params), mapped=True)
        return made

    def instance_name(self, map_index: int) -> str:
        """The name of a mapped instance: its item, or else its number."""
        return self._label() or str(map_index)

    def _label(self) -> str:
        return "" if self.item is None else self.label_of(self.item)

    @staticmethod
    def label_of(value: Any) -> str:
        """A value as one line that fits Airflow's field."""
        return one_line(_text(value), _LONGEST_LABEL)

    def _do_render_template_fields(
        self,
        parent: Any,
        template_fields: Iterable[str],
        context: Context,
        jinja_env: jinja2.Environment,
        seen_oids: set[int],
    ) -> None:
        """Render what the author wrote, but not what a mapped task is expanded over.

        Airflow itself would render what another task returned for ``expand_kwargs``.
        """
        if (mapped := self._mapped()) is not None:
            # Recorded now: afterwards, no value is the one that the author gave.
            fields, shared = ClaudeTaskOperator.template_fields, mapped.partial_kwargs
            self._differ = [name for name in fields if getattr(self, name) is not shared.get(name)]
        own = [name for name in template_fields if name not in self._differ]
        super()._do_render_template_fields(parent, own, context, jinja_env, seen_oids)
        for name in self._differ:
            setattr(self, name, resolved(getattr(self, name), context))

    def prepare(self, context: Context, settings: Settings) -> TaskCall:
        from chassis.work.brief import Sharing, TaskBrief, UpstreamResult

        check_instruction(self.task_id, self.instruction)
        shared, own = self._given(context)
        given = [*shared, *own]
        # In a mapped task group, nobody knows which part of an argument is the instance's own.
        same_inputs = not self.inputs or "inputs" not in self._differ
        task = TaskSpec.model_construct(
            id=self.task_id,
            name=self.task_id,
            instruction=str(self.instruction),
            agent=self.agent,
            output_schema=self.output_schema,
            model=self.model,
            effort=self.effort,
            thinking=self.thinking,
        )
        brief = TaskBrief.of(
            task,
            settings,
            requirement=self.requirement,
            inputs=self._inputs(context),
            item=None if self.item is None else _text(self.item),
            results=[each for each in given if isinstance(each, UpstreamResult)],
            given=[each for each in given if not isinstance(each, UpstreamResult)],
            sharing=Sharing(wave=self._mapped() is not None and same_inputs, own=own),
        )
        ti: Any = context["ti"]
        name = getattr(ti, "rendered_map_index", None) or self.instance_name(ti.map_index)
        return TaskCall(
            conn_id=settings.conn_id,
            request=brief.request(),
            accounts=self.account(
                context,
                settings,
                limits=self.limits,
                item=None if ti.map_index < 0 else name,
                in_dag_file=True,
            ),
            output_schema=self.output_schema,
            repairs=settings.repair_attempts,
            keys=self._keys() if self.do_xcom_push else (),
        )

    def ends_in_worker(self) -> bool:
        """Whether Airflow does something with the result that it doesn't do when a task ends in the triggerer."""
        return bool(
            self.outlets
            or self.on_success_callback
            or self._post_execute_hook
            or not self.do_xcom_push
            or next(self.iter_mapped_dependants(), None)
        )

    def _inputs(self, context: Context) -> dict[str, Any]:
        if isinstance(self.inputs, Mapping):
            return {str(name): plain(value) for name, value in self.inputs.items()}
        params: Mapping[str, Any] = context["params"]
        names: Any = self.inputs
        return {str(name): plain(params[str(name)]) for name in names}

    def _given(self, context: Context) -> tuple[list[Given], list[Given]]:
        """What other tasks returned, or the author's values instead: for all instances, and for this one alone."""
        found: list[Given] = []
        if self._sources is not None:
            found = read_given(self.context, self._named("context", self._sources), context)
        else:
            for task_id in self._upstream():
                value = XComArg(self.dag.get_task(task_id)).resolve(context)
                found += read_given(value, [Source(None, task_id)], context)
        return ([], found) if "context" in self._differ else (found, [])

    def _upstream(self) -> list[str]:
        """The tasks directly upstream, in the file's order, except those whose values are arguments."""
        mapped = self._mapped()
        used = self._used | {each.task_id for each in (mapped.iter_mapped_dependencies() if mapped else ())}
        return [each for each in self.dag.task_dict if each in self.upstream_task_ids - used]

    def _named(self, argument: str, sources: Sequence[Source]) -> Sequence[Source]:
        """The sources of a mapped argument, whose value existed before this instance did."""
        mapped = self._mapped()
        given = mapped_argument(mapped, argument) if mapped else None
        return sources if given is None else [Source(None, task_of(given))]

    def _mapped(self) -> MappedOperator | None:
        """The mapped operator of this instance; None if it isn't mapped by ``.expand()``."""
        task: Any = self.dag.task_dict.get(self.task_id)
        return task if task is not None and task.is_mapped else None

    def _keys(self) -> tuple[str, ...]:
        """XComs besides the result: its parts, and the fields that the schema names."""
        fields = (self.output_schema or {}).get("properties") or {}
        return "summary", "output", *(name for name in fields if name not in _TAKEN)


def _text(item: Any) -> str:
    return item if isinstance(item, str) else json.dumps(plain(item), ensure_ascii=False)
