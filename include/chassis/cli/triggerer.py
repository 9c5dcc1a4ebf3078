"""Airflow's triggerer, with what a call to Claude needs already loaded: ``python -m chassis.cli.triggerer``.

Airflow forks the process that runs triggers from the triggerer, and both load what they need at the first call: the
Claude SDK here, Airflow's own API (which reads the connection for a trigger) there. That is 2.6 s of a core. On a slow
or busy machine the first calls waited twelve seconds for it, and a run with a time limit could end before its call
began. What is loaded before the fork is there in both processes, and once in memory.
"""

from __future__ import annotations

import sys


def load() -> None:
    """Import what the first call would; nothing of it starts a thread, which a fork would not survive."""
    import airflow.api_fastapi.execution_api.app
    import airflow.api_fastapi.execution_api.routes
    import airflow.sdk.execution_time.xcom
    import airflow.sdk.serde  # noqa: F401

    import chassis.claude.clients
    import chassis.claude.hook
    import chassis.dag.triggers
    import chassis.execution
    import chassis.ledger.paid_calls
    import chassis.planning
    import chassis.records.recording  # noqa: F401
    from chassis.claude.client import warm_up

    warm_up()


def main() -> None:
    from airflow.__main__ import main as airflow

    load()
    sys.argv[1:1] = ["triggerer"]
    airflow()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
