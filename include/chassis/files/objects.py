"""Files under a prefix of an S3 bucket."""

from __future__ import annotations

import os
from inspect import signature
from typing import TYPE_CHECKING, Any

from chassis.files.folder import write_atomically
from chassis.files.place import NUMBERED, Place, Reports, numbered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path


class ObjectFiles:
    """Files under a prefix of an S3 bucket, through the file system of an Airflow connection.

    Copies of what was read may be kept on this machine, for files that are written once, so that a copy is never stale.
    """

    def __init__(self, base: str, conn_id: str, cache: Path | None, what: Place = "plan store") -> None:
        self._base = base
        self._cache = cache
        self._conn_id = conn_id or None
        self._reported = Reports(what)
        self._opened: Any = None
        self._opened_by = 0
        self._at_once: dict[str, int] = {}

    def _fs(self) -> Any:
        """This process's fsspec file system, without cached listings.

        fsspec refuses to work in a forked child, and Airflow parses and runs tasks in forked children. And it answers
        "no such file" from cached listings, which lack what other writers have written since.
        """
        if self._opened_by != os.getpid():
            from airflow.sdk.io import get_fs

            self._opened, self._opened_by = get_fs("s3", self._conn_id), os.getpid()
            # Otherwise s3fs asks for the size of each file before it reads it: twice as many requests.
            known = signature(self._opened._cat_file).parameters
            self._at_once = {"max_concurrency": 1} if "max_concurrency" in known else {}
        self._opened.invalidate_cache()
        return self._opened

    def names(self, folder: str) -> list[str]:
        return [name for name in self._find(folder) if "/" not in name.removeprefix(f"{folder}/")]

    def names_below(self, wanted: Callable[[str], bool]) -> list[str]:
        split = ((name, name.split("/")) for name in self._find(""))
        return [name for name, parts in split if len(parts) == 2 and wanted(parts[0])]

    def _find(self, folder: str) -> list[str]:
        with self._reported.of("list", self.locate(folder)):
            try:
                found: list[str] = self._fs().find(self._address(folder))
            except FileNotFoundError as error:  # An empty prefix is no error: the bucket is missing.
                raise self._reported.failed("list", self.locate(folder), error) from error
        return [name.removeprefix(f"{self._base}/") for name in found]

    def folders(self, folder: str) -> list[str]:
        with self._reported.of("list", self.locate(folder)):
            try:
                found: list[dict[str, Any]] = self._fs().ls(self._address(folder), detail=True)
            except FileNotFoundError as error:
                if _aws_code(error) == "NoSuchBucket":
                    raise self._reported.failed("list", self.locate(folder), error) from error
                return []
        names = (entry["name"] for entry in found if entry["type"] == "directory")
        return sorted(name.rstrip("/").rpartition("/")[2] for name in names)

    def read(self, name: str) -> bytes:
        with self._reported.of("read", self.locate(name)):
            copy = self._cache / name if self._cache else None
            if copy and copy.exists():
                return copy.read_bytes()
            content = self._fetch(name)
            if copy:
                write_atomically(copy, content, durable=True)
            return content

    def _fetch(self, name: str) -> bytes:
        try:
            content: bytes = self._fs().cat_file(self._address(name), **self._at_once)
        except FileNotFoundError as error:
            if _aws_code(error) == "NoSuchBucket":
                raise self._reported.failed("read", self.locate(name), error) from error
            raise self._reported.absent(self.locate(name)) from error
        return content

    def read_all(self, names: Iterable[str]) -> dict[str, bytes]:
        addresses = {self._address(name): name for name in names}
        if not addresses:
            return {}
        with self._reported.of("read", self.locate("")):
            found: dict[str, Any] = self._fs().cat(list(addresses), on_error="return", **self._at_once)
            contents = {}
            for address, content in found.items():
                name = addresses[address]
                if isinstance(content, FileNotFoundError) and _aws_code(content) != "NoSuchBucket":
                    continue
                if isinstance(content, Exception):
                    raise self._reported.failed("read", self.locate(name), content) from content
                contents[name] = content
            return contents

    def numbered_after(self, folder: str, number: int, most: int) -> dict[int, bytes] | None:
        with self._reported.of("list", self.locate(folder)):
            listed = self._numbers_from(folder, number, most)
        if number and number not in listed and not self.read_all([numbered(folder, number)]):
            return None
        # A listing made while files are written may lack one of them; reading by name doesn't.
        wanted = {numbered(folder, n): n for n in range(number + 1, max(listed, default=0) + 1)}
        return {wanted[name]: content for name, content in self.read_all(wanted).items()}

    def _numbers_from(self, folder: str, number: int, most: int) -> set[int]:
        """Numbers of the files from ``number`` on: one request per thousand, however many come before."""
        bucket, _, prefix = self._address(folder).partition("/")
        after = f"{prefix}/{max(number - 1, 0):06d}.json"
        numbers: set[int] = set()
        while True:
            page = self._fs().call_s3(
                "list_objects_v2", Bucket=bucket, Prefix=f"{prefix}/", Delimiter="/", StartAfter=after
            )
            keys = [str(entry["Key"]) for entry in page.get("Contents", ())]
            numbers |= {
                int(match[1]) for key in keys if (match := NUMBERED.fullmatch(key.rpartition("/")[2]))
            }
            if not page["IsTruncated"] or len(numbers) > most:
                return numbers
            after = keys[-1] if keys else page["CommonPrefixes"][-1]["Prefix"]

    def fetch(self, names: Iterable[str]) -> None:
        with self._reported.of("read", self.locate("")):
            copies = {self._address(name): self._cache / name for name in names} if self._cache else {}
            missing = [address for address, copy in copies.items() if not copy.exists()]
            contents: dict[str, bytes] = self._fs().cat(missing, **self._at_once) if missing else {}
            for address, content in contents.items():
                write_atomically(copies[address], content, durable=True)

    def claim(self, name: str) -> bool:
        return self.create(name, b"")

    def create(self, name: str, content: bytes) -> bool:
        with self._reported.of("create", self.locate(name)):
            try:
                self._fs().pipe_file(self._address(name), content, mode="create")
            except FileExistsError:
                return False
            except OSError as error:
                # S3's answer to the loser of two conditional puts at the same moment.
                if _aws_code(error) == "ConditionalRequestConflict":
                    return False
                raise
            return True

    def write(self, name: str, content: bytes) -> None:
        with self._reported.of("write", self.locate(name)):
            self._fs().pipe_file(self._address(name), content)

    def older(self, folder: str, moment: float) -> list[str]:
        with self._reported.of("list", self.locate(folder)):
            try:
                found: dict[str, dict[str, Any]] = self._fs().find(self._address(folder), detail=True)
            except FileNotFoundError as error:  # As in _find.
                raise self._reported.failed("list", self.locate(folder), error) from error
        return sorted(
            address.removeprefix(f"{self._base}/")
            for address, facts in found.items()
            if facts["LastModified"].timestamp() < moment
        )

    def delete(self, names: Iterable[str]) -> None:
        addresses = [self._address(name) for name in names]
        if addresses:
            with self._reported.of("delete", self.locate("")):
                self._fs().rm(addresses)

    def _address(self, name: str) -> str:
        return f"{self._base}/{name}".rstrip("/")

    def locate(self, name: str) -> str:
        return f"s3://{self._address(name)}"


def _aws_code(error: OSError) -> str:
    response: dict[str, Any] = getattr(error.__cause__, "response", {})
    return str(response.get("Error", {}).get("Code", ""))
