"""One task of a plan: what Claude is asked, and what its answer becomes.

:func:`build_request` runs in a worker and imports no Claude SDK; :func:`execute_request` runs where the
call is made, usually in the triggerer.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from chassis.claude.answer_schema import embedded, value_faults
from chassis.claude.connection_options import NO_OPTIONS, ClaudeOptions
from chassis.claude.conversation import converse
from chassis.claude.models import facts_of
from chassis.claude.request import ClaudeRequest, Message, marked
from chassis.claude.thinking import asked_for
from chassis.claude.usage import Usage, cost_usd
from chassis.errors import TaskBlockedError
from chassis.prompts import DATA_RULES, as_data, data_message, json_text, run_message, task_message
from chassis.text import one_line
from chassis.workflow import render_instruction

COMPLETED, BLOCKED = "completed", "blocked"
_FINGERPRINT_FORM = 1
"""To be raised when the same task gets to be told something else by Chassis itself."""
_LONGEST_ITEM = 200
"""Characters of an item in a message; in a plan no item is longer."""
_LONGEST_REASON = 2_000
"""Characters of Claude's reason for not doing a task; it becomes an error's message, on one line."""

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from chassis.agents import AgentDefinition
    from chassis.catalogue import Service
    from chassis.claude.reply import Ask
    from chassis.prompts import Data
    from chassis.settings import Settings
    from chassis.workflow import TaskSpec


class TaskResult(BaseModel):
    """What a task gave: its XCom."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: str = Field(description="Id of the task.")
    item: str | None = Field(None, description="Item of a mapped task.")
    status: Literal["completed"] = "completed"
    summary: str = Field(description="The result in a sentence or two.")
    output: Any = Field(description="Markdown, or JSON by the task's output_schema.")
    usage: Usage
    cost_usd: float | None = Field(
        None, description="List price of the usage; None when the model's price isn't known."
    )
    model: str = Field(description="The model that answered, by its own name for itself.")
    request_ids: tuple[str, ...]
    simulated: bool = Field(False, description="Whether the simulator answered instead of Claude.")
    fingerprint: str = Field(
        "", description="Digest of all that the task was told; the same one means the same work."
    )
    carried_from: str = Field(
        "", description="Run whose result this is: the task was told the same there. Empty: it was done here."
    )
    amendment: int | None = Field(
        None,
        description="Number of the run's last amendment that the task went by; None: it went by the plan.",
    )


class UpstreamResult(BaseModel):
    """The part of a dependency's result that a task gets to see."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    task: str
    item: str | None = None
    status: str = "completed"
    summary: str = ""
    output: Any = None

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> UpstreamResult:
        """From the XCom of the dependency (``TaskResult`` as JSON)."""
        return cls.model_validate(dict(value))


class GivenValue(BaseModel):
    """A value that a task of a hand-written DAG gets to see, besides results of Claude."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: str | None = Field(
        None, description="Id of the task that it comes from; None: from the DAG's file."
    )
    argument: str | None = Field(None, description="Name that the DAG's author gave it; None for none.")
    value: Any = Field(description="Text, or JSON-safe data.")


@dataclass(frozen=True)
class Sharing:
    """Which other calls begin as a task's call does, so that keeping the beginning in the prompt cache pays.

    :ivar wave: the task is done for several items, whose calls come at about the same time
    :ivar own: those of its results and given values that are this item's alone
    :ivar others: other tasks of the run begin alike: they have the same agent, model and answer schema
    """

    wave: bool = False
    own: Sequence[UpstreamResult | GivenValue] = ()
    others: bool = False


