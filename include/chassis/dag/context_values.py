"""What a hand-written DAG's task gets from other tasks: which values, under which names, as JSON-safe data.

An XCom can be anything that a task returned. Here it becomes text or JSON for a prompt; nothing in it is rendered.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow.sdk import XComArg
from airflow.sdk.definitions._internal.mixins import ResolveMixin
from airflow.sdk.execution_time.lazy_sequence import LazyXComSequence
from pydantic import BaseModel
from pydantic_core import PydanticSerializationError, to_jsonable_python

from chassis.errors import ContextError

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.definitions.mappedoperator import MappedOperator

    from chassis.work.brief import GivenValue, UpstreamResult

_MAX_DEPTH = 64
_RESULT_KEYS = frozenset({"task", "status", "summary", "output", "usage"})


@dataclass(frozen=True)
class Source:
    """Where a value comes from, recorded before Airflow replaces the reference with the value.

    :ivar key: the value's key or index in the author's argument; None if it is the whole argument
    :ivar task: id of the task whose XCom it is; empty for a value in the DAG's file, or from several tasks
    :ivar argument: the author's name for it; empty if it has none
    """

    key: str | int | None
    task: str = ""
    argument: str = ""


def sources_of(given: Any) -> tuple[Source, ...]:
    """Sources of the author's argument: one, or one for each entry of a list or mapping in the DAG's file."""
    if isinstance(given, Mapping):
        return tuple(Source(key, task_of(value), str(key)) for key, value in given.items())
    if isinstance(given, list | tuple):
        return tuple(Source(index, task_of(value)) for index, value in enumerate(given))
    return (Source(None, task_of(given)),)


def task_of(given: Any) -> str:
    """Id of the one task whose XCom a value comes from; empty if there is none, or more than one."""
    tasks = tasks_in(given)
    return next(iter(tasks)) if len(tasks) == 1 else ""


def tasks_in(given: Any) -> frozenset[str]:
    """Ids of all tasks whose XComs a value in a DAG's file refers to."""
    return frozenset(operator.task_id for operator, _ in XComArg.iter_xcom_references(given))


def resolved(given: Any, context: Context) -> Any:
    """A value of a DAG's file with its XCom references resolved, and nothing rendered."""
    if isinstance(given, ResolveMixin):
        return given.resolve(context)
    if isinstance(given, list | tuple):
        return [resolved(each, context) for each in given]
    if isinstance(given, dict):
        return {name: resolved(each, context) for name, each in given.items()}
    return given


def mapped_argument(mapped: MappedOperator, name: str) -> Any:
    """What the author passed to ``.expand()`` for an argument; None for any other argument."""
    # The decorators' functions expand their own arguments, in another place.
    given: Any = getattr(mapped, "op_kwargs_expand_input", None) or mapped.expand_input
    return given.value.get(name) if isinstance(given.value, Mapping) else None


def of_this_run(given: Any, context: Context) -> Any:
    """The values of all instances of a mapped task, read at once; any other value unchanged.

    If a clear shortens a list, Airflow keeps the results of instances that the run no longer has. These are left out.
    """
    if not isinstance(given, LazyXComSequence):
        return given
    values = given[:]
    ti, source = context["ti"], given._xcom_arg
    if not context["dag_run"].clear_number:
        return values
    task_id = source.operator.task_id
    states = ti.get_task_states(ti.dag_id, task_ids=[task_id], run_ids=[ti.run_id]).get(ti.run_id, {})
    instances = {int(name.rpartition("_")[2]): state for name, state in states.items() if name != task_id}
    if "removed" not in instances.values():
        return values
    there = sorted(index for index, state in instances.items() if state != "removed")
    left = ti.xcom_pull(task_ids=task_id, key=source.key, map_indexes=there)
    return [value for value in left if value is not None]


def read_given(given: Any, sources: Iterable[Source], context: Context) -> list[UpstreamResult | GivenValue]:
    """What a task is told of the values from its author, in order; None counts as no value.

    :param given: the argument after Airflow has resolved its XComs
    :raises ContextError: a prompt can't hold a value
    """
    found: list[UpstreamResult | GivenValue] = []
    for source in sources:
        value = of_this_run(given if source.key is None else given[source.key], context)
        try:
            found += _told(plain(value), source)
        except (TypeError, ValueError, PydanticSerializationError) as error:
            where = f"What task '{source.task}' returned" if source.task else "The context"
            raise ContextError(f"{where} can't be put into a prompt: {error}.") from None
    return found


def _told(data: Any, source: Source) -> list[UpstreamResult | GivenValue]:
    from chassis.work.brief import GivenValue, UpstreamResult

    if data is None:
        return []
    results = data if isinstance(data, list) else [data]
    if results and all(isinstance(each, dict) and each.keys() >= _RESULT_KEYS for each in results):
        return [UpstreamResult.of(each | {"task": source.task} if source.task else each) for each in results]
    return [GivenValue(task=source.task or None, argument=source.argument or None, value=data)]


def plain(value: Any, depth: int = 0) -> Any:
    """A value as JSON data, always the same for the same value: sets are sorted, objects become their fields.

    :raises TypeError: JSON can't hold the value, or something in it
    :raises ValueError: it is nested too deeply
    """
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if depth >= _MAX_DEPTH:
        raise ValueError(f"it is more than {_MAX_DEPTH} levels deep")
    if isinstance(value, BaseModel):
        return plain(value.model_dump(), depth + 1)
    if isinstance(value, Mapping):
        return {str(key): plain(part, depth + 1) for key, part in value.items()}
    if isinstance(value, Set):
        return sorted((plain(part, depth + 1) for part in value), key=json.dumps)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return [plain(part, depth + 1) for part in value]
    # After sequences: the sequence of a mapped task's XComs has fields, too.
    fields = () if isinstance(value, type) else getattr(value, "__attrs_attrs__", ())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
    if fields:
        return {each.name: plain(getattr(value, each.name), depth + 1) for each in fields}
    return to_jsonable_python(value, fallback=_refuse)


def _refuse(value: Any) -> Any:
    raise TypeError(f"it has a {type(value).__qualname__} in it")
