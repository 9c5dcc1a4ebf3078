"""Airflow's triggerer, with what a call to Claude needs made ready: ``python -m chassis.local.warm_triggerer``.

Airflow forks the process that runs triggers from the triggerer, and both make ready what they need at the first call.
The one imports the Claude SDK, 2.6 s of a core with all that belongs to it. The other, which answers the triggers'
requests to Airflow, makes its API ready at the first of them: 4 s of a core, in which it does nothing else. On a slow
or busy machine that was half a minute without a heartbeat, and with no trigger begun or cancelled; a run with a time
limit could end before its call began. What is loaded before the fork is there in both processes, and once in memory.
"""

from __future__ import annotations

import asyncio
import sys


def load() -> None:
    """Do what the first call would; nothing of it leaves a thread behind, which a fork would not survive."""
    import airflow.api_fastapi.execution_api.app
    import airflow.api_fastapi.execution_api.routes
    import airflow.sdk.execution_time.xcom
    import airflow.sdk.serde  # noqa: F401

    import chassis.claude.client_pool
    import chassis.claude.hook
    import chassis.dag.triggers
    import chassis.ledger.paid_calls
    import chassis.planning
    import chassis.records.transcript_recorder
    import chassis.work.engine  # noqa: F401
    from chassis.claude.client import warm_up

    warm_up()
    _make_api_ready()


def _make_api_ready() -> None:
    """Airflow (3.3.2) makes its API at a trigger's first request: let it be this one, which has had its first."""
    import httpx
    from airflow.jobs import triggerer_job_runner as triggerer

    api = triggerer.in_process_api_server()

    async def ask() -> None:
        # Any address will do; of one that isn't there, no function is called in a thread.
        async with httpx.AsyncClient(
            transport=api.atransport, base_url="http://in-process.invalid"
        ) as client:
            await client.get("/not-there")

    asyncio.run(ask())
    triggerer.in_process_api_server = lambda: api


def main() -> None:
    from airflow.__main__ import main as airflow

    load()
    sys.argv[1:1] = ["triggerer"]
    airflow()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
