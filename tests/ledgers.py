"""What stands in a run's ledger, read entry by entry, without the ledger that is tested."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chassis.contract.record_paths import RunPaths
from chassis.files import NUMBERED
from chassis.ledger.entries import Closed, Opened, parse_entry

if TYPE_CHECKING:
    from chassis.files import Files
    from chassis.ledger.entries import Entry


def entries_of(files: Files, dag_id: str, run_id: str) -> list[Entry]:
    """All entries of a run's ledger, in their order."""
    names = files.names(RunPaths(dag_id, run_id).ledger)
    entries = [name for name in names if NUMBERED.fullmatch(name.rpartition("/")[2])]
    contents = files.read_all(sorted(entries))
    return [parse_entry(contents[name]) for name in sorted(contents)]


def open_calls_of(files: Files, dag_id: str, run_id: str) -> list[Opened]:
    """The calls of a run that no entry closes, in their order."""
    entries = entries_of(files, dag_id, run_id)
    ended = {entry.call for entry in entries if isinstance(entry, Closed)}
    return [entry for entry in entries if isinstance(entry, Opened) and entry.call not in ended]
