"""The files under the plan store's root: a folder or a prefix of an S3 bucket, behind the same operations.

The problem: many planners and readers share the root, on many machines, and each may be killed at any moment.

Invariants that must not be relaxed:

1. ``claim`` succeeds for one caller only, ever, for a name: revision numbers rest on it. In a folder it is an
   exclusive create, on S3 a put with ``If-None-Match: *``.
2. A file that ``write`` has named is complete. In a folder the content goes to a temporary file first,
   which is then renamed; on S3 one put is atomic by itself.
3. Unreadable is not absent. Only a listing that was really made, and a file that is really not there, say
   "nothing there"; everything else raises :class:`StoreError`. (To take a store for empty would be to take
   every workflow's DAG away.)

A folder isn't read through fsspec: its ``find`` swallows every ``OSError``, which breaks the third rule,
and its atomic writes are staged in another folder, from where a move may be a copy, which breaks the
second.
"""

from __future__ import annotations

import os
import time
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from chassis.errors import ChassisError, PlanNotFoundError, SettingsError, StoreError
from chassis.plans.crashpoints import FILE_STAGED, reached
from chassis.plans.refs import is_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Files(Protocol):
    """What the store needs of a place for files. Names are relative to the root, with ``/`` between parts."""

    def names(self, folder: str = "") -> list[str]:
        """Names of the files in one folder, or in every workflow's folder; none if the folder doesn't exist.

        What isn't a plan may be among them.

        :raises StoreError: it can't be told what is there
        """

    def read(self, name: str) -> bytes:
        """A file's content.

        :raises PlanNotFoundError: the file is not there
        :raises StoreError: it can't be read
        """

    def fetch(self, names: Iterable[str]) -> None:
        """Have copies of files on this machine, so that reading them can't fail for the network. No cache,
        no copies.

        :raises StoreError: not all of them are here
        """

    def claim(self, name: str) -> bool:
        """Take a name for ever; False if it is taken, or being taken at this moment.

        :raises StoreError: it can't be told
        """

    def write(self, name: str, content: bytes) -> None:
        """Put a whole file under a name, replacing what stood there.

        :raises StoreError: nothing was written, or it is unknown whether it was
        """

    def locate(self, name: str) -> str:
        """The full path or address of a file, for people."""


def open_files(root: str, conn_id: str = "", cache: Path | None = None) -> Files:
    """The files under a root: an absolute folder, ``file://...`` or ``s3://bucket/prefix``.

    :param conn_id: Airflow connection for S3; empty for AWS's default chain
    :param cache: folder on this machine for copies of what was read from S3; None to keep none
    :raises SettingsError: the root is none of these
    """
    url = urlsplit(root)
    if url.scheme == "s3" and url.netloc:
        return ObjectFiles(f"{url.netloc}/{url.path.strip('/')}".rstrip("/"), conn_id, cache)
    if url.scheme in ("", "file"):
        folder = Path(url.path if url.scheme else root).expanduser()
        if folder.is_absolute():
            return FolderFiles(folder)
    raise SettingsError(
        f"The plan store can't be at {root!r}.",
        hint="Set plans_root in [chassis] to an absolute folder or to s3://bucket/prefix.",
    )


def write_atomically(
    path: Path, content: bytes, *, durable: bool = False, mtime: float | None = None
) -> None:
    """Put a whole file under a name: a reader sees the old file or the new one, never a part.

    :param durable: have the content on the disk before it gets its name, to survive a loss of power
    :param mtime: modification time that the file shall have, in seconds since 1970; None for now
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with staged.open("xb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        if mtime is not None:
            os.utime(staged, (time.time(), mtime))
        reached(FILE_STAGED)
        staged.replace(path)
    except BaseException:
        staged.unlink(missing_ok=True)
        raise


class FolderFiles:
    """Files in a folder that all machines share."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def names(self, folder: str = "") -> list[str]:
        with _reported("list", self.locate(folder)):
            folders = (
                [folder] if folder else [e.name for e in _entries(self._root) if is_id(e.name) and e.is_dir()]
            )
            return [f"{name}/{entry.name}" for name in folders for entry in _entries(self._root / name)]

    def read(self, name: str) -> bytes:
        with _reported("read", self.locate(name)):
            try:
                return (self._root / name).read_bytes()
            except FileNotFoundError as error:
                raise _absent(self.locate(name)) from error

    def fetch(self, names: Iterable[str]) -> None:
        """The folder itself is what is read."""

    def claim(self, name: str) -> bool:
        path = self._root / name
        with _reported("claim", str(path)):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                path.open("x").close()
            except FileExistsError:
                return False
            return True

    def write(self, name: str, content: bytes) -> None:
        with _reported("write", self.locate(name)):
            write_atomically(self._root / name, content, durable=True)

    def locate(self, name: str) -> str:
        return str(self._root / name)


