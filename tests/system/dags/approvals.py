"""Planners that ask before they publish: one that soon gives up, and tells that it asks."""

from pathlib import Path
from typing import Any

from airflow.sdk.bases.notifier import BaseNotifier

from chassis.dag.planner import planner_dag
from chassis.settings import Settings


class Noting(BaseNotifier):
    """An airflow notifier that leaves a file beside the run records, and then fails: nobody's approval hangs on it."""

    def notify(self, context: Any) -> None:
        Path(Settings.load().records_root).with_name(f"notified-{context['run_id']}").touch()
        raise RuntimeError("the mail server is away")


dag = planner_dag(
    "hasty_planner",
    requirement="Add 1 and 2",
    workflow_id="hasty_sum",
    approve="always",
    approvers=["nobody"],
    approval_timeout_hours=1 / 3600,
    notifiers=[Noting()],
)
