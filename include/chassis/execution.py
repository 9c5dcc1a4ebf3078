"""One task of a plan: what Claude is asked, and what its answer becomes.

:func:`build_request` runs in a worker and imports no Claude SDK; :func:`execute_request` runs wherever the call
is made, usually in the triggerer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from chassis.claude.request import ClaudeRequest
from chassis.claude.usage import Usage

if TYPE_CHECKING:
    from anthropic import AsyncAnthropicBedrock

    from chassis.agents import AgentDefinition
    from chassis.catalogue import Service
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
) -> ClaudeRequest:
    """Make up the request of one task, or of one item of it.

    :param agent: who does the task: its prompt becomes the system prompt
    :param requirement: the plan's requirement, verbatim
    :param inputs: values of the plan's inputs in this run
    :param service: the catalogue's entry for the item, when it has one
    :param results: the results of the declared dependencies, and of nobody else
    :param settings: bounds of the prompt and of the answer
    :param model: the Bedrock model to ask
    """
    raise NotImplementedError


async def execute_request(
    client: AsyncAnthropicBedrock,
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
    raise NotImplementedError
