"""A log of few entries: who decided what on a plan, who amended a task.

Each entry is one file with the next free number in its name, created once and never changed, so two writers at the
same moment both get in, in some order, and nobody reads half an entry.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from chassis.errors import RecordBrokenError

if TYPE_CHECKING:
    from chassis.files import Files

_ENTRY = re.compile(r"[0-9]{6}\.json")


class NumberedLog:
    """The entries in one folder of the record store. Its methods read and write files, and so block.

    :param files: the record store
    :param folder: below its root, such as ``<run folder>/amendments``
    """

    def __init__(self, files: Files, folder: str) -> None:
        self._files = files
        self._folder = folder

    def append(self, entry: dict[str, Any]) -> int:
        """Add an entry, as JSON, and return its number, from 1.

        :raises StoreError: it is unknown whether the entry is there
        """
        content = json.dumps(entry, sort_keys=True, allow_nan=False).encode() + b"\n"
        number = max((int(name[:6]) for name in self._names()), default=0)
        while True:
            number += 1
            if self._files.create(f"{self._folder}/{number:06d}.json", content):
                return number

    def entries(self) -> dict[int, dict[str, Any]]:
        """All entries by their numbers, oldest first.

        :raises RecordBrokenError: one of them was edited and is no JSON object any more
        :raises StoreError: it can't be told what is there
        """
        names = self._names()
        contents = self._files.read_all(f"{self._folder}/{name}" for name in names)
        return {int(name[:6]): self._parsed(f"{self._folder}/{name}", contents) for name in names}

    def _names(self) -> list[str]:
        found = (name.removeprefix(f"{self._folder}/") for name in self._files.names(self._folder))
        return sorted(name for name in found if _ENTRY.fullmatch(name))

    def _parsed(self, name: str, contents: dict[str, bytes]) -> dict[str, Any]:
        try:
            entry = json.loads(contents[name])
        except (KeyError, ValueError):
            entry = None
        if not isinstance(entry, dict):
            raise RecordBrokenError(
                f"{self._files.locate(name)} is no entry of a log: it was edited or removed by hand.",
                hint="Put the original back.",
            )
        return entry
