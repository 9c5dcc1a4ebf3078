"""Deletes transcripts that are older than the setting, in every run's records."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chassis.contract.record_paths import TRANSCRIPTS
from chassis.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from chassis.files import Files


@dataclass(frozen=True)
class Swept:
    """What was deleted.

    :ivar files: transcripts of calls
    :ivar runs: runs that lost transcripts
    :ivar complete: whether all runs were checked; if not, the next sweep does the rest
    """

    files: int
    runs: int
    complete: bool


def delete_transcripts(
    files: Files, *, before: float, seconds: float, clock: Callable[[], float] = time.monotonic
) -> Swept:
    """Delete the transcripts written before a moment.

    A transcript's age is that of its file, by the store's clock. If this is stopped, the next sweep continues.

    :param before: seconds since 1970
    :param seconds: time limit, after which no further run is started on
    :raises StoreError: the store can't be read, or refuses to delete transcripts
    """
    deadline = clock() + seconds
    deleted = runs = 0
    for folder in (f"{dag}/{run}/{TRANSCRIPTS}" for dag in files.folders("") for run in files.folders(dag)):
        if clock() > deadline:
            return Swept(deleted, runs, complete=False)
        if old := files.older(folder, before):
            files.delete(old)
            if left := set(old) & set(files.older(folder, before)):
                raise StoreError(
                    f"The record store keeps {len(left)} of {len(old)} transcripts in {files.locate(folder)}, "
                    f"which were to be deleted; {deleted} others are deleted.",
                    hint="Let Airflow's workers delete there (on S3: s3:DeleteObject).",
                )
            deleted, runs = deleted + len(old), runs + 1
    return Swept(deleted, runs, complete=True)
