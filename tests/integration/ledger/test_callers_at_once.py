"""Processes that make calls of one run at the same moment: no entry is lost, and every limit holds for all together."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from chassis.contract.record_paths import RunPaths
from chassis.contract.spending import RunLimits
from chassis.files import open_files
from chassis.ledger.entries import Opened
from chassis.ledger.journal import RunLedger
from chassis.workflow import SpendLimits
from tests.integration.ledger.callers import BOUND, COST, DAG, RUN
from tests.integration.s3 import CONN_ID
from tests.ledgers import entries_of

if TYPE_CHECKING:
    from chassis.files import Files

SCRIPT = Path(__file__).with_name("callers.py")
CROWD = {"folder": (8, 25), "s3": (3, 6)}
"""Processes, and calls of each; fewer on S3, where each makes an AWS client of its own."""
LEDGER = RunPaths(DAG, RUN).ledger


@pytest.fixture(params=["folder", "s3"])
def crowd(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, int, int]:
    """Root of a record store, and how many call there how often."""
    root = str(tmp_path) if request.param == "folder" else str(request.getfixturevalue("s3_root"))
    return root, *CROWD[request.param]


@pytest.fixture
def folder(tmp_path: Path) -> tuple[str, int, int]:
    """The same, in a folder only."""
    return str(tmp_path), *CROWD["folder"]


def call(crowd: tuple[str, int, int], limits: RunLimits) -> tuple[list[dict[str, Any]], RunLedger, Files]:
    """What each process was allowed, and the ledger as the next one finds it."""
    root, processes, calls = crowd
    command = [
        *(sys.executable, str(SCRIPT), root, CONN_ID, str(processes), str(calls)),
        limits.model_dump_json(exclude_none=True),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"process"')]
    assert len(told) == processes
    files = open_files(root, CONN_ID, what="record store")
    return told, RunLedger(files, DAG, RUN), files


def test_no_entry_is_lost(crowd: tuple[str, int, int]) -> None:
    told, ledger, files = call(crowd, RunLimits(max_parallel=1000))
    _, processes, calls = crowd
    made = {name for one in told for name in one["calls"]}
    assert len(made) == processes * calls
    assert {entry.call for entry in entries_of(files, DAG, RUN) if isinstance(entry, Opened)} == made
    assert len(files.names(LEDGER)) == len(entries_of(files, DAG, RUN)) == 2 * len(made)
    totals = ledger.totals()
    assert (totals.calls, totals.open_calls, totals.uncertain_calls) == (len(made), 0, 0)
    assert totals.cost_usd == round(COST * len(made), 9)


def test_a_budget_is_passed_by_one_call_at_most_and_is_used_up(crowd: tuple[str, int, int]) -> None:
    _, processes, calls = crowd
    budget = round(COST * processes * calls / 3 + COST / 2, 6)
    told, ledger, files = call(crowd, RunLimits(run=SpendLimits(budget_usd=budget), max_parallel=1000))
    spent = ledger.totals().spent_usd
    assert budget <= spent < budget + COST
    assert sum(len(one["calls"]) for one in told) == round(spent / COST)
    assert all(one["refused"] == "LimitSpentError" for one in told if len(one["calls"]) < calls)
    check_every_opening_against_what_stood_before(files, budget)


def check_every_opening_against_what_stood_before(files: Files, budget: float) -> None:
    """Whoever opened a call had less than the budget before it, were all open calls to cost as much as they may."""
    spent, open_calls = 0.0, 0
    for entry in entries_of(files, DAG, RUN):
        if isinstance(entry, Opened):
            assert spent + open_calls * BOUND < budget
            open_calls += 1
        else:
            spent, open_calls = round(spent + (entry.cost_usd or 0), 9), open_calls - 1


def test_the_calls_of_a_run_are_counted_over_all_processes(folder: tuple[str, int, int]) -> None:
    _, processes, calls = folder
    most = processes * calls // 2
    told, ledger, _ = call(folder, RunLimits(run=SpendLimits(max_calls=most), max_parallel=1000))
    assert sum(len(one["calls"]) for one in told) == ledger.totals().calls == most


def test_no_more_calls_are_open_than_may_be(folder: tuple[str, int, int]) -> None:
    told, _, files = call(folder, RunLimits(max_parallel=1))
    assert sum(len(one["calls"]) for one in told) == folder[1] * folder[2]
    turns = [isinstance(entry, Opened) for entry in entries_of(files, DAG, RUN)]
    assert turns == [True, False] * (len(turns) // 2), "each call is closed before the next one is opened"
