"""The local stack's triggerer has loaded what a first call needs before it forks the process that makes calls."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from chassis.local.simulator import Simulator, SimulatorControl
    from tests.integration.claude.conftest import Connect

SCRIPT = """
import json, sys, threading
from pathlib import Path
from chassis.local.warm_triggerer import load
load()
threads = threading.active_count()
from chassis.contract.spending import RunLimits
from tests.integration.ledger.test_paid_calls import Tasks, identity
from airflow.jobs.triggerer_job_runner import in_process_api_server
import asyncio, httpx, time
started = time.process_time()
async def ask():
    async with httpx.AsyncClient(transport=in_process_api_server().atransport, base_url="http://x") as client:
        await client.get("/not-there")
asyncio.run(ask())
seconds = time.process_time() - started
before = set(sys.modules)
Tasks(Path(sys.argv[1]), RunLimits()).do(identity())
print(json.dumps({"threads": threads, "seconds": seconds, "loaded": sorted(set(sys.modules) - before)}))
"""


def test_the_first_call_loads_next_to_nothing_and_no_thread_runs_before_the_fork(
    connect: Connect, simulator: Simulator, control: SimulatorControl, tmp_path: Path
) -> None:
    connect.to(simulator.url)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)], capture_output=True, text=True, check=True, timeout=120
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["threads"] == 1, "a thread doesn't survive a fork, and a lock that it holds stays locked"
    assert found["seconds"] < 1, "Airflow's API takes four seconds to be ready"
    assert len(control.requests()) == 1
    assert len(found["loaded"]) < 150, "the Claude SDK alone has 2,900 modules"
