"""Reuses the results of an earlier run: a task with the same fingerprint there ends with that result, at no cost.

The param ``carry_over_from`` names the earlier run. A task that a person clears runs again: that is what a clear is
for. From the moment it starts, neither this run nor those that reuse its results use the old result.
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
    """The task's XCom with the result of the run that this one continues; None if the task must be done.

    Keeps the result for this run, too, so that the next run can reuse it.

    :raises StoreError: the store can't tell whether there is a result; a retry asks again
    """
    who, what = call.accounts.identity, call.request.subject
    source = context["params"].get(CARRY_OVER)
    # Airflow counts clears by run: a first try belongs to a task that nobody has cleared.
    if who.clear_number > 0 and who.try_number > 1:
        RunRecords.open(settings, who.dag_id, who.run_id).results.forget(who.task_id, who.item)
        return None
    if not source:
        return None
    files = open_records(settings)
    found = RunRecords(files, who.dag_id, source).results.find(call.fingerprint, who.task_id, who.item)
    if found is None:
        log.info("Run %r has no result of %s as it is told now: it is done.", source, what)
        return None
    if found["simulated"] and not has_own_endpoint(call.conn_id):
        log.info("The result in run %r is the simulator's, and this run asks Claude: it is done.", source)
        return None
    nothing = {"usage": Usage().model_dump(mode="json"), "cost_usd": 0.0}
    # The other run's amendments don't apply here: this run's own plan gave the task the same prompt.
    result = found | nothing | {"carried_from": source, "amendment": None}
    RunRecords(files, who.dag_id, who.run_id).results.keep(call.fingerprint, result)
    log.info("Reused from run %r: %s was told the same there. No call is made.", source, what)
    return result
