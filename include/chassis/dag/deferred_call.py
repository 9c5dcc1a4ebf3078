"""What a worker prepares and a triggerer carries out: one call to Claude as plain data.

A call crosses from the worker to the triggerer inside the trigger's arguments, which Airflow keeps in its database
until the trigger has ended, in clear. It therefore holds everything that the answer needs (the worker has read the
dependencies' results, the agent file, the catalogue and the settings) and no credentials: whoever makes the call reads
the connection.

Nothing here imports the Claude SDK before :meth:`perform` runs.
"""

from __future__ import annotations

import asyncio
import logging
from abc import abstractmethod
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from chassis.claude.request import ClaudeRequest
from chassis.contract.spending import RunLimits, Spending
from chassis.errors import ChassisError, StoreError
from chassis.ledger.call_identity import CallIdentity
from chassis.workflow import Given

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chassis.claude.client import BedrockClient
    from chassis.claude.reply import Ask
    from chassis.ledger.paid_calls import PaidCalls
    from chassis.ledger.run_gate import RunGate
    from chassis.records.run_records import RunRecords
    from chassis.records.transcript_recorder import TranscriptRecorder
    from chassis.workflow import WorkflowSpec

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """How a task's call ended: with a result or with an error, never with both.

    :ivar result: the task's XCom
    :ivar spending: what the task and the run have spent by then, over all tries and clears; None if unknown
    :ivar parts: what of the result is an XCom of its own, by key
    """

    result: dict[str, Any] | None = None
    error: ChassisError | None = None
    spending: Spending | None = None
    parts: Mapping[str, Any] = field(default_factory=dict)


class Accounts(BaseModel):
    """On whose account a task's calls go, and what may be spent on it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    identity: CallIdentity
    limits: RunLimits
    timeout_seconds: float = Field(gt=0, description="How long this try of the task may take.")
    records_root: str
    storage_conn_id: str
    trace_content: bool
    transcripts: bool = Field(False, description="Whether what is said is kept for people to read.")


class _Call(BaseModel):
    """What all calls have: the connection that reaches Claude, the request, and who pays."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["task", "plan"]
    conn_id: str
    request: ClaudeRequest
    accounts: Accounts

    @abstractmethod
    async def answer(self, ask: Ask) -> dict[str, Any]:
        """Carry the conversation out and return the task's result as JSON-safe data.

        :raises ChassisError: a ClaudeError, or what the answer says is wrong
        """

    async def keep(self, records: RunRecords, result: dict[str, Any]) -> None:
        """Keep the result for later runs; what is only of use in its own run isn't kept."""

    def parts(self, result: dict[str, Any]) -> dict[str, Any]:
        """What of the result is an XCom of its own, by key; nothing, because each costs a request."""
        return {}

    async def perform(self, *, shared: bool) -> Outcome:
        """Open the connection and ask; an error of Chassis's own becomes part of the outcome.

        :param shared: whether to use the client that all calls of this process share; a worker's is its own
        """
        result = error = gate = None
        connected, run_records = await asyncio.to_thread(_imports)
        accounts = self.accounts
        try:
            async with connected(self.conn_id, shared=shared) as client:
                records = run_records.open(accounts, accounts.identity.dag_id, accounts.identity.run_id)
                gate = records.gate
                recorder = self._recorder(records)
                try:
                    result = await self.answer(self._paid_calls(client, gate, recorder).ask)
                finally:
                    if recorder is not None:
                        await recorder.settled()
                await self.keep(records, result)
        except ChassisError as failure:
            error = failure
        spending = None if gate is None else await self._spending(gate)
        return Outcome(result, error, spending, {} if result is None else self.parts(result))

    def _recorder(self, records: RunRecords) -> TranscriptRecorder | None:
        from chassis.records.transcript_recorder import TranscriptRecorder

        if not self.accounts.transcripts:
            return None
        return TranscriptRecorder(records.transcripts, self.accounts.identity, self.kind)

    def _paid_calls(
        self, client: BedrockClient, gate: RunGate, recorder: TranscriptRecorder | None
    ) -> PaidCalls:
        from chassis.claude.pace import pace_for
        from chassis.ledger.paid_calls import PaidCalls

        return PaidCalls(
            client=client,
            identity=self.accounts.identity,
            gate=gate,
            pace=pace_for((self.conn_id, self.request.model), client.max_in_flight),
            limits=self.accounts.limits,
            timeout_seconds=self.accounts.timeout_seconds,
            subject=self.request.subject,
            kind=self.kind,
            model_behind=self.request.model_behind,
            trace_content=self.accounts.trace_content,
            recorder=recorder,
        )

    async def _spending(self, gate: RunGate) -> Spending | None:
        from chassis.claude.prices import price_date

        try:
            task = await gate.totals(self.accounts.identity.task_key)
            run = await gate.totals()
        except ChassisError:
            return None  # The task's own end matters more, and the ledger itself has it.
        prices = await asyncio.to_thread(price_date)
        return Spending(task=task, run=run, limits=self.accounts.limits, prices=prices)


