"""What all operators that ask Claude share: who pays, where the task waits, and how it ends."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from chassis.contract.spending import RunLimits
from chassis.dag.deferred_call import PlanCall, TaskCall, TaskEnd
from chassis.dag.reporting import card_on_error, reported
from chassis.dag.retry import ClaudeRetryPolicy
from chassis.dag.triggers import RESULT, ClaudeTrigger, ResumingClaudeTrigger
from chassis.errors import StoppedError, restore_error
from chassis.ledger.call_identity import CallIdentity
from chassis.settings import Settings
from chassis.work.account import Account

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk import Context

    from chassis.workflow import Limits


class CallingOperator(BaseOperator):
    """Asks Claude on its task's account; a subclass decides when and what.

    :param aws_conn_id: Airflow connection to Bedrock; None uses the setting ``[chassis] conn_id``
    :param deferrable: None uses the setting ``[chassis] deferrable``
    """

    ui_color = "#f3e6dc"
    _cancel: Callable[[], object] | None = None

    def __init__(
        self, *, aws_conn_id: str | None = None, deferrable: bool | None = None, **kwargs: Any
    ) -> None:
        # Not setdefault: Airflow passes a mapped task each unset argument as None.
        if kwargs.get("retry_policy") is None:
            kwargs["retry_policy"] = ClaudeRetryPolicy()
        super().__init__(**kwargs)
        self.aws_conn_id = aws_conn_id
        self.deferrable = deferrable

    def load_settings(self) -> Settings:
        """The deployment's settings, with this operator's own connection.

        :raises SettingsError: names each invalid option
        """
        settings = Settings.load()
        return settings.model_copy(update={"conn_id": self.aws_conn_id}) if self.aws_conn_id else settings

    def defers(self, settings: Settings) -> bool:
        """Whether the triggerer makes the calls, not the worker."""
        return settings.deferrable if self.deferrable is None else self.deferrable

    def account(
        self,
        context: Context,
        settings: Settings,
        *,
        limits: Limits | None = None,
        item: str | None = None,
        in_dag_file: bool = False,
    ) -> Account:
        """The account of the run, task and item that pays, with the limits of plan and deployment.

        :param in_dag_file: whether the limits are those of a hand-written DAG
        """
        ti, dag_run = context["ti"], context["dag_run"]
        timeout = self.execution_timeout or timedelta(minutes=settings.task_timeout_minutes)
        return Account(
            identity=CallIdentity(
                dag_id=ti.dag_id,
                run_id=ti.run_id,
                clear_number=dag_run.clear_number or 0,
                task_id=ti.task_id,
                item=item,
                map_index=ti.map_index,
                try_number=ti.try_number,
            ),
            limits=RunLimits.of(limits, settings, in_dag_file=in_dag_file),
            timeout_seconds=timeout.total_seconds(),
            records_root=settings.records_root,
            storage_conn_id=settings.storage_conn_id,
            trace_content=settings.trace_content,
            transcripts=settings.transcript_days > 0,
        )

    def perform(self, context: Context, call: TaskCall | PlanCall) -> TaskEnd:
        """Do the task in this worker, and push the XComs beside its result."""
        end = asyncio.run(self._perform(call))
        _leave(context, end)
        return end

    async def _perform(self, call: TaskCall | PlanCall) -> TaskEnd:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None, "asyncio.run makes a task"
        self._cancel = lambda: loop.call_soon_threadsafe(task.cancel)
        try:
            return await call.perform(shared=False)
        except asyncio.CancelledError:
            return TaskEnd(error=StoppedError("The task was stopped, and its call to Claude with it."))

    def on_kill(self) -> None:
        """End the call in flight, so that a stopped or cleared task spends nothing more."""
        if self._cancel is not None:
            self._cancel()


class ClaudeOperator(CallingOperator):
    """Asks Claude once everything that the request needs is known; a subclass makes the request.

    The worker prepares the request; the triggerer does the task and ends it (``chassis.dag.triggers``). With
    ``deferrable=False`` the worker does both and holds its slot. Either way, the result is the XCom.
    """

    @abstractmethod
    def prepare(self, context: Context, settings: Settings) -> TaskCall | PlanCall:
        """Make the request from the run's context. Runs in a worker and must not import the Claude SDK."""

    def reused(
        self, context: Context, settings: Settings, call: TaskCall | PlanCall
    ) -> dict[str, Any] | None:
        """Another run's result that can be reused; None if there is none."""
        return None

    def ends_in_worker(self) -> bool:
        """Whether only a worker can end the task once it has its result."""
        return False

    def execute(self, context: Context) -> dict[str, Any] | None:
        settings = self.load_settings()
        with reported(self, context):
            with card_on_error(context):
                call = self.prepare(context, settings)
                reused = self.reused(context, settings, call)
            if reused is not None:
                _leave(context, TaskEnd(reused))
                return reused
            if self.defers(settings):
                trigger = ResumingClaudeTrigger if self.ends_in_worker() else ClaudeTrigger
                self.defer(
                    trigger=trigger(call.model_dump(mode="json")),
                    method_name=self.resume.__name__,
                    timeout=self.execution_timeout,
                )
            end = self.perform(context, call)
            if end.error is not None:
                raise end.error
            return end.result

    def resume(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Raise the triggerer's error in a worker, so that the retry policy decides.

        :return: the result of the triggerer's call, if the task ends in a worker
        """
        if RESULT in event:
            result: dict[str, Any] = event[RESULT]
            return result
        with reported(self, context):
            raise restore_error(event)


def _leave(context: Context, end: TaskEnd) -> None:
    ti: Any = context["ti"]
    for key, value in end.xcoms(ti.map_index):
        ti.xcom_push(key, value)
