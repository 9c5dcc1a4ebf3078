"""A task's prompt, made in a worker without importing the Claude SDK."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from chassis.agents import load_agent
from chassis.catalogue import load_catalogue
from chassis.claude import connection_options
from chassis.claude.connection_options import NO_OPTIONS, ClaudeOptions
from chassis.claude.models import facts_of
from chassis.claude.request import ClaudeRequest, Message, marked
from chassis.claude.thinking import asked_for
from chassis.prompts import DATA_RULES, data_message, json_text, run_message, task_message
from chassis.text import one_line
from chassis.work.verdict import answer_schema
from chassis.workflow import render_instruction

_FINGERPRINT_FORM = 1
"""Increase it when Chassis itself changes what it tells the same task."""
_LONGEST_ITEM = 200
"""Characters of an item in a message; a plan allows no longer item."""

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from chassis.agents import AgentDefinition
    from chassis.catalogue import Service
    from chassis.prompts import Data
    from chassis.settings import Settings
    from chassis.workflow import TaskSpec


class UpstreamResult(BaseModel):
    """The part of a dependency's result that a task sees."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    task: str
    item: str | None = None
    status: str = "completed"
    summary: str = ""
    output: Any = None

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> UpstreamResult:
        """From the XCom of the dependency (``TaskResult`` as JSON)."""
        return cls.model_validate(dict(value))

    def as_data(self) -> Data:
        """Name, attributes and text of its fence."""
        text = f"Status: {self.status}\nSummary: {self.summary}\n\nOutput:\n{_text(self.output)}"
        return "result", {"task": self.task, "item": self.item}, text