def build_request(
    *,
    agent: AgentDefinition,
    requirement: str,
    inputs: Mapping[str, Any],
    task: TaskSpec,
    item: str | None,
    service: Service | None,
    results: Sequence[UpstreamResult],
    settings: Settings,
    model: str,
    given: Sequence[GivenValue] = (),
    sharing: Sharing | None = None,
    options: ClaudeOptions = NO_OPTIONS,
) -> ClaudeRequest:
    """Make up the request of one task, or of one item of it.

    :param agent: who does the task: its prompt becomes the system prompt
    :param requirement: the plan's requirement, verbatim; empty in a hand-written DAG that doesn't give one
    :param inputs: values of the plan's inputs in this run
    :param service: the catalogue's entry for the item, when it has one
    :param results: the results of the declared dependencies, and of nobody else
    :param settings: bounds of the prompt and of the answer
    :param model: the Bedrock model to ask
    :param given: other values that a hand-written DAG gives the task
    :param sharing: which other calls begin as this one does; None: it isn't known of any
    :param options: what the connection sets
    """
    sharing = sharing or Sharing()
    first = run_message(requirement=requirement, inputs=inputs, limit=settings.context_chars)
    data: list[UpstreamResult | GivenValue] = [*results, *given]
    # What is too long is cut together with what is the item's own: then nothing is the same for all items.
    shared = (
        [each for each in data if each not in sharing.own] if sharing.wave and _fits(data, settings) else []
    )
    second = data_message([_data(each) for each in shared])
    third = task_message(
        task_id=task.id,
        item=item,
        instruction=render_instruction(task.instruction, inputs, item),
        service=service.to_yaml() if service else None,
        results=[(each.task, each.item, _told(each)) for each in results if each not in shared],
        limit=settings.context_chars,
        given=[_data(each) for each in given if each not in shared],
        alone=not requirement,
    )
    system = (agent.prompt, DATA_RULES)
    marks = [(first, sharing.others or (sharing.wave and not second)), (second, sharing.wave), (third, False)]
    known = options.behind(model)
    asked = asked_for(known, task, agent, options)
    return ClaudeRequest(
        model=model,
        model_behind=options.model_behind.get(model),
        max_tokens=agent.max_tokens or settings.max_tokens or facts_of(known).max_tokens(asked["thinking"]),
        **asked,
        system=system,
        messages=(Message(role="user", content=marked(known, system, marks)),),
        answer_schema=answer_schema(task.output_schema),
        subject=_subject(task.id, item),
    )


