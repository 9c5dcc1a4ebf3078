"""What a worker prepares and a triggerer carries out: one call to Claude as plain data.

A call crosses from the worker to the triggerer inside the trigger's arguments, which Airflow stores encrypted
in its database. It therefore holds everything that the answer needs (the worker has read the dependencies'
results, the agent file and the catalogue) and no credentials: whoever makes the call reads the connection.

Nothing here imports the Claude SDK before :meth:`perform` runs.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from chassis.claude.request import ClaudeRequest
from chassis.workflow import Given

if TYPE_CHECKING:
    from anthropic import AsyncAnthropicBedrock


class _Call(BaseModel):
    """What all calls have: the connection that reaches Claude, and the request."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    conn_id: str
    request: ClaudeRequest

    @abstractmethod
    async def answer(self, client: AsyncAnthropicBedrock) -> dict[str, Any]:
        """Carry the conversation out and return the task's result as JSON-safe data.

        :raises ChassisError: a ClaudeError, or what the answer says is wrong
        """

    async def perform(self) -> dict[str, Any]:
        """Open the connection, ask, and close it again, also when the caller is cancelled."""
        hook_class = await asyncio.to_thread(_hook_class)
        client = await hook_class(aws_conn_id=self.conn_id).aclient()
        async with client:
            return await self.answer(client)


class TaskCall(_Call):
    """One task (or one item of a mapped task) that Claude is to do."""

    kind: Literal["task"] = "task"
    task_id: str
    item: str | None = None
    output_schema: dict[str, Any] | None = None
    repairs: int

    async def answer(self, client: AsyncAnthropicBedrock) -> dict[str, Any]:
        from chassis.claude.reply import asking
        from chassis.execution import execute_request

        result = await execute_request(
            asking(client, self.request.subject),
            self.request,
            task_id=self.task_id,
            item=self.item,
            output_schema=self.output_schema,
            repairs=self.repairs,
        )
        return result.model_dump(mode="json")


class PlanCall(_Call):
    """One requirement that the planning agent is to turn into a plan."""

    kind: Literal["plan"] = "plan"
    given: Given
    agents: dict[str, str] = Field(
        description="Names of the agents offered to the planner, with their digests."
    )
    services: tuple[str, ...] = Field(description="Names of the services offered to the planner.")
    attempts: int
    planned_at: str = Field(description="ISO 8601 time of the planner's run, for the plan's provenance.")
    planner_run: str

    async def answer(self, client: AsyncAnthropicBedrock) -> dict[str, Any]:
        from chassis.claude.reply import asking
        from chassis.claude.usage import cost_usd
        from chassis.planning import propose_plan
        from chassis.workflow import Provenance, dump_plan, plan_digest

        proposal = await propose_plan(
            asking(client, self.request.subject),
            self.request,
            given=self.given,
            agents=tuple(self.agents),
            services=self.services,
            attempts=self.attempts,
        )
        used = {task.agent for task in proposal.spec.tasks}
        provenance = Provenance(
            planner_model=proposal.model,
            agents={name: digest for name, digest in sorted(self.agents.items()) if name in used},
            planned_at=self.planned_at,
            planner_run=self.planner_run,
            simulated=proposal.simulated,
            revised=proposal.attempts - 1,
        )
        spec = proposal.spec.model_copy(update={"provenance": provenance})
        cost = await asyncio.to_thread(cost_usd, self.request.model, proposal.usage)
        return {
            "workflow_id": spec.id,
            "plan": dump_plan(spec),
            "digest": plan_digest(spec),
            "usage": proposal.usage.model_dump(mode="json"),
            "cost_usd": cost,
            "model": proposal.model,
            "attempts": proposal.attempts,
            "simulated": proposal.simulated,
            "request_ids": list(proposal.request_ids),
        }


def _hook_class() -> Any:
    from chassis.claude.hook import ClaudeBedrockHook

    return ClaudeBedrockHook


ClaudeCall = Annotated[TaskCall | PlanCall, Field(discriminator="kind")]
_calls: TypeAdapter[TaskCall | PlanCall] = TypeAdapter(ClaudeCall)


def restore_call(data: dict[str, Any]) -> TaskCall | PlanCall:
    """The call whose ``model_dump(mode="json")`` is ``data``."""
    return _calls.validate_python(data)
