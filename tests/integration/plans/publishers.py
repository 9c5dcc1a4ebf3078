"""Many planners that publish at the same moment, each in a process of its own; run as a script.

Usage: publishers.py ROOT CONN_ID COUNT same|different. Prints what each was told, one JSON document a line.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from chassis.plans.store import PlanStore
from chassis.workflow import load_plan

if TYPE_CHECKING:
    from multiprocessing.synchronize import Barrier


def publish(root: str, conn_id: str, workflow_id: str, title: str, start: Barrier) -> None:
    spec = load_plan(
        f"schema_version: 1\nid: {workflow_id}\ntitle: {title}\nrequirement: Do it\n"
        f"tasks:\n- {{id: first, name: First, instruction: {'Do it. ' * 1000}}}\n"
    )
    store = PlanStore(root, conn_id)
    start.wait(timeout=60)
    print(json.dumps({"title": title, **asdict(store.publish(spec))}) + "\n", end="", flush=True)


def main(root: str, conn_id: str, count: int, *, same: bool) -> None:
    PlanStore(root, conn_id).heads()  # Loads, once for all forks, what the store needs.
    forks = multiprocessing.get_context("fork")
    start = forks.Barrier(count)
    planners = [
        forks.Process(
            target=publish, args=(root, conn_id, "shared" if same else f"workflow_{n}", f"Plan {n}", start)
        )
        for n in range(count)
    ]
    for planner in planners:
        planner.start()
    for planner in planners:
        planner.join()
    sys.exit(max(abs(planner.exitcode or 0) for planner in planners))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), same=sys.argv[4] == "same")
