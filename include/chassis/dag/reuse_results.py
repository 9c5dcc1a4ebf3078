"""Taking over what an earlier run has done: a task that was told the same there ends with that result, at no cost.

A run takes over from the run that its param ``carry_over_from`` names. A task that a person clears is done anew: that
is what a clear is for. It counts as done anew from the moment it starts, for this run and for those that take over
from it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from chassis.claude.connection_options import has_own_endpoint
from chassis.contract.usage import Usage
from chassis.records.run_records import RunRecords, open_records
from chassis.workflow import CARRY_OVER

if TYPE_CHECKING:
    from airflow.sdk import Context

    from chassis.dag.deferred_call import TaskCall
    from chassis.settings import Settings

log = logging.getLogger(__name__)


def reused_result(context: Context, settings: Settings, call: TaskCall) -> dict[str, Any] | None:
    """The task's XCom with the result of the run that this one takes over from; None when the task is to be done.

    The result is kept as one of this run, too, so that the next run can take over from this one.

    :raises StoreError: it can't be told whether there is a result; a retry asks again
    """
    who = call.accounts.identity
    source = context["params"].get(CARRY_OVER)
    cleared = who.clear_number > 0
    if not source and not cleared:
        return None
    files = open_records(settings)
    own = RunRecords(files, who.dag_id, who.run_id).results
    # Airflow counts clears by run: a first try is one of a task that nobody has cleared.
    if cleared and who.try_number > 1:
        own.forget(who.task_id, who.item)
        return None
    if not source:
        return None
    found = RunRecords(files, who.dag_id, source).results.find(call.fingerprint, who.task_id, who.item)
    if found is None:
        log.info("Run %r has no result of %s as it is told now: it is done.", source, call.request.subject)
        return None
    if found["simulated"] and not has_own_endpoint(call.conn_id):
        log.info("The result in run %r is the simulator's, and this run asks Claude: it is done.", source)
        return None
    nothing = {"usage": Usage().model_dump(mode="json"), "cost_usd": 0.0}
    # The other run's amendments are not this run's, which was told the same by its plan.
    result = found | nothing | {"carried_from": source, "amendment": None}
    own.keep(call.fingerprint, result)
    log.info(
        "Taken over from run %r: %s was told the same there. No call is made.", source, call.request.subject
    )
    return result
