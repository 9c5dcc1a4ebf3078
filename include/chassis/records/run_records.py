"""All records of a run, from one place: ledger, answers, results, transcripts, amendments, decisions.

Each record is read and written by its own module. These modules are imported on demand, because a task that starts
needs only one of them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from chassis.contract.record_paths import FIRST_ENTRY, IDS, RESULTS_SINCE, RunPaths, path_segment
from chassis.errors import RecordBrokenError
from chassis.files import open_files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chassis.files import Files
    from chassis.ledger.call_identity import CallIdentity
    from chassis.ledger.journal import RunLedger
    from chassis.ledger.kept_answers import KeptAnswers
    from chassis.ledger.run_gate import RunGate
    from chassis.records.amendments import Amendments
    from chassis.records.decisions import Decisions
    from chassis.records.results import Results
    from chassis.records.transcripts import Transcripts


class RecordStore(Protocol):
    """Where the record store is. ``Settings`` say it, and so do the accounts that cross to the triggerer."""

    @property
    def records_root(self) -> str:
        """An absolute folder, or an ``s3://`` address."""

    @property
    def storage_conn_id(self) -> str:
        """Airflow connection for S3; empty for AWS's default chain."""


def open_records(where: RecordStore) -> Files:
    """Open the record store.

    :raises SettingsError: its root is neither a folder nor an ``s3://`` address
    """
    return open_files(where.records_root, where.storage_conn_id, what="record store")


class RunRecords:
    """The records of one run.

    :ivar files: the record store
    :ivar paths: where each record is in it
    """

    def __init__(self, files: Files, dag_id: str, run_id: str) -> None:
        self.files = files
        self.paths = RunPaths(dag_id, run_id)
        self._run = (files, dag_id, run_id)

    @classmethod
    def open(cls, where: RecordStore, dag_id: str, run_id: str) -> RunRecords:
        """Open a run's records. Raises what :func:`open_records` raises."""
        return cls(open_records(where), dag_id, run_id)

    @property
    def ledger(self) -> RunLedger:
        """The run's ledger, freshly opened: it has read nothing yet."""
        from chassis.ledger.journal import RunLedger

        return RunLedger(*self._run)

    @property
    def gate(self) -> RunGate:
        """The queue of the run's calls: one gate for all of them in the running event loop."""
        from chassis.ledger.run_gate import gate_of

        return gate_of(*self._run)

    def kept_answers(self, identity: CallIdentity) -> KeptAnswers:
        """The kept answers of one clear of a task, or of one of its items."""
        from chassis.ledger.kept_answers import KeptAnswers

        return KeptAnswers(self.files, identity)

    @property
    def results(self) -> Results:
        """The results of the run's tasks, by fingerprint."""
        from chassis.records.results import Results

        return Results(*self._run)

    @property
    def transcripts(self) -> Transcripts:
        """The run's conversations with Claude."""
        from chassis.records.transcripts import Transcripts

        return Transcripts(*self._run)

    @property
    def amendments(self) -> Amendments:
        """The amendments of the run's tasks."""
        from chassis.records.amendments import Amendments

        return Amendments(*self._run)

    @property
    def decisions(self) -> Decisions:
        """The decisions on the plan of a planner's run."""
        from chassis.records.decisions import Decisions

        return Decisions(*self._run)


@dataclass(frozen=True)
class RecordedRun:
    """A run that has records.

    :ivar called: whether it has a ledger
    :ivar began_at: when its first call was opened or its first result was kept, whichever came first, in seconds since
        1970; None if neither is known
    """

    dag_id: str
    run_id: str
    called: bool
    began_at: float | None


def recorded_dags(files: Files) -> dict[str, list[RecordedRun]]:
    """The runs of each DAG that has records, sorted by DAG id. Otherwise like :func:`recorded_runs`."""
    found: dict[str, list[RecordedRun]] = {}
    for folder in files.folders(""):
        for run in _runs_in(files, folder):
            found.setdefault(run.dag_id, []).append(run)
    return {dag_id: sorted(found[dag_id], key=_newest_first) for dag_id in sorted(found)}


def recorded_runs(files: Files, dag_id: str, *, skip_broken: bool = False) -> list[RecordedRun]:
    """A DAG's runs that have made a call or kept a result, newest first.

    :param skip_broken: leave out a run whose ids can't be read
    :raises StoreError: the record store can't be read
    :raises RecordBrokenError: the file that holds a run's ids was edited
    """
    return sorted(_runs_in(files, path_segment(dag_id), skip_broken=skip_broken), key=_newest_first)


def _newest_first(run: RecordedRun) -> tuple[float, str]:
    return -(run.began_at or 0), run.run_id


def _runs_in(files: Files, folder: str, *, skip_broken: bool = False) -> Iterator[RecordedRun]:
    """The runs in a DAG's folder. Reads the ids from files, because folder names may be cut."""
    runs = [f"{folder}/{run}" for run in files.folders(folder)]
    contents = files.read_all(f"{run}/{name}" for run in runs for name in (IDS, FIRST_ENTRY, RESULTS_SINCE))
    for run in runs:
        ids, kept = contents.get(f"{run}/{IDS}"), _object(contents.get(f"{run}/{RESULTS_SINCE}"))
        known = kept if ids is None else _object(ids)
        if "dag_id" in known and "run_id" in known:
            moments = (_opened_at(contents.get(f"{run}/{FIRST_ENTRY}")), _number(kept.get("at")))
            began_at = min((moment for moment in moments if moment is not None), default=None)
            yield RecordedRun(str(known["dag_id"]), str(known["run_id"]), ids is not None, began_at)
        elif ids is not None and not skip_broken:
            raise RecordBrokenError(f"{files.locate(f'{run}/{IDS}')} doesn't hold a run's id.")


def _opened_at(content: bytes | None) -> float | None:
    from chassis.ledger.entries import Opened, parse_entry

    try:
        entry = parse_entry(content or b"")
    except ValueError:
        return None
    return entry.opened_at if isinstance(entry, Opened) else None


def _object(content: bytes | None) -> dict[str, Any]:
    try:
        data = json.loads(content or b"")
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
