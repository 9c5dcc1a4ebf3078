"""A task of a run as its page shows it: its result, its conversation try by try, and its amendments."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from chassis.contract.xcoms import TaskResult
from chassis.text import signs
from chassis.ui.change_view import FieldView, view_fields
from chassis.ui.json_view import cut, pretty
from chassis.ui.markdown import to_html
from chassis.ui.prompt_parts import Part, answer_parts, message_parts, system_parts
from chassis.workflow.plan_changes import FieldChange

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from markupsafe import Markup

    from chassis.records.amendments import Amendment
    from chassis.records.transcripts import TryTranscript, Turn
    from chassis.workflow import TaskSpec, WorkflowSpec


@dataclass(frozen=True)
class ResultView:
    """A task's result.

    :ivar html: a result in Markdown, sanitised; None for any other
    :ivar text: the result as it was written, in signs
    :ivar facts: the result's other fields; None for a value that isn't a task's result
    """

    html: Markup | None
    text: str
    facts: TaskResult | None


@dataclass(frozen=True)
class TurnView:
    """One call of a try.

    :ivar sent: what the call told Claude that earlier calls hadn't
    :ivar said: Claude's answer
    """

    turn: Turn
    sent: tuple[tuple[str, tuple[Part, ...]], ...]
    said: tuple[Part, ...]


@dataclass(frozen=True)
class AmendmentView:
    """A person's change, with what it replaced.

    :ivar places: on the page of the run's plan, the items that it is for, each with its map index, or None if the run
        no longer has the item; none for a task without items
    """

    amendment: Amendment
    fields: tuple[FieldView, ...]
    places: tuple[tuple[str, int | None], ...] = ()


@dataclass(frozen=True)
class InputField:
    """The form's field for one input.

    :ivar text: its current value, as one types it
    """

    name: str
    kind: str
    description: str
    text: str


def view_result(value: Any) -> ResultView | None:
    """A task's XCom as a result; None if there is none."""
    if value is None:
        return None
    try:
        result = TaskResult.model_validate(value)
    except ValidationError:
        return ResultView(None, pretty(value), None)
    if isinstance(result.output, str):
        return ResultView(to_html(result.output), cut(signs(result.output)), result)
    return ResultView(None, pretty(result.output), result)


def view_turns(transcript: TryTranscript | None) -> list[TurnView]:
    """The calls of a try, each with what was new in it."""
    return [_turn(turn) for turn in transcript.turns] if transcript else []


def _turn(turn: Turn) -> TurnView:
    sent: list[tuple[str, tuple[Part, ...]]] = []
    if turn.system:
        sent.append(("System prompt", tuple(system_parts(turn.system))))
    for message in turn.messages:
        who = "Chassis" if message.get("role") == "user" else "Claude (earlier)"
        sent.append((who, tuple(message_parts(message))))
    if turn.answer_schema is not None:
        sent.append(("Answer format", (Part("JSON schema", pretty(turn.answer_schema), data=False),)))
    return TurnView(turn, tuple(sent), tuple(answer_parts(turn.answer)))


def view_amendments(
    amendments: Sequence[Amendment], task: TaskSpec | None, inputs: Mapping[str, Any]
) -> list[AmendmentView]:
    """The amendments of one task or item, oldest first, each with what applied before it.

    :param inputs: the run's values by name, before any amendment
    """
    return list(_amendments(amendments, task.instruction if task else None, dict(inputs)))


def _amendments(
    amendments: Sequence[Amendment], instruction: str | None, inputs: dict[str, Any]
) -> Iterator[AmendmentView]:
    for each in amendments:
        changes = []
        if each.instruction is not None:
            changes.append(FieldChange(field="instruction", before=instruction, after=each.instruction))
        changes += [
            FieldChange(field=f"input {name}", before=inputs.get(name), after=value)
            for name, value in each.inputs.items()
        ]
        yield AmendmentView(each, view_fields(changes))
        if not each.withdrawn:
            instruction = instruction if each.instruction is None else each.instruction
            inputs |= each.inputs


def input_fields(spec: WorkflowSpec, values: Mapping[str, Any]) -> list[InputField]:
    """One field for each input of the plan, with its value in this run."""
    return [
        InputField(name, given.type, given.description, _as_written(values.get(name), given.type))
        for name, given in spec.inputs.items()
    ]


def _as_written(value: Any, kind: str) -> str:
    """A value as a person types it into the form: a list has an entry on each line."""
    if value is None:
        return ""
    if kind == "array" and isinstance(value, list):
        return "\n".join(map(str, value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
