"""The operator by which Claude does a task in a DAG that somebody writes.

Invariants that must not be relaxed:

- What comes from an XCom, a person's input or a plan is never rendered as a template. In a DAG's file, the author's own
  texts may be templates: that file is code.
- Each instance of a mapped task has a name of its own, under which its spending, kept answers and transcript stand.
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
"""Keys of XComs that a field of the output doesn't get."""


class ClaudeTaskOperator(ClaudeOperator):
    """A task for Claude in a DAG of your own.

    Claude is given the instruction, the inputs and, as data, the return values of the tasks directly upstream. The
    result is the task's XCom: a dict with ``summary``, ``output`` and what it cost (a ``TaskResult``).
    ``summary``, ``output`` and the fields that ``output_schema`` names are XComs of their own, too.

    :param instruction: what to do, complete on its own; may be a template. ``{name}`` of an input and ``{item}`` are
        replaced in a run
    :param agent: name of the agent definition that does it
    :param output_schema: what the output looks like: a JSON schema or a pydantic model; None: Markdown
    :param inputs: values by name, or names of the run's params
    :param context: data for Claude in place of the upstream tasks' return values: an XCom or any other value, or a list
        or dict of them. None: the upstream tasks' return values; an empty list: nothing
    :param item: what a mapped task is for, as a rule given by ``.expand(item=...)``
    :param model: Bedrock model id; None takes the agent's, or else the connection's
    :param effort: how hard Claude tries: low, medium, high, xhigh or max; None as for the model
    :param thinking: whether it thinks before it answers: adaptive or disabled; None as for the model
    :param requirement: what the whole DAG is for; Claude is told it as the purpose of the task
    :param limits: what a run of the DAG, and each task of it, may spend; give all tasks the same by ``default_args``
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
        # Noted now: in a run, Airflow puts values in the place of the XComs.
        self._sources = None if context is None else sources_of(context)
        self._used = tasks_in((instruction, inputs, context, item))
        self._differ: Collection[str] = ()

    @classmethod
    def partial(cls, **kwargs: Any) -> OperatorPartial:
        """The arguments that all instances of a mapped task share; wrong ones are refused now, not in a run.

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
        """What the instances of a mapped task differ in; empty when nobody says."""
        return "" if self.item is None else self.label_of(self.item)

    @staticmethod
    def label_of(value: Any) -> str:
        """A value as a line that Airflow has room for."""
        return one_line(_text(value), _LONGEST_LABEL)

    def _do_render_template_fields(
        self,
        parent: Any,
        template_fields: Iterable[str],
        context: Context,
        jinja_env: jinja2.Environment,
        seen_oids: set[int],
    ) -> None:
        """Render what the author wrote. What a mapped task is expanded over stays what it is: Airflow itself renders
        what another task returned for ``expand_kwargs``.
        """
        if (mapped := self._mapped()) is not None:
            # Noted now: afterwards, no value is the one that the author gave.
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
        # In a mapped group of tasks, nobody knows what of an argument is the instance's own.
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
        """What other tasks gave, or what the author gives in their place: for all instances, and for this one alone."""
        found: list[Given] = []
        if self._sources is not None:
            found = read_given(self.context, self._named("context", self._sources), context)
        else:
            for task_id in self._upstream():
                value = XComArg(self.dag.get_task(task_id)).resolve(context)
                found += read_given(value, [Source(None, task_id)], context)
        return ([], found) if "context" in self._differ else (found, [])

    def _upstream(self) -> list[str]:
        """The tasks directly upstream, in the file's order, but for those whose values are arguments."""
        mapped = self._mapped()
        used = self._used | {each.task_id for each in (mapped.iter_mapped_dependencies() if mapped else ())}
        return [each for each in self.dag.task_dict if each in self.upstream_task_ids - used]

    def _named(self, argument: str, sources: Sequence[Source]) -> Sequence[Source]:
        """The sources of a mapped argument, whose value was there before this instance was."""
        mapped = self._mapped()
        given = mapped_argument(mapped, argument) if mapped else None
        return sources if given is None else [Source(None, task_of(given))]

    def _mapped(self) -> MappedOperator | None:
        """What this instance is an instance of; None when it isn't mapped by ``.expand()``."""
        task: Any = self.dag.task_dict.get(self.task_id)
        return task if task is not None and task.is_mapped else None

    def _keys(self) -> tuple[str, ...]:
        """The XComs besides the result: its parts, and the fields that the schema names."""
        fields = (self.output_schema or {}).get("properties") or {}
        return "summary", "output", *(name for name in fields if name not in _TAKEN)


def _text(item: Any) -> str:
    """An item as text: what isn't text already, as JSON."""
    return item if isinstance(item, str) else json.dumps(plain(item), ensure_ascii=False)
