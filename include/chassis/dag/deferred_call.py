"""What a worker prepares and a triggerer carries out, as plain data: one task's request to Claude.

The request crosses to the triggerer in the trigger's arguments, which Airflow keeps in its database, in clear, until
the trigger ends. So it holds everything that the task needs (the worker has read the dependencies' results, the agent
file, the catalogue and the settings) but no credentials: the triggerer reads the connection itself. It doesn't say how
many calls to Claude the task takes.

Nothing here imports the Claude SDK before :meth:`perform` runs.
"""

from __future__ import annotations

import asyncio
import logging
from abc import abstractmethod
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from chassis.claude.request import ClaudeRequest
from chassis.contract.names import CARD, SPENDING
from chassis.errors import ChassisError, StoreError
from chassis.work.account import Account
from chassis.workflow import Given

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from chassis.contract.spending import Spending
    from chassis.ledger.paid_calls import PaidCalls
    from chassis.workflow import WorkflowSpec

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TaskEnd:
    """How a task's calls ended: with either a result or an error.

    :ivar result: the task's XCom
    :ivar spending: None if unknown
    :ivar parts: the parts of the result that are XComs of their own, by key
    """

    result: dict[str, Any] | None = None
    error: ChassisError | None = None
    spending: Spending | None = None
    parts: Mapping[str, Any] = field(default_factory=dict)

    def xcoms(self, map_index: int) -> Iterator[tuple[str, Any]]:
        """The XComs that the task leaves beside its result, by key, in the order of pushing."""
        from chassis.contract.xcoms import Card

        if self.spending is not None:
            yield SPENDING, self.spending.document()
        card = Card.made(result=self.result, error=self.error, spending=self.spending, map_index=map_index)
        yield CARD, card.document()
        yield from self.parts.items()


class _Call(BaseModel):
    """What both kinds have: the connection to Claude, the request, and the account that pays."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    kind: Literal["task", "plan"]
    conn_id: str
    request: ClaudeRequest
    accounts: Account

    @abstractmethod
    async def answer(self, calls: PaidCalls) -> dict[str, Any]:
        """Do the task in as many calls as it takes, and return its result as JSON-safe data.

        :raises ChassisError: a ClaudeError, or a fault in the answer
        """

    def parts(self, result: dict[str, Any]) -> dict[str, Any]:
        """The parts of the result that are XComs of their own, by key; none here, because each costs a request."""
        return {}

    async def perform(self, *, shared: bool) -> TaskEnd:
        """Do the task; a :class:`ChassisError` becomes its end.

        :param shared: use the client that all tasks in this process share; a worker has its own
        """
        result = error = calls = None
        account = self.accounts
        try:
            async with account.paid_calls(self.conn_id, self.request, self.kind, shared=shared) as calls:
                result = await self.answer(calls)
        except ChassisError as failure:
            error = failure
        spending = None if calls is None else await account.spending(calls)
        return TaskEnd(result, error, spending, {} if result is None else self.parts(result))


class TaskCall(_Call):
    """One task (or one item of a mapped task) for Claude."""

    kind: Literal["task"] = "task"
    output_schema: dict[str, Any] | None = None
    repairs: int
    fingerprint: str = Field("", description="Of what the task is told; empty: its result isn't kept.")
    amendment: int | None = Field(None, description="Number of the last amendment in the request.")
    keys: tuple[str, ...] = Field(
        (), description="What is an XCom of its own, too: summary, output, and names of fields of the output."
    )

    async def answer(self, calls: PaidCalls) -> dict[str, Any]:
        from chassis.ledger.run_gate import patiently
        from chassis.records.run_records import RunRecords
        from chassis.work.engine import do_task

        who = self.accounts.identity
        done = await do_task(
            calls.ask,
            self.request,
            task_id=who.task_id,
            item=who.item,
            output_schema=self.output_schema,
            repairs=self.repairs,
        )
        how = {"fingerprint": self.fingerprint, "amendment": self.amendment}
        result = done.model_copy(update=how).document()
        if self.fingerprint:
            kept = RunRecords(calls.gate.files, who.dag_id, who.run_id).results
            try:
                await patiently(partial(kept.keep, self.fingerprint, result))
            except StoreError as error:  # It is still this task's result.
                log.warning("%s: no later run can take its result over: %s", self.request.subject, error)
        return result

    def parts(self, result: dict[str, Any]) -> dict[str, Any]:
        """``summary`` and ``output``, and each field of the output under its own name."""
        output = result["output"] if isinstance(result["output"], dict) else {}
        found = output | {"summary": result["summary"], "output": result["output"]}
        return {key: found[key] for key in self.keys if key in found}


class PlanCall(_Call):
    """One requirement that the planning agent turns into a plan."""

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

    async def answer(self, calls: PaidCalls) -> dict[str, Any]:
        from chassis.claude.prices import cost_usd
        from chassis.contract.xcoms import CheckedPlan
        from chassis.planning import propose_plan
        from chassis.workflow import Provenance, dump_plan, load_plan, plan_digest
        from chassis.workflow.plan_changes import told_changes

        proposal = await propose_plan(
            calls.ask,
            self.request,
            given=self.given,
            agents=tuple(self.agents),
            services=self.services,
            attempts=self.attempts,
            current=None if self.base is None else load_plan(self.base, source="to be changed"),
            head_of=self._head_of,
            comment=self.comment,
        )
        used = sorted({task.agent for task in proposal.spec.tasks})
        provenance = Provenance(
            planner_model=proposal.model,
            agents={name: self.agents[name] for name in used},
            planned_at=self.planned_at,
            planner_run=self.planner_run,
            simulated=proposal.simulated,
            revised=proposal.attempts - 1,
        )
        spec = proposal.spec.model_copy(update={"provenance": provenance})
        changes = told_changes(await asyncio.to_thread(self._head_of, spec.id), spec)
        for line in changes:
            log.info("Plan of workflow %s: %s", spec.id, line)
        checked = CheckedPlan(
            workflow_id=spec.id,
            plan=dump_plan(spec),
            digest=plan_digest(spec),
            usage=proposal.usage,
            cost_usd=await asyncio.to_thread(cost_usd, self.request.known_model, proposal.usage),
            model=proposal.model,
            attempts=proposal.attempts,
            simulated=proposal.simulated,
            request_ids=proposal.request_ids,
            continues=self.continues,
            changes=tuple(changes),
        )
        return checked.document()

    def _head_of(self, workflow_id: str) -> WorkflowSpec | None:
        from chassis.plans.store import PlanStore, newest_plan

        return newest_plan(PlanStore(self.plans_root, self.accounts.storage_conn_id), workflow_id)


_KINDS: dict[str, type[TaskCall | PlanCall]] = {"task": TaskCall, "plan": PlanCall}


def restore_call(data: dict[str, Any]) -> TaskCall | PlanCall:
    """The call whose ``model_dump(mode="json")`` is ``data``."""
    return _KINDS[data["kind"]].model_validate(data)
