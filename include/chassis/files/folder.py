"""Files in a folder, and the two ways to give a complete file its name there."""

from __future__ import annotations

import os
import time
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING

from chassis.crashpoints import FILE_STAGED, reached
from chassis.errors import NotStoredError
from chassis.files.place import Place, Reports, numbered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

_LOOK_AHEAD = (*range(1, 9), *(2**power for power in range(4, 11)))
"""Distances at which to look for a file behind a missing one, so that a folder of many thousands need not be listed."""


def write_atomically(
    path: Path, content: bytes, *, durable: bool = False, mtime: float | None = None
) -> None:
    """Write a whole file: readers see the old file or the new one, never a part.

    :param durable: flush the content to disk before it gets its name, to survive a power failure
    :param mtime: modification time to set, in seconds since 1970; None for now
    """
    with _staged(path, content, durable=durable) as staged:
        if mtime is not None:
            os.utime(staged, (time.time(), mtime))
        reached(FILE_STAGED)
        staged.replace(path)


def create_atomically(path: Path, content: bytes) -> bool:
    """Create a whole file under a free name, with both flushed to disk; False if the name is taken.

    Uses a hard link: a rename would replace an existing file, and an exclusive create would name a file that is still
    empty.
    """
    with _staged(path, content, durable=True) as staged:
        reached(FILE_STAGED)
        try:
            path.hardlink_to(staged)
        except FileExistsError:
            return False
        _sync_folder(path.parent)
        return True


@contextmanager
def _staged(path: Path, content: bytes, *, durable: bool) -> Iterator[Path]:
    """A temporary file with the content beside the path, deleted at the end unless it was renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with staged.open("xb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        yield staged
    finally:
        staged.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Flush the names in a folder to disk, too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class FolderFiles:
    """Files in a folder that all machines share."""

    def __init__(self, root: Path, what: Place = "plan store") -> None:
        self._root = root
        self._reported = Reports(what)

    def names(self, folder: str) -> list[str]:
        with self._reported.of("list", self.locate(folder)):
            return self._files_in(folder)

    def names_below(self, wanted: Callable[[str], bool]) -> list[str]:
        with self._reported.of("list", self.locate("")):
            folders = [e.name for e in _entries(self._root) if wanted(e.name) and e.is_dir()]
            return [name for folder in folders for name in self._files_in(folder)]

    def _files_in(self, folder: str) -> list[str]:
        entries = _entries(self._root / folder)
        return [f"{folder}/{entry.name}" for entry in entries if not entry.is_dir(follow_symlinks=False)]

    def folders(self, folder: str) -> list[str]:
        with self._reported.of("list", self.locate(folder)):
            return sorted(entry.name for entry in _entries(self._root / folder) if entry.is_dir())

    def read(self, name: str) -> bytes:
        with self._reported.of("read", self.locate(name)):
            try:
                return (self._root / name).read_bytes()
            except FileNotFoundError as error:
                raise self._reported.absent(self.locate(name)) from error

    def read_all(self, names: Iterable[str]) -> dict[str, bytes]:
        contents = {}
        for name in names:
            try:
                contents[name] = self.read(name)
            except NotStoredError:
                continue
        return contents

    def numbered_after(self, folder: str, number: int, most: int) -> dict[int, bytes] | None:
        with self._reported.of("read", self.locate(folder)):
            if number and self._numbered(folder, number) is None:
                return None
            found: dict[int, bytes] = {}
            while len(found) < most:
                number += 1
                content = self._numbered(folder, number)
                if content is None and (later := self._one_beyond(folder, number)):
                    content = self._numbered(folder, number)  # It may have been written since the first look.
                    if content is None:
                        return found | later
                if content is None:
                    return found
                found[number] = content
            return found

    def _one_beyond(self, folder: str, number: int) -> dict[int, bytes]:
        for later in (number + distance for distance in _LOOK_AHEAD):
            if (content := self._numbered(folder, later)) is not None:
                return {later: content}
        return {}

    def _numbered(self, folder: str, number: int) -> bytes | None:
        try:
            return (self._root / numbered(folder, number)).read_bytes()
        except FileNotFoundError:
            return None

    def fetch(self, names: Iterable[str]) -> None:
        """Do nothing: reads go to the folder itself."""

    def claim(self, name: str) -> bool:
        path = self._root / name
        with self._reported.of("claim", str(path)):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                path.open("x").close()
            except FileExistsError:
                return False
            return True

    def create(self, name: str, content: bytes) -> bool:
        with self._reported.of("create", self.locate(name)):
            return create_atomically(self._root / name, content)

    def write(self, name: str, content: bytes) -> None:
        with self._reported.of("write", self.locate(name)):
            write_atomically(self._root / name, content, durable=True)

    def older(self, folder: str, moment: float) -> list[str]:
        with self._reported.of("list", self.locate(folder)):
            return sorted(self._written_before(folder, moment))

    def _written_before(self, folder: str, moment: float) -> Iterator[str]:
        for entry in _entries(self._root / folder):
            name = f"{folder}/{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                yield from self._written_before(name, moment)
                continue
            try:
                written = entry.stat(follow_symlinks=False).st_mtime
            except FileNotFoundError:
                continue  # Another process has deleted it, or given it its name.
            if written < moment:
                yield name

    def delete(self, names: Iterable[str]) -> None:
        for name in names:
            path = self._root / name
            with self._reported.of("delete", str(path)):
                path.unlink(missing_ok=True)
                self._prune(path.parent)

    def _prune(self, folder: Path) -> None:
        """Delete empty folders, upwards; a writer makes its folder when it writes."""
        while folder != self._root:
            try:
                folder.rmdir()
            except OSError:  # It isn't empty, or is already gone.
                return
            folder = folder.parent

    def locate(self, name: str) -> str:
        return str(self._root / name)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        return []
