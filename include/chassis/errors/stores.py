"""What the plan store or the record store can't do."""

from __future__ import annotations

from chassis.errors.base import ChassisError


class StoreError(ChassisError):
    """A store of plans or records can't be read or written. Often a passing state of a disk or a network.

    A retry may help.
    """

    retryable = True
    wait = "each second for a minute where a call is prepared or kept; then the task's retry delay"
    remedy = "Check that this machine can read and write there; the task tries again by itself."


class NotStoredError(ChassisError):
    """A file is not there, in a store that can be read. A retry can't help."""


class RecordBrokenError(ChassisError):
    """A file of a run's ledger is missing or was edited, so its spending isn't known. A retry can't help."""

    remedy = "Put the file back. To forget what the run has spent, delete the run's whole folder of records."
