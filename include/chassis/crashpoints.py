"""Named points at which a killed process must leave nothing half-done; tests can arm them.

Set ``CHASSIS_CRASH_AT`` to one of the names: the process that reaches it is killed as by ``kill -9``.
"""

from __future__ import annotations

import os
import signal

ARMED_BY = "CHASSIS_CRASH_AT"

REVISION_CLAIMED = "store.revision-claimed"
"""A revision number is taken, but has no plan yet."""
FILE_STAGED = "store.file-staged"
"""A file's text is under a temporary name; its own name isn't given yet. (S3 has no such moment.)"""
PLAN_WRITTEN = "store.plan-written"
"""The plan is in the store; the publisher doesn't know yet."""
VERSION_RECORDED = "bundle.version-recorded"
"""The version's manifest is in the store; no loader file is replaced yet."""
SHARD_REPLACED = "bundle.shard-replaced"
"""One loader file is replaced; others may still be the old ones."""
ENTRY_APPENDED = "ledger.entry-appended"
"""An entry is in a run's ledger; its writer doesn't know yet."""
CHECKPOINT_WRITTEN = "ledger.checkpoint-written"
"""A checkpoint is beside the ledger's entries; the writer of its last entry doesn't know yet."""
ANSWER_KEPT = "ledger.answer-kept"
"""A paid answer is kept; the ledger doesn't know yet that its call has ended."""

STORE_POINTS = (REVISION_CLAIMED, FILE_STAGED, PLAN_WRITTEN)
BUNDLE_POINTS = (VERSION_RECORDED, SHARD_REPLACED)
LEDGER_POINTS = (FILE_STAGED, ENTRY_APPENDED, CHECKPOINT_WRITTEN, ANSWER_KEPT)


def reached(point: str) -> None:
    """Die here if a test has armed this point."""
    if os.environ.get(ARMED_BY) == point:
        os.kill(os.getpid(), signal.SIGKILL)