def fingerprint(
    *,
    agent: AgentDefinition,
    inputs: Mapping[str, Any],
    item_inputs: Collection[str],
    task: TaskSpec,
    item: str | None,
    service: Service | None,
    results: Sequence[UpstreamResult],
    model: str,
) -> str:
    """SHA-256, as 64 hex digits, of what a task is told: two tasks with the same one mean the same.

    Not in it is the requirement, although each prompt holds it as the purpose of the whole. It changes with every
    planning, and would let nothing be kept: what a changed requirement means for a task, the planner says by changing
    the task's instruction.

    :param item_inputs: inputs that a fan-out goes through. A service more or less is no other work for the others;
        where an instruction names such an input, its value is in the instruction
    """
    told: dict[str, Any] = {
        "form": _FINGERPRINT_FORM,
        "task": task.id,  # Two tasks of one plan may be told the same, and are meant to differ.
        "item": item,
        "instruction": render_instruction(task.instruction, inputs, item),
        "agent": agent.digest,  # Its prompt, its name, how much it may say.
        "model": model,
        "output_schema": task.output_schema,
        # As the task says, which a person set for it; the agent's word is in its digest.
        **({} if task.effort is None else {"effort": task.effort}),
        **({} if task.thinking is None else {"thinking": task.thinking}),
        "service": None if service is None else service.model_dump(mode="json"),
        "inputs": {name: value for name, value in inputs.items() if name not in item_inputs},
        # In the order in which the prompt has them, and without what they cost.
        "results": [result.model_dump(mode="json") for result in results],
    }
    canonical = json.dumps(told, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def answer_schema(output_schema: dict[str, Any] | None) -> dict[str, Any]:
    """The schema of a task's answer: what became of it, and its output."""
    if output_schema is None:
        output: dict[str, Any] = {
            "type": "string",
            "description": "The result in Markdown; empty when blocked.",
        }
        definitions: dict[str, Any] = {}
    else:
        wanted, definitions = embedded(output_schema, "output")
        output = {"description": "The result; null when blocked.", "anyOf": [wanted, {"type": "null"}]}
    properties = {
        "status": {
            "type": "string",
            "enum": [COMPLETED, BLOCKED],
            "description": "blocked: it can't be done with what is given. Never pretend to have done it.",
        },
        "reason": {
            "type": "string",
            "description": "When blocked: what is missing or in the way. Otherwise empty.",
        },
        "summary": {"type": "string", "description": "The result in one or two sentences."},
        "output": output,
    }
    return definitions | {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


async def execute_request(
    ask: Ask,
    request: ClaudeRequest,
    *,
    task_id: str,
    item: str | None,
    output_schema: dict[str, Any] | None,
    repairs: int,
) -> TaskResult:
    """Have the task done.

    :param output_schema: the schema that the task's output must keep; None for Markdown
    :param repairs: times that an answer which breaks its schema may be sent back
    :raises TaskBlockedError: Claude says that it can't do the task, with the reason
    :raises ClaudeError: no usable answer
    """

    def check(answer: dict[str, Any]) -> list[str]:
        return _faults(answer, output_schema)

    answer = await converse(ask, request, check=check, repairs=repairs)
    data = answer.data
    if data["status"] == BLOCKED:
        subject = _subject(task_id, item)
        raise TaskBlockedError(
            f"{subject[:1].upper()}{subject[1:]} is blocked: {one_line(data['reason'], _LONGEST_REASON)}",
            hint="Change the inputs or the plan, then clear the task.",
            request_id=answer.request_ids[-1],
            usage=answer.usage.model_dump(),
        )
    return TaskResult(
        task=task_id,
        item=item,
        summary=data["summary"],
        output=data["output"],
        usage=answer.usage,
        cost_usd=await asyncio.to_thread(cost_usd, request.known_model, answer.usage),
        model=answer.model,
        request_ids=answer.request_ids,
        simulated=answer.simulated,
    )


def _faults(answer: dict[str, Any], output_schema: dict[str, Any] | None) -> list[str]:
    """What is wrong with an answer that keeps its schema."""
    if answer["status"] == BLOCKED:
        return [] if answer["reason"].strip() else ["reason: it is empty, but status is blocked"]
    faults = [] if answer["summary"].strip() else ["summary: it is empty"]
    if output_schema is None:
        return faults if answer["output"].strip() else [*faults, "output: it is empty"]
    # By itself, too: the answer's own schema allows null here, for a blocked task.
    return [*faults, *(f"output: {fault}" for fault in value_faults(answer["output"], output_schema))]


def _told(result: UpstreamResult) -> str:
    """A dependency's result as the text of its fence."""
    output = result.output if isinstance(result.output, str) else json_text(result.output)
    return f"Status: {result.status}\nSummary: {result.summary}\n\nOutput:\n{output}"


def _data(each: UpstreamResult | GivenValue) -> Data:
    """A result or a value as name, attributes and text of its fence."""
    if isinstance(each, UpstreamResult):
        return as_data((each.task, each.item, _told(each)))
    text = each.value if isinstance(each.value, str) else json_text(each.value)
    return "result" if each.task else "context", {"task": each.task, "argument": each.argument}, text


def _fits(data: Sequence[UpstreamResult | GivenValue], settings: Settings) -> bool:
    return sum(len(text) for _, _, text in map(_data, data)) <= settings.context_chars


def _subject(task_id: str, item: str | None) -> str:
    return f"task '{task_id}'" if item is None else f"task '{task_id}' [{one_line(item, _LONGEST_ITEM)}]"
