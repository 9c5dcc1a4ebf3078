"""Many processes that make calls of one run at the same moment; run as a script.

Usage: callers.py ROOT CONN_ID PROCESSES CALLS LIMITS. Each process wants to make so many calls, of known cost. Prints,
one JSON document a line, what each was allowed: {"process", "calls": [names], "refused": class of the error or null}.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import time
from typing import TYPE_CHECKING

from chassis.contract.spending import Bound, RunLimits
from chassis.contract.usage import Usage
from chassis.errors import LimitSpentError
from chassis.files import open_files
from chassis.ledger.entries import Closed, Opened
from chassis.ledger.journal import RunLedger

if TYPE_CHECKING:
    from multiprocessing.synchronize import Barrier

DAG, RUN = "add_pet", "manual__2026-11-22T12:00:00+00:00"
COST, BOUND = 0.05, 0.1
"""What a call costs, and what it may cost at most."""


def call_claude(process: int, calls: int, root: str, conn_id: str, limits: RunLimits, start: Barrier) -> None:
    ledger = RunLedger(open_files(root, conn_id, what="record store"), DAG, RUN)
    made: list[str] = []
    refused = None
    start.wait(timeout=60)
    try:
        for number in range(calls):
            made.append(make(ledger, f"{process}-{number}", f"task_{process}", limits))
    except LimitSpentError as error:
        refused = type(error).__name__
    print(json.dumps({"process": process, "calls": made, "refused": refused}) + "\n", end="", flush=True)


def make(ledger: RunLedger, call: str, task: str, limits: RunLimits) -> str:
    """One call, as soon as it may start."""
    now = time.time()
    opening = Opened(
        call=call,
        task_id=task,
        model="a-model",
        opened_at=now,
        until=now + 600,
        bound=Bound(tokens=100, cost_usd=BOUND),
    )
    while not ledger.reserve(opening, limits):
        time.sleep(0.01)
    ledger.close(
        Closed(
            call=call,
            outcome="answered",
            closed_at=time.time(),
            usage=Usage(input_tokens=10, calls=1),
            cost_usd=COST,
        )
    )
    return call


def main(root: str, conn_id: str, processes: int, calls: int, limits: RunLimits) -> None:
    # Loads, once for all forks, what the ledger needs.
    RunLedger(open_files(root, conn_id, what="record store"), DAG, RUN).totals()
    forks = multiprocessing.get_context("fork")
    start = forks.Barrier(processes)
    callers = [
        forks.Process(target=call_claude, args=(number, calls, root, conn_id, limits, start))
        for number in range(processes)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    sys.exit(max(abs(caller.exitcode or 0) for caller in callers))


if __name__ == "__main__":
    main(
        sys.argv[1],
        sys.argv[2],
        int(sys.argv[3]),
        int(sys.argv[4]),
        RunLimits.model_validate_json(sys.argv[5]),
    )