class GivenValue(BaseModel):
    """A value that a hand-written DAG gives a task, besides Claude's results."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    task: str | None = Field(
        None, description="Id of the task that it comes from; None: from the DAG's file."
    )
    argument: str | None = Field(None, description="Name that the DAG's author gave it; None for none.")
    value: Any = Field(description="Text, or JSON-safe data.")

    def as_data(self) -> Data:
        facts = {"task": self.task, "argument": self.argument}
        return "result" if self.task else "context", facts, _text(self.value)


@dataclass(frozen=True)
class Sharing:
    """Which other calls begin like a task's call, so that caching the beginning of the prompt pays.

    :ivar wave: the task is done for several items, whose calls come at about the same time
    :ivar own: those of its results and given values that belong to this item alone
    :ivar others: other tasks of the run begin alike: they have the same agent, model and answer schema
    """

    wave: bool = False
    own: Sequence[UpstreamResult | GivenValue] = ()
    others: bool = False


@dataclass(frozen=True, kw_only=True)
class TaskBrief:
    """Everything that one task, or one item of it, is told, and how it may answer.

    :ivar task: the task as in the plan, or as amended for this run
    :ivar agent: the agent whose prompt becomes the system prompt
    :ivar model: the Bedrock model to ask
    :ivar requirement: the plan's requirement, verbatim; empty in a hand-written DAG without one
    :ivar inputs: values of the plan's inputs in this run
    :ivar service: the item's catalogue entry, if any
    :ivar results: the results of the declared dependencies, and no others
    :ivar given: other values that a hand-written DAG gives the task
    :ivar item_inputs: names of the inputs that a fan-out goes through
    :ivar context_chars: maximum characters of each part of the prompt
    :ivar max_tokens: tokens of an answer if the agent sets no limit; None: as many as the model allows
    :ivar options: what the connection sets
    """

    task: TaskSpec
    agent: AgentDefinition
    model: str
    context_chars: int
    max_tokens: int | None = None
    options: ClaudeOptions = NO_OPTIONS
    requirement: str = ""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    item: str | None = None
    service: Service | None = None
    results: Sequence[UpstreamResult] = ()
    given: Sequence[GivenValue] = ()
    item_inputs: Collection[str] = ()
    sharing: Sharing = Sharing()

    @classmethod
    def of(
        cls,
        task: TaskSpec,
        settings: Settings,
        *,
        requirement: str,
        inputs: Mapping[str, Any],
        item: str | None,
        results: Sequence[UpstreamResult],
        sharing: Sharing,
        given: Sequence[GivenValue] = (),
        item_inputs: Collection[str] = (),
    ) -> TaskBrief:
        """The brief of a task in this deployment, with its agent's file, its service and its connection's options.

        :raises ChassisError: an agent's file, the catalogue or the connection can't be used
        """
        agent = load_agent(settings.agents_folder, task.agent)
        options = connection_options.connection_options(settings.conn_id)
        return cls(
            task=task,
            agent=agent,
            model=task.model or agent.model or options.model or settings.model,
            context_chars=settings.context_chars,
            max_tokens=settings.max_tokens,
            options=options,
            requirement=requirement,
            inputs=inputs,
            item=item,
            service=load_catalogue(settings.services_file).find(item) if item else None,
            results=results,
            given=given,
            item_inputs=item_inputs,
            sharing=sharing,
        )

    def request(self) -> ClaudeRequest:
        """The request that asks Claude to do the task."""
        first = run_message(requirement=self.requirement, inputs=self.inputs, limit=self.context_chars)
        results = [(each.as_data(), each not in self.sharing.own) for each in self.results]
        given = [(each.as_data(), each not in self.sharing.own) for each in self.given]
        # Texts that are too long are cut together with the item's own: then nothing is the same for all items.
        whole = sum(len(text) for (_, _, text), _ in (*results, *given)) <= self.context_chars
        apart = self.sharing.wave and whole
        second = data_message([data for data, shared in (*results, *given) if apart and shared])
        third = task_message(
            task_id=self.task.id,
            item=self.item,
            instruction=self._instruction(),
            service=self.service.to_yaml() if self.service else None,
            results=[data for data, shared in results if not (apart and shared)],
            given=[data for data, shared in given if not (apart and shared)],
            limit=self.context_chars,
            alone=not self.requirement,
        )
        system = (self.agent.prompt, DATA_RULES)
        first_is_shared = self.sharing.others or (self.sharing.wave and not second)
        blocks = [(first, first_is_shared), (second, self.sharing.wave), (third, False)]
        known = self.options.behind(self.model)
        asked = asked_for(known, self.task, self.agent, self.options)
        most = self.agent.max_tokens or self.max_tokens or facts_of(known).max_tokens(asked["thinking"])
        return ClaudeRequest(
            model=self.model,
            model_behind=self.options.model_behind.get(self.model),
            max_tokens=most,
            **asked,
            system=system,
            messages=(Message(role="user", content=marked(known, system, blocks)),),
            answer_schema=answer_schema(self.task.output_schema),
            subject=subject_of(self.task.id, self.item),
        )

    def fingerprint(self) -> str:
        """SHA-256, as 64 hex digits, of what the task is told: tasks with the same fingerprint mean the same.

        It leaves out the requirement, although each prompt holds it as the overall purpose. The requirement changes
        with every planning, and no result could be reused; if the change affects a task, the planner changes the
        task's instruction. It also leaves out inputs that a fan-out goes through: adding or removing a service
        doesn't change the work on the others, and if an instruction names such an input, its value is in the
        instruction.
        """
        told: dict[str, Any] = {
            "form": _FINGERPRINT_FORM,
            # Two tasks of one plan may get the same prompt and still be meant to differ: this includes the id.
            **self.task.fingerprinted(),
            "item": self.item,
            "instruction": self._instruction(),
            "agent": self.agent.digest,  # Its prompt, its name, its output limit.
            "model": self.model,
            "service": None if self.service is None else self.service.model_dump(mode="json"),
            "inputs": {name: value for name, value in self.inputs.items() if name not in self.item_inputs},
            # In prompt order, without their cost.
            "results": [result.model_dump(mode="json") for result in self.results],
        }
        canonical = json.dumps(told, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    def _instruction(self) -> str:
        return render_instruction(self.task.instruction, self.inputs, self.item)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json_text(value)


def subject_of(task_id: str, item: str | None) -> str:
    """A task, or one item of it, for use in a sentence."""
    return f"task '{task_id}'" if item is None else f"task '{task_id}' [{one_line(item, _LONGEST_ITEM)}]"
