"""The account that pays for a task's calls, and the only place that opens what makes them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from chassis.contract.spending import RunLimits, Spending
from chassis.errors import ChassisError
from chassis.ledger.call_identity import CallIdentity

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import Literal

    from chassis.claude.request import ClaudeRequest
    from chassis.ledger.paid_calls import PaidCalls


class Account(BaseModel):
    """Who pays for the calls of one try of a task, what they may cost, and where they are recorded."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    identity: CallIdentity
    limits: RunLimits
    timeout_seconds: float = Field(gt=0, description="How long this try of the task may take.")
    records_root: str
    storage_conn_id: str
    trace_content: bool
    transcripts: bool = Field(False, description="Whether what is said is kept for people to read.")

    @asynccontextmanager
    async def paid_calls(
        self, conn_id: str, request: ClaudeRequest, kind: Literal["task", "plan"], *, shared: bool
    ) -> AsyncIterator[PaidCalls]:
        """Open what makes a request's calls. Writes their transcripts at the end.

        :param conn_id: Airflow connection to Claude
        :param shared: use the client that all calls of this process share; a worker has its own
        :raises ChassisError: the connection or the record store can't be used
        """
        # In a thread: the imports take seconds, and a triggerer's other calls must go on.
        connected, pace_for, calls, records_of, recorder_of = await asyncio.to_thread(_imports)
        async with connected(conn_id, shared=shared) as client:
            records = records_of.open(self, self.identity.dag_id, self.identity.run_id)
            recorder = recorder_of(records.transcripts, self.identity, kind) if self.transcripts else None
            try:
                yield calls(
                    client=client,
                    identity=self.identity,
                    gate=records.gate,
                    pace=pace_for((conn_id, request.model), client.max_in_flight),
                    limits=self.limits,
                    timeout_seconds=self.timeout_seconds,
                    subject=request.subject,
                    kind=kind,
                    model_behind=request.model_behind,
                    trace_content=self.trace_content,
                    recorder=recorder,
                )
            finally:
                if recorder is not None:
                    await recorder.settled()

    async def spending(self, calls: PaidCalls) -> Spending | None:
        """What the task and its run have spent so far; None if the record store can't tell."""
        from chassis.claude.prices import price_date

        try:
            task, run = await calls.gate.totals(self.identity.task_key), await calls.gate.totals()
        except ChassisError:
            return None  # The task's own end matters more, and the ledger has the figures.
        prices = await asyncio.to_thread(price_date)
        return Spending(task=task, run=run, limits=self.limits, prices=prices)


def _imports() -> tuple[Any, Any, Any, Any, Any]:
    from chassis.claude.client_pool import connected
    from chassis.claude.pace import pace_for
    from chassis.ledger.paid_calls import PaidCalls
    from chassis.records.run_records import RunRecords
    from chassis.records.transcript_recorder import TranscriptRecorder

    return connected, pace_for, PaidCalls, RunRecords, TranscriptRecorder
