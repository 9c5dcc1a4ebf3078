"""A log with few entries: decisions on a plan, amendments of tasks.

Each entry is one file named by the next free number, created once and never changed. So two writers at the same moment
both succeed, in some order, and nobody reads half an entry.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from chassis.errors import RecordBrokenError
from chassis.files import NUMBERED, numbered

if TYPE_CHECKING:
    from collections.abc import Callable

    from chassis.files import Files

E = TypeVar("E")


class NumberedLog(Generic[E]):
    """The entries in one folder of the record store. Its methods read and write files, so they block.

    :param folder: below the store's root, such as ``<run folder>/amendments``
    :param parsed: makes an entry from its JSON object; raises ValueError if it is invalid
    """

    def __init__(self, files: Files, folder: str, parsed: Callable[[dict[str, Any]], E]) -> None:
        self._files = files
        self._folder = folder
        self._parsed = parsed

    def append(self, entry: dict[str, Any]) -> int:
        """Add an entry, as JSON, and return its number, from 1.

        :raises StoreError: it is unknown whether the entry is there
        """
        content = json.dumps(entry, sort_keys=True, allow_nan=False).encode() + b"\n"
        number = max(self._numbers(), default=0)
        while True:
            number += 1
            if self._files.create(numbered(self._folder, number), content):
                return number

    def entries(self) -> dict[int, E]:
        """All entries by number, oldest first.

        :raises RecordBrokenError: an entry was edited and is invalid
        :raises StoreError: the entries can't be listed or read
        """
        names = {number: numbered(self._folder, number) for number in sorted(self._numbers())}
        contents = self._files.read_all(names.values())
        return {number: self._entry(name, contents.get(name)) for number, name in names.items()}

    def _numbers(self) -> list[int]:
        names = (name.rpartition("/")[2] for name in self._files.names(self._folder))
        return [int(match[1]) for match in map(NUMBERED.fullmatch, names) if match]

    def _entry(self, name: str, content: bytes | None) -> E:
        try:
            entry = json.loads(content or b"")
            if isinstance(entry, dict):
                return self._parsed(entry)
        except ValueError:
            pass
        raise RecordBrokenError(
            f"{self._files.locate(name)} is no entry of a log: it was edited or removed by hand.",
            hint="Put the original back.",
        )
