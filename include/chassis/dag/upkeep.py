"""The upkeep DAG: deletes daily what Chassis keeps only for a limited time."""

from __future__ import annotations

import time
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, BaseOperator, CronTriggerTimetable

from chassis.contract.names import TAG
from chassis.dag.reporting import reported
from chassis.settings import Settings

if TYPE_CHECKING:
    from airflow.sdk import Context

_DAY = 86_400
_MOST_SECONDS = 1_200
"""Longest time that one upkeep looks for transcripts; the next day's does the rest."""


def upkeep_dag(dag_id: str, *, schedule: Any = None, **dag_arguments: Any) -> DAG:
    """A DAG that deletes transcripts older than the setting ``transcript_days``.

    :param schedule: any schedule that Airflow's DAG accepts; None: daily at 03:17 UTC
    :param dag_arguments: further arguments for Airflow's DAG
    """
    # Runs for no past time, and so not at the very start of a new Airflow.
    daily = CronTriggerTimetable("17 3 * * *", timezone="UTC", run_immediately=timedelta(0))
    arguments: dict[str, Any] = {
        "description": "Deletes transcripts that are older than [chassis] transcript_days.",
        "doc_md": __doc__,
        "catchup": False,
        "max_active_runs": 1,
        "tags": [TAG, "upkeep"],
        "is_paused_upon_creation": False,
    }
    with DAG(
        dag_id=dag_id, schedule=daily if schedule is None else schedule, **arguments | dag_arguments
    ) as dag:
        DeleteTranscriptsOperator(
            task_id="delete_transcripts",
            task_display_name="Delete old transcripts",
            retries=2,
            retry_delay=timedelta(minutes=10),
            execution_timeout=timedelta(seconds=2 * _MOST_SECONDS),
        )
    return dag


class DeleteTranscriptsOperator(BaseOperator):
    """Deletes transcripts that are too old. The XCom holds ``files``, ``runs`` and ``complete``."""

    def execute(self, context: Context) -> dict[str, Any]:
        from chassis.records.retention import delete_transcripts
        from chassis.records.run_records import open_records

        settings = Settings.load()
        with reported(self, context):
            before = time.time() - settings.transcript_days * _DAY
            swept = delete_transcripts(open_records(settings), before=before, seconds=_MOST_SECONDS)
        self.log.info(
            "Transcripts of %d calls in %d runs deleted: they were older than %d days.%s",
            swept.files,
            swept.runs,
            settings.transcript_days,
            "" if swept.complete else " Time is up before all runs were looked at; the next upkeep goes on.",
        )
        return asdict(swept)
