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
from chassis.errors import LimitSpentError
from chassis.files import open_files
from chassis.ledger.call_identity import CallIdentity
from chassis.ledger.entries import Closed
from chassis.ledger.journal import RunLedger
from chassis.ledger.kept_answers import KeptAnswers
from tests.integration.s3 import CONN_ID
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


def ends(point: str, root: str, what: str) -> int:
    """How a process ends that does something of a call, armed to die at a point."""
    environment = os.environ | {crashpoints.ARMED_BY: point}
    command = [sys.executable, "-c", CALL, root, CONN_ID, what]
    done = subprocess.run(command, env=environment, check=False, capture_output=True, timeout=60)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr.decode()
    return done.returncode


def killed(point: str, root: str, what: str) -> None:
    assert ends(point, root, what) == -signal.SIGKILL, f"it doesn't come to {point}"


def reopened(root: str) -> tuple[RunLedger, Files]:
    files = open_files(root, CONN_ID, what="record store")
    return RunLedger(files, DAG, RUN, clock=lambda: 0.0), files


@pytest.mark.parametrize("point", crashpoints.LEDGER_POINTS)
def test_killed_at_any_point_no_call_is_forgotten_and_no_kept_answer_is_paid_again(
    tmp_path: Path, point: str
) -> None:
    came_to_it = 0
    for what in ("open", "close"):
        root = str(tmp_path / what)
        if what == "close":
            reopened(root)[0].reserve(opened("a"), LIMITS)
        came_to_it += ends(point, root, what) != 0
        ledger, files = reopened(root)
        begun = bool(ledger.entries())
        if kept := KeptAnswers(files, IDENTITY).recall("d"):
            ledger.close(Closed.model_validate(kept["closed"]))
            assert (ledger.totals().calls, ledger.totals().spent_usd) == (1, 0.1), f"{what}: paid once"
        else:
            assert ledger.reserve(opened("b"), LIMITS), f"{what}: the retry may ask"
            assert ledger.totals().uncertain_calls == begun, (
                f"{what}: a call that was begun may have been paid"
            )
    assert came_to_it, f"no process comes to {point}"


def test_killed_before_the_entry_has_its_name_there_is_no_call(tmp_path: Path) -> None:
    """(S3 has no such moment.)"""
    root = str(tmp_path)
    killed(crashpoints.FILE_STAGED, root, "open")
    ledger, _ = reopened(root)
    assert ledger.entries() == []
    assert ledger.reserve(opened("b"), LIMITS)
    assert [entry.call for entry in ledger.entries()] == ["b"]


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
    assert ledger.entries() == [opened("a"), answered("a", 0.1)]
    assert (ledger.totals().calls, ledger.totals().spent_usd, ledger.totals().open_calls) == (1, 0.1, 0)


def test_killed_before_the_answer_has_its_name_there_is_none(tmp_path: Path) -> None:
    """(S3 has no such moment.)"""
    root = str(tmp_path)
    reopened(root)[0].reserve(opened("a"), LIMITS)
    killed(crashpoints.FILE_STAGED, root, "close")
    ledger, files = reopened(root)
    assert KeptAnswers(files, IDENTITY).recall("d") is None
    assert ledger.totals().open_calls == 1
