"""``@task.claude``: a function's return value is the instruction, and its arguments are data for Claude."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk.bases.decorator import DecoratedOperator, determine_kwargs, task_decorator_factory
from airflow.sdk.definitions._internal.expandinput import MappedArgument
from airflow.sdk.definitions._internal.types import SET_DURING_EXECUTION
from airflow.sdk.definitions.context import context_merge

from chassis.dag.context_values import Source, of_this_run, read_given, resolved, task_of, tasks_in
from chassis.dag.operators import LABEL, ClaudeTaskOperator
from chassis.dag.task_arguments import check_arguments

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    import jinja2
    from airflow.sdk import Context
    from airflow.sdk.bases.decorator import TaskDecorator

    from chassis.dag.operators import Given


class DecoratedClaudeOperator(DecoratedOperator, ClaudeTaskOperator):
    """A task for Claude whose instruction a function returns, in a worker, when the task runs.

    The returned instruction is never rendered: the arguments may hold anything that another task returned.
    """

    template_fields: Sequence[str] = (*DecoratedOperator.template_fields, "inputs", "context", "item")
    template_fields_renderers: ClassVar[dict[str, str]] = {**DecoratedOperator.template_fields_renderers}
    custom_operator_name: str = "@task.claude"

    def __init__(
        self,
        *,
        python_callable: Callable[..., str],
        op_args: Collection[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            python_callable=python_callable,
            op_args=op_args,
            op_kwargs=op_kwargs,
            instruction=SET_DURING_EXECUTION,
            **kwargs,
        )
        arguments = self._arguments()
        self._used |= tasks_in(list(arguments.values()))
        self._argument_sources = tuple(Source(name, task_of(each), name) for name, each in arguments.items())
        self._differing_arguments: frozenset[str] = frozenset()
        self._mapped_names = [name for name, each in arguments.items() if isinstance(each, MappedArgument)]

    def _label(self) -> str:
        return super()._label() or ", ".join(
            self.label_of(value) for name, value in self._arguments().items() if name in self._differing()
        )

    def _do_render_template_fields(
        self,
        parent: Any,
        template_fields: Iterable[str],
        context: Context,
        jinja_env: jinja2.Environment,
        seen_oids: set[int],
    ) -> None:
        self._differing_arguments = frozenset(self._differing())
        expanded = {name: self.op_kwargs[name] for name in self._differing() if name in self.op_kwargs}
        self.op_kwargs = {name: value for name, value in self.op_kwargs.items() if name not in expanded}
        super()._do_render_template_fields(parent, template_fields, context, jinja_env, seen_oids)
        self.op_kwargs = {**self.op_kwargs, **resolved(expanded, context)}

    def execute(self, context: Context) -> Any:
        self.op_args = [of_this_run(value, context) for value in self.op_args]
        self.op_kwargs = {name: of_this_run(value, context) for name, value in self.op_kwargs.items()}
        context_merge(context, self.op_kwargs)
        kwargs = determine_kwargs(self.python_callable, self.op_args, context)
        self.instruction = self.python_callable(*self.op_args, **kwargs)
        return super().execute(context)

    def _given(self, context: Context) -> tuple[list[Given], list[Given]]:
        shared, own = super()._given(context)
        if self._sources is not None:
            return shared, own
        arguments = self._arguments()

        def read(*, mine: bool) -> list[Given]:
            sources = [
                Source(each.key, self._named(str(each.key), [each])[0].task, each.argument)
                for each in self._argument_sources
                if (each.key in self._differing_arguments) is mine
            ]
            return read_given(arguments, sources, context)

        return [*read(mine=False), *shared], [*read(mine=True), *own]

    def _arguments(self) -> dict[str, Any]:
        bound = inspect.signature(self.python_callable).bind_partial(*self.op_args, **self.op_kwargs)
        found: dict[str, Any] = {}
        for name, value in bound.arguments.items():
            if bound.signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD:
                found |= value
            else:
                found[name] = value
        return found

    def _differing(self) -> Collection[str]:
        mapped = self._mapped()
        if mapped is None:
            return self._mapped_names
        shared = mapped.partial_kwargs["op_kwargs"]
        return [name for name, value in self.op_kwargs.items() if shared.get(name) is not value]


def claude_task(python_callable: Callable[..., str] | None = None, **kwargs: Any) -> TaskDecorator:
    """``@task.claude``: the function returns the instruction; its arguments, any XComs among them, are data for Claude.

    :param kwargs: those of ``ClaudeTaskOperator``, except ``instruction``, and any of an Airflow task
    :raises PlanError: lists what is wrong with the arguments
    """
    name = str(kwargs.get("task_id") or getattr(python_callable, "__name__", "@task.claude"))
    check_arguments(name, {each: kwargs[each] for each in kwargs if each != "inputs"}, mapped=True)
    # Airflow doesn't ask a mapped function's operator for its own defaults.
    kwargs.setdefault("map_index_template", LABEL)
    return task_decorator_factory(
        python_callable=python_callable, decorated_operator_class=DecoratedClaudeOperator, **kwargs
    )
