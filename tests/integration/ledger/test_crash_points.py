"""A process that is killed at any place that the code names: nothing half-written, nothing forgotten, nothing paid
twice that was kept."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from chassis import crashpoints
from chassis.contract.record_paths import RunPaths
from chassis.errors import LimitSpentError
from chassis.files import numbered, open_files
from chassis.ledger.call_identity import CallIdentity
from chassis.ledger.checkpoints import EVERY
from chassis.ledger.entries import Closed, entry_text
from chassis.ledger.journal import RunLedger
from chassis.ledger.kept_answers import KeptAnswers
from tests.integration.s3 import CONN_ID
from tests.ledgers import entries_of
from tests.unit.ledger.makers import DAG, RUN, answered, opened, run_limits

if TYPE_CHECKING:
    from pathlib import Path

    from chassis.files import Files

CALL = """
import sys
from chassis.crashpoints import ANSWER_KEPT, reached
from chassis.files import open_files
from chassis.ledger.kept_answers import KeptAnswers
from chassis.ledger.journal import RunLedger
from chassis.ledger.call_identity import CallIdentity
from tests.unit.ledger.makers import DAG, RUN, answered, opened, run_limits

files = open_files(sys.argv[1], sys.argv[2], what="record store")
ledger = RunLedger(files, DAG, RUN, clock=lambda: 0.0)
if sys.argv[3] == "open":
    ledger.reserve(opened("a"), run_limits(max_calls=2))
else:
    identity = CallIdentity(dag_id=DAG, run_id=RUN, clear_number=0, task_id="deploy")
    KeptAnswers(files, identity).keep("d", {"closed": answered("a", 0.1).model_dump(mode="json")})
    reached(ANSWER_KEPT)
    ledger.close(answered("a", 0.1))
"""
IDENTITY = CallIdentity(dag_id=DAG, run_id=RUN, clear_number=0, task_id="deploy", try_number=2)
LIMITS = run_limits(max_calls=2)


def killed(point: str, root: str, what: str) -> None:
    """Have a process do something of a call, and die at a point that it must come to."""
    environment = os.environ | {crashpoints.ARMED_BY: point}
    command = [sys.executable, "-c", CALL, root, CONN_ID, what]
    done = subprocess.run(command, env=environment, check=False, capture_output=True, timeout=60)
    assert done.returncode == -signal.SIGKILL, f"{point}: {done.stderr.decode()}"


def reopened(root: str) -> tuple[RunLedger, Files]:
    files = open_files(root, CONN_ID, what="record store")
    return RunLedger(files, DAG, RUN, clock=lambda: 0.0), files


@pytest.mark.parametrize("point", crashpoints.LEDGER_POINTS)
def test_killed_at_any_point_of_a_calls_end_the_retry_pays_only_for_what_was_lost(
    tmp_path: Path, point: str
) -> None:
    """The end is the entry at which a checkpoint is due."""
    root, paths = str(tmp_path), RunPaths(DAG, RUN)
    ledger, files = reopened(root)
    earlier = [
        entry for number in range(EVERY // 2 - 1) for entry in (opened(str(number)), answered(str(number)))
    ]
    for number, entry in enumerate([*earlier, opened("a")], start=1):
        files.write(numbered(paths.ledger, number), entry_text(entry))
    killed(point, root, "close")
    ledger, files = reopened(root)
    kept = KeptAnswers(files, IDENTITY).recall("d")
    if kept is not None:
        ledger.close(Closed.model_validate(kept["closed"]))
    else:
        assert point == crashpoints.FILE_STAGED, "the answer had no name yet, so the call is made again"
        assert ledger.reserve(opened("b", try_number=2), run_limits())
        ledger.close(answered("b", 0.1))
    totals = reopened(root)[0].totals()
    assert (totals.calls, totals.uncertain_calls) == ((125, 0) if kept else (126, 1))
    assert (totals.spent_usd, totals.open_calls) == (12.5 if kept else 12.9, 0)
    written = files.names(paths.checkpoints)
    assert bool(written) == (point != crashpoints.ENTRY_APPENDED), "a killed writer leaves it out, for good"
    files.delete(written)
    assert reopened(root)[0].totals() == totals


def test_killed_before_the_entry_has_its_name_there_is_no_call(tmp_path: Path) -> None:
    """(S3 has no such moment.)"""
    root = str(tmp_path)
    killed(crashpoints.FILE_STAGED, root, "open")
    ledger, files = reopened(root)
    assert entries_of(files, DAG, RUN) == []
    assert ledger.reserve(opened("b"), LIMITS)
    assert [entry.call for entry in entries_of(files, DAG, RUN)] == ["b"]


def test_killed_once_the_call_is_opened_it_counts_though_nobody_may_have_made_it(
    root: str,
) -> None:
    killed(crashpoints.ENTRY_APPENDED, root, "open")
    ledger, _ = reopened(root)
    assert ledger.totals().open_calls == 1
    assert ledger.reserve(opened("b"), LIMITS), "the retry of the task gives the call up for lost"
    assert (ledger.totals().uncertain_calls, ledger.totals().open_calls) == (1, 1)
    with pytest.raises(LimitSpentError):
        ledger.reserve(opened("c"), LIMITS)


@pytest.mark.parametrize("point", [crashpoints.ANSWER_KEPT, crashpoints.ENTRY_APPENDED])
def test_killed_once_the_answer_is_kept_the_retry_has_it_and_settles_the_call(root: str, point: str) -> None:
    reopened(root)[0].reserve(opened("a"), LIMITS)
    killed(point, root, "close")
    ledger, files = reopened(root)
    kept = KeptAnswers(files, IDENTITY).recall("d")
    assert kept is not None
    ledger.close(Closed.model_validate(kept["closed"]))
    assert entries_of(files, DAG, RUN) == [opened("a"), answered("a", 0.1)]
    assert (ledger.totals().calls, ledger.totals().spent_usd, ledger.totals().open_calls) == (1, 0.1, 0)


def test_killed_before_the_answer_has_its_name_there_is_none(tmp_path: Path) -> None:
    """(S3 has no such moment.)"""
    root = str(tmp_path)
    reopened(root)[0].reserve(opened("a"), LIMITS)
    killed(crashpoints.FILE_STAGED, root, "close")
    ledger, files = reopened(root)
    assert KeptAnswers(files, IDENTITY).recall("d") is None
    assert ledger.totals().open_calls == 1
