"""Checkpoints: the sums of a ledger's entries, so that a reader need not read them all.

The writer of every 250th entry also writes a checkpoint, named by that entry's number N. It holds the sums of entries 1
to N and nothing else, so every writer would write the same bytes.

A checkpoint only saves time. If one is missing (its writer was killed), was edited, was written by another version or
belongs to a deleted ledger, the reader uses an earlier one, or the entries themselves. A checkpoint names the digest of
entry N; that entry holds a name that is used only once, so the digest identifies the ledger.
"""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING

from chassis.errors import StoreError
from chassis.files import NUMBERED, numbered
from chassis.files.sealed import sealed, unsealed
from chassis.ledger.sums import Fold

if TYPE_CHECKING:
    from chassis.contract.record_paths import RunPaths
    from chassis.files import Files

log = logging.getLogger(__name__)

EVERY = 250
"""Entries between two checkpoints."""
_KIND, _VERSION = "checkpoint", 1


class Checkpoints:
    """The checkpoints of one run's ledger, in the record store."""

    def __init__(self, files: Files, paths: RunPaths) -> None:
        self._files = files
        self._paths = paths

    def write(self, number: int, entry: bytes, fold: Fold) -> None:
        """Write the checkpoint for entry ``number``. Log a warning if the store fails.

        :param entry: the content of that entry's file
        """
        name, before = numbered(self._paths.checkpoints, number), numbered(self._paths.ledger, number - 1)
        state = {"version": _VERSION, "ends_with": _digest(entry), "fold": fold.state()}
        content = sealed(_KIND, state)
        try:
            if not self._files.read_all([before]):
                return  # The run's records were deleted meanwhile, so these sums belong to another ledger.
            if not self._files.create(name, content) and self._files.read(name) != content:
                log.warning(
                    "%s was edited, or is of a ledger that was deleted: replaced.", self._files.locate(name)
                )
                self._files.write(name, content)
        except StoreError as error:
            log.warning("No checkpoint is written: %s", error)

    def newest(self) -> tuple[int, Fold]:
        """Return the newest valid checkpoint's number and sums; number 0 if there is none.

        :raises StoreError: the checkpoints can't be listed or read
        """
        names = self._files.names(self._paths.checkpoints)
        matches = (NUMBERED.fullmatch(name.rpartition("/")[2]) for name in names)
        for number in sorted((int(match[1]) for match in matches if match), reverse=True):
            if (fold := self._read(number)) is not None:
                return number, fold
        return 0, Fold()

    def _read(self, number: int) -> Fold | None:
        name, entry = numbered(self._paths.checkpoints, number), numbered(self._paths.ledger, number)
        contents = self._files.read_all((name, entry))
        _, state = unsealed(_KIND, contents.get(name, b"")) or ("", {})
        if state.get("version") == _VERSION and state["ends_with"] == _digest(contents.get(entry, b"")):
            return Fold.restored(state["fold"])
        log.warning("%s is no checkpoint of this ledger, or was edited: not used.", self._files.locate(name))
        return None


def _digest(entry: bytes) -> str:
    return hashlib.sha256(entry).hexdigest()
