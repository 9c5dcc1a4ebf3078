"""The trigger that makes a Claude call in the triggerer, where waiting costs neither a worker slot nor a process.

A success ends here: the result is pushed as the task's XCom and the task is marked a success without another
worker. A failure goes back to a worker, which raises it, so that the task's retry policy decides.

Invariants that must not be relaxed:

- The XCom is pushed before the success event. A triggerer that dies in between makes the call again; the other
  order would let a dependent task start without its input.
- The XCom is pushed by ``XCom.aset``, not by ``TaskSuccessEvent(xcoms=)``: Airflow 3.3 stores the latter as JSON
  text inside JSON.
- A task is never sent back to a worker within :data:`RESUME_AFTER` of its deferral: under load the executor may
  still report the end of the first part, and the scheduler takes that for a killed task (seen with Airflow 3.3.2).
- No sequence of XComs is read here: the triggerer's supervisor can't decode that request and would wait for ever.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TaskSuccessEvent, TriggerEvent

from chassis.dag.calls import restore_call
from chassis.errors import ChassisError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

log = logging.getLogger(__name__)

RESUME_AFTER = 10.0
"""Seconds between a deferral and the earliest return to a worker; see the module's invariants."""


class ClaudeTrigger(BaseTrigger):
    """Makes one call (``ClaudeCall`` as plain data) and ends its task with the result.

    :param call: ``model_dump(mode="json")`` of a call of ``chassis.dag.calls``
    """

    def __init__(self, call: dict[str, Any]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.call = call

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return f"{type(self).__module__}.{type(self).__qualname__}", {"call": self.call}

    def __repr__(self) -> str:
        # BaseTrigger's own repr, which Airflow logs, would print the whole prompt.
        return f"<ClaudeTrigger {self.call.get('kind')} {self.call.get('task_id', '')} {self.call.get('item') or ''}>"

    async def run(self) -> AsyncIterator[TriggerEvent]:
        loop = asyncio.get_running_loop()
        started = loop.time()
        # The first XCom in a fresh triggerer imports for seconds: let it do so while Claude thinks.
        warm_up = asyncio.create_task(asyncio.to_thread(_xcom_class))
        try:
            result = await restore_call(self.call).perform()
        except ChassisError as error:
            failure = error.describe()
        except Exception as error:
            # Only the class: a message of an unknown error may hold what must not leave this process.
            log.exception("The call to Claude ended in an unexpected error.")
            failure = {
                "class": "ChassisError",
                "message": f"The call to Claude ended in an unexpected {type(error).__name__}.",
                "hint": "The triggerer's log has its traceback.",
            }
        else:
            await self._push(await warm_up, result)
            yield TaskSuccessEvent()
            return
        await asyncio.sleep(max(0.0, started + RESUME_AFTER - loop.time()))
        yield TriggerEvent(failure)  # type: ignore[no-untyped-call]

    async def _push(self, xcom: Any, result: dict[str, Any]) -> None:
        task_instance: Any = self.task_instance
        await xcom.aset(
            key=xcom.XCOM_RETURN_KEY,
            value=result,
            dag_id=task_instance.dag_id,
            task_id=task_instance.task_id,
            run_id=task_instance.run_id,
            map_index=task_instance.map_index,
        )


def _xcom_class() -> Any:
    from airflow.sdk import serde  # noqa: F401  what serialising the first value imports
    from airflow.sdk.execution_time.xcom import XCom

    return XCom