class ObjectFiles:
    """Files under a prefix of an S3 bucket, through the file system of an Airflow connection.

    What was read may be kept on this machine: the store writes each file once, so a copy is never stale.
    """

    def __init__(self, base: str, conn_id: str, cache: Path | None) -> None:
        self._base = base
        self._cache = cache
        self._conn_id = conn_id or None
        self._opened: Any = None
        self._opened_by = 0

    def _fs(self) -> Any:
        """The fsspec file system of this process, without remembered listings.

        It refuses to work in a forked child, and Airflow parses and runs tasks in forked children. And it
        answers "no such file" from remembered listings, which don't know what other planners have written
        since.
        """
        if self._opened_by != os.getpid():
            from airflow.sdk.io import get_fs

            self._opened, self._opened_by = get_fs("s3", self._conn_id), os.getpid()
        self._opened.invalidate_cache()
        return self._opened

    def names(self, folder: str = "") -> list[str]:
        with _reported("list", self.locate(folder)):
            try:
                found: list[str] = self._fs().find(self._address(folder))
            except FileNotFoundError as error:  # An empty prefix is no error: the bucket isn't there.
                raise StoreError(f"The plan store can't list {self.locate(folder)}: {error}.") from error
        return [name.removeprefix(f"{self._base}/") for name in found]

    def read(self, name: str) -> bytes:
        with _reported("read", self.locate(name)):
            copy = self._cache / name if self._cache else None
            if copy and copy.exists():
                return copy.read_bytes()
            content = self._fetch(name)
            if copy:
                write_atomically(copy, content, durable=True)
            return content

    def _fetch(self, name: str) -> bytes:
        try:
            content: bytes = self._fs().cat_file(self._address(name))
        except FileNotFoundError as error:
            if _aws_code(error) == "NoSuchBucket":
                raise StoreError(f"The plan store can't read {self.locate(name)}: {error}.") from error
            raise _absent(self.locate(name)) from error
        return content

    def fetch(self, names: Iterable[str]) -> None:
        with _reported("read", self.locate("")):
            copies = {self._address(name): self._cache / name for name in names} if self._cache else {}
            missing = [address for address, copy in copies.items() if not copy.exists()]
            contents: dict[str, bytes] = self._fs().cat(missing) if missing else {}
            for address, content in contents.items():
                write_atomically(copies[address], content, durable=True)

    def claim(self, name: str) -> bool:
        with _reported("claim", self.locate(name)):
            try:
                self._fs().pipe_file(self._address(name), b"", mode="create")
            except FileExistsError:
                return False
            except OSError as error:
                # S3's answer to the loser of two conditional puts at the same moment.
                if _aws_code(error) == "ConditionalRequestConflict":
                    return False
                raise
            return True

    def write(self, name: str, content: bytes) -> None:
        with _reported("write", self.locate(name)):
            self._fs().pipe_file(self._address(name), content)

    def _address(self, name: str) -> str:
        return f"{self._base}/{name}".rstrip("/")

    def locate(self, name: str) -> str:
        return f"s3://{self._address(name)}"


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        return []


def _absent(where: str) -> PlanNotFoundError:
    return PlanNotFoundError(f"There is no {where} in the plan store.")


def _aws_code(error: OSError) -> str:
    response: dict[str, Any] = getattr(error.__cause__, "response", {})
    return str(response.get("Error", {}).get("Code", ""))


@contextmanager
def _reported(action: str, where: str) -> Iterator[None]:
    """Turn whatever a disk or a storage client raises into an error of Chassis that names the file."""
    try:
        yield
    except ChassisError:
        raise
    except ImportError as error:
        raise SettingsError(
            f"The plan store can't {action} {where}: {error}.",
            hint="A plan store on S3 needs: pip install 'airflow-chassis[s3]'.",
        ) from error
    except Exception as error:
        # A storage client has dozens of exceptions. Each means the same: it can't be told what is there.
        raise StoreError(
            f"The plan store can't {action} {where}: {type(error).__name__}: {error}.",
            hint="Check plans_root and plans_conn_id in [chassis], and that this machine has access there.",
        ) from error
