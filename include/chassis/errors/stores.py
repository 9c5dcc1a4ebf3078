"""Failures of the plan store and the record store."""

from __future__ import annotations

from chassis.errors.base import ChassisError


class StoreError(ChassisError):
    """A store of plans or records can't be read or written, often because of a disk or network fault that passes.

    A retry may help.
    """

    retryable = True
    wait = "each second for a minute where a call is prepared or kept; then the task's retry delay"
    remedy = "Check that this machine can read and write there; the task tries again by itself."


class NotStoredError(ChassisError):
    """The store is readable, but the file isn't there. A retry can't help."""


class RecordBrokenError(ChassisError):
    """A file of a run's ledger is missing or was edited, so its spending is unknown. A retry can't help."""

    remedy = "Put the file back. To forget what the run has spent, delete the run's whole folder of records."
