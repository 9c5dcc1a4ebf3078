"""The upkeep's DAG."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pendulum
import pytest
from airflow.timetables.base import TimeRestriction

from chassis.dag.upkeep import DeleteTranscriptsOperator, upkeep_dag
from chassis.records.transcripts import Transcripts, Turn


def test_it_runs_daily_from_the_next_day_on_and_never_twice_at_once() -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    dag = upkeep_dag("chassis_upkeep")
    assert not dag.catchup
    assert dag.max_active_runs == 1
    assert dag.is_paused_upon_creation is False
    timetable = DagSerialization.from_dict(DagSerialization.to_dict(dag)).timetable
    info = timetable.next_dagrun_info_v2(
        last_dagrun_info=None, restriction=TimeRestriction(earliest=None, latest=None, catchup=False)
    )
    assert info is not None
    assert pendulum.now("UTC") < info.run_after <= pendulum.now("UTC").add(days=1)


@pytest.mark.parametrize(("days", "deleted"), [(30, 0), (0, 1)])
def test_it_deletes_what_is_older_than_the_setting_and_tells_how_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int, deleted: int
) -> None:
    from chassis.files import open_files

    monkeypatch.setenv("AIRFLOW__CHASSIS__RECORDS_ROOT", str(tmp_path))
    monkeypatch.setenv("AIRFLOW__CHASSIS__TRANSCRIPT_DAYS", str(days))
    turn = Turn(call="c", task_id="t", model="m", at="2026-11-22T12:00:00+00:00", outcome="answered")
    Transcripts(open_files(str(tmp_path)), "d", "r").write(turn, 1)
    context: Any = {}
    found = DeleteTranscriptsOperator(task_id="delete").execute(context)
    assert found == {"files": deleted, "runs": deleted, "complete": True}