class TaskCall(_Call):
    """One task (or one item of a mapped task) that Claude is to do."""

    kind: Literal["task"] = "task"
    output_schema: dict[str, Any] | None = None
    repairs: int
    fingerprint: str = Field("", description="Of what the task is told; empty: its result isn't kept.")
    amendment: int | None = Field(None, description="Number of the last amendment in the request.")
    keys: tuple[str, ...] = Field(
        (), description="What is an XCom of its own, too: summary, output, and names of fields of the output."
    )

    async def answer(self, ask: Ask) -> dict[str, Any]:
        from chassis.work.brief import execute_request

        result = await execute_request(
            ask,
            self.request,
            task_id=self.accounts.identity.task_id,
            item=self.accounts.identity.item,
            output_schema=self.output_schema,
            repairs=self.repairs,
        )
        how = {"fingerprint": self.fingerprint, "amendment": self.amendment}
        return result.model_copy(update=how).model_dump(mode="json")

    def parts(self, result: dict[str, Any]) -> dict[str, Any]:
        """Summary and output by these names, and the fields of the output by theirs."""
        output = result["output"] if isinstance(result["output"], dict) else {}
        found = output | {"summary": result["summary"], "output": result["output"]}
        return {key: found[key] for key in self.keys if key in found}

    async def keep(self, records: RunRecords, result: dict[str, Any]) -> None:
        """Keep the result under its fingerprint. If the store stays away, it is still this task's result."""
        from chassis.ledger.run_gate import patiently

        if not self.fingerprint:
            return
        try:
            await patiently(partial(records.results.keep, self.fingerprint, result))
        except StoreError as error:
            log.warning("%s: no later run can take its result over: %s", self.request.subject, error)


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
    base: str | None = Field(
        None, description="The plan that changes are asked for, as YAML; None: a plan is asked for."
    )
    comment: str = Field("", description="What a reviewer of that plan wants changed.")
    plans_root: str = Field(description="Where the workflow's last plan is, which keeps what people gave.")
    continues: str = Field("", description="Run of the workflow that is planned on from; empty for none.")

    async def answer(self, ask: Ask) -> dict[str, Any]:
        from chassis.claude.prices import cost_usd
        from chassis.planning import propose_plan
        from chassis.workflow import Provenance, dump_plan, load_plan, plan_digest
        from chassis.workflow.plan_changes import told_changes

        proposal = await propose_plan(
            ask,
            self.request,
            given=self.given,
            agents=tuple(self.agents),
            services=self.services,
            attempts=self.attempts,
            current=None if self.base is None else load_plan(self.base, source="to be changed"),
            head_of=self._head_of,
            comment=self.comment,
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
        changes = told_changes(await asyncio.to_thread(self._head_of, spec.id), spec)
        for line in changes:
            log.info("Plan of workflow %s: %s", spec.id, line)
        cost = await asyncio.to_thread(cost_usd, self.request.known_model, proposal.usage)
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
            "continues": self.continues,
            "changes": changes,
        }

    def _head_of(self, workflow_id: str) -> WorkflowSpec | None:
        from chassis.plans.store import PlanStore, newest_plan

        return newest_plan(PlanStore(self.plans_root, self.accounts.storage_conn_id), workflow_id)


def _imports() -> tuple[Any, Any]:
    from chassis.claude.client_pool import connected
    from chassis.ledger.run_gate import RunGate  # noqa: F401  to have it imported in a thread, too
    from chassis.records.run_records import RunRecords

    return connected, RunRecords


ClaudeCall = Annotated[TaskCall | PlanCall, Field(discriminator="kind")]
_calls: TypeAdapter[TaskCall | PlanCall] = TypeAdapter(ClaudeCall)


def restore_call(data: dict[str, Any]) -> TaskCall | PlanCall:
    """The call whose ``model_dump(mode="json")`` is ``data``."""
    return _calls.validate_python(data)
