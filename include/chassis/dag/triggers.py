"""The trigger that asks Claude in the triggerer, where waiting costs neither a worker slot nor a process.

A success ends here: the trigger pushes the result as the task's XCom and marks the task as success, without another
worker. A failure goes back to a worker, which raises it, so that the task's retry policy decides.

Invariants that must not be relaxed:

- The XCom is pushed before the success event. If the triggerer dies in between, the next one finds the kept answers and
  pushes it again; the other order would let a dependent task start without its input.
- The XCom is pushed by ``XCom.aset``, not by ``TaskSuccessEvent(xcoms=)``: Airflow 3.3 stores the latter as JSON text
  inside JSON.
- A task never goes back to a worker within :data:`RESUME_AFTER` of its deferral: under load the executor may still
  report the end of the first part, and the scheduler takes that for a killed task (seen with Airflow 3.3.2).
- What was paid for survives a database that is unavailable for a while: pushing is tried for :data:`PUSH_PATIENCE`.
- No sequence of XComs is read here: the triggerer's supervisor can't decode that request and would wait for ever.
"""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID

from airflow.sdk.exceptions import AirflowRuntimeError
from airflow.triggers.base import BaseTrigger, TaskSuccessEvent, TriggerEvent

from chassis.dag.deferred_call import TaskEnd, restore_call
from chassis.errors import UnexpectedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

log = logging.getLogger(__name__)

RESUME_AFTER = 10.0
"""Seconds between a deferral and the earliest return to a worker; see the module's invariants."""

PUSH_PATIENCE = 300.0
"""Seconds that Airflow may refuse an XCom before the task fails; its retry then finds the kept answer."""
_PUSH_PAUSE = 2.0

RESULT = "result"
"""Key of the event that returns a result to a worker; the event of a failure is ``ChassisError.describe()``."""


class ClaudeTrigger(BaseTrigger):
    """Has a task done and ends it with the result.

    :param call: ``model_dump(mode="json")`` of a call of ``chassis.dag.deferred_call``
    """

    resumes: ClassVar[bool] = False
    """Whether a success also goes back to a worker, as an event with :data:`RESULT`."""

    def __init__(self, call: dict[str, Any]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.call = call

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return f"{type(self).__module__}.{type(self).__qualname__}", {"call": self.call}

    def __repr__(self) -> str:
        # BaseTrigger's own repr, which Airflow logs, would print the whole prompt.
        who = self.call["accounts"]["identity"]
        return f"<{type(self).__name__} {self.call['kind']} {who['task_id']} {who['item'] or ''}>"

    async def run(self) -> AsyncIterator[TriggerEvent]:
        loop = asyncio.get_running_loop()
        started = loop.time()
        # The first XCom in a fresh triggerer takes seconds to import: do that while Claude thinks.
        warm_up = asyncio.create_task(asyncio.to_thread(_xcom_class))
        try:
            end = await restore_call(self.call).perform(shared=True)
        except Exception as error:  # noqa: BLE001  the worker must learn of any error
            # Only classes and places: the message of an unknown error may hold a prompt or a secret.
            unexpected = UnexpectedError.of(error)
            log.error("%s\n%s", unexpected.message, _places(error))  # noqa: TRY400  a traceback has the message
            end = TaskEnd(error=unexpected)
        xcom = await warm_up
        task_instance: Any = self.task_instance
        for key, value in end.xcoms(task_instance.map_index):
            await self._push(xcom, key, value)
        if end.error is None and not self.resumes:
            await self._push(xcom, xcom.XCOM_RETURN_KEY, end.result)
            yield TaskSuccessEvent()
            return
        await asyncio.sleep(max(0.0, started + RESUME_AFTER - loop.time()))
        told = {RESULT: end.result} if end.error is None else end.error.describe()
        yield TriggerEvent(told)  # type: ignore[no-untyped-call]

    async def _push(self, xcom: Any, key: str, value: Any) -> None:
        task_instance: Any = self.task_instance
        deadline = time.monotonic() + PUSH_PATIENCE
        while True:
            try:
                await xcom.aset(
                    key=key,
                    value=value,
                    dag_id=task_instance.dag_id,
                    task_id=task_instance.task_id,
                    run_id=task_instance.run_id,
                    map_index=task_instance.map_index,
                )
            except AirflowRuntimeError as error:
                if time.monotonic() > deadline:
                    raise
                log.warning("Airflow can't take the XCom %s now (%s); trying again.", key, error.error.error)
                await asyncio.sleep(_PUSH_PAUSE)
            else:
                return


class ResumingClaudeTrigger(ClaudeTrigger):
    """Returns the result to the task, which continues in a worker."""

    resumes = True


class HeldAnswerTrigger(BaseTrigger):
    """Resumes a task with the answer that Airflow holds for it, or with an empty event if it holds none.

    Only a trigger can read that answer: Airflow's worker has no such request (3.3.2). While the task is deferred, a new
    answer resumes it, too.

    :param ti_id: id of the task instance
    """

    def __init__(self, ti_id: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.ti_id = ti_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return f"{type(self).__module__}.{type(self).__qualname__}", {"ti_id": self.ti_id}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        from airflow.sdk.execution_time.hitl import get_hitl_detail_content_detail

        await asyncio.sleep(RESUME_AFTER)
        held = await asyncio.to_thread(get_hitl_detail_content_detail, UUID(self.ti_id))
        answer = held.model_dump(mode="json") if held.response_received else {}
        yield TriggerEvent(answer)  # type: ignore[no-untyped-call]


def _places(error: BaseException) -> str:
    """The traceback of an error and its causes, without their messages."""
    steps = []
    here: BaseException | None = error
    while here is not None:
        steps.append(f"{''.join(traceback.format_tb(here.__traceback__))}{type(here).__qualname__}")
        here = here.__cause__ or (None if here.__suppress_context__ else here.__context__)
    return "\n\nwhich came of\n\n".join(steps)


def _xcom_class() -> Any:
    from airflow.sdk import serde  # noqa: F401  what serialising the first value imports
    from airflow.sdk.execution_time.xcom import XCom

    return XCom
