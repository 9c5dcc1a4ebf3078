"""What a store needs of a place for files, and the errors when the place fails."""

from __future__ import annotations

import errno
import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from chassis.errors import ChassisError, NotStoredError, SettingsError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Place = Literal["plan store", "record store"]
"""What a root is for, as error messages name it."""

ROOT_SETTING: dict[Place, str] = {"plan store": "plans_root", "record store": "records_root"}

NUMBERED = re.compile(r"([0-9]{6})\.json")
"""The name of a file in a folder whose files are numbered from 1."""
LAST_NUMBER = 999_999


def numbered(folder: str, number: int) -> str:
    """The name of a numbered file; names sort as their numbers do."""
    return f"{folder}/{number:06d}.json"


class Files(Protocol):
    """What a store needs of a place for files. Names are relative to the root, with ``/`` between parts."""

    def names(self, folder: str) -> list[str]:
        """Names of the files directly in a folder; none if there is no such folder.

        May include files of others, and those that a killed writer left behind.

        :raises StoreError: the folder can't be listed
        """

    def names_below(self, wanted: Callable[[str], bool]) -> list[str]:
        """Names of the files directly in each folder below the root whose name is wanted. One listing on S3.

        :raises StoreError: the folders can't be listed
        """

    def folders(self, folder: str) -> list[str]:
        """The last parts of the names of the folders directly in a folder, sorted; none if it doesn't exist.

        :raises StoreError: the folder can't be listed
        """

    def read(self, name: str) -> bytes:
        """Read a file.

        :raises NotStoredError: the file is not there
        :raises StoreError: it can't be read
        """

    def read_all(self, names: Iterable[str]) -> dict[str, bytes]:
        """The contents of files by name, on S3 many at a time, without files that don't exist.

        :raises StoreError: one of them can't be read
        """

    def numbered_after(self, folder: str, number: int, most: int) -> dict[int, bytes] | None:
        """The contents of a folder's files ``000001.json``, ``000002.json``... after a number, without listing earlier
        ones. None if the file of that number doesn't exist; number 0 always exists.

        Files are written in the order of their numbers. If one is missing although later ones exist, it is missing
        here, too, and only some of the later ones are returned.

        :param most: how many to read at least, if there are as many
        :raises StoreError: the files can't be listed or read
        """

    def fetch(self, names: Iterable[str]) -> None:
        """Copy files to this machine, so that reading them can't fail because of the network. Without a cache, copy
        nothing.

        :raises StoreError: not all of them are here
        """

    def claim(self, name: str) -> bool:
        """Take a name for ever, with an empty file; False if it is taken, or is being taken right now.

        :raises StoreError: it is unknown whether the name was taken
        """

    def create(self, name: str, content: bytes) -> bool:
        """Create a whole file under a free name; False if the name is taken, or is being taken right now.

        On S3, a caller may get False for a file that it created itself: its put was repeated because the first answer
        was lost. So a caller to whom that matters reads the file.

        :raises StoreError: it is unknown whether the file was created
        """

    def write(self, name: str, content: bytes) -> None:
        """Write a whole file, replacing any earlier one.

        :raises StoreError: nothing was written, or it is unknown whether it was
        """

    def older(self, folder: str, moment: float) -> list[str]:
        """Names of the files below a folder, at any depth, that were written before a moment.

        :param moment: seconds since 1970, by the clock of the place
        :raises StoreError: the files can't be listed
        """

    def delete(self, names: Iterable[str]) -> None:
        """Delete files, and folders that become empty; ignore files that don't exist.

        S3 doesn't report a file that it refuses to delete. So a caller to whom that matters lists again.

        :raises StoreError: some of them may still be there; deleting them again is safe
        """

    def locate(self, name: str) -> str:
        """The full path or address of a file, for people."""


@dataclass(frozen=True, slots=True)
class Reports:
    """Turns whatever a disk or a storage client raises into an error of Chassis that names place and file."""

    what: Place

    def absent(self, where: str) -> NotStoredError:
        return NotStoredError(f"There is no {where} in the {self.what}.")

    def failed(self, action: str, where: str, error: Exception) -> StoreError:
        hint = (
            f"Check {ROOT_SETTING[self.what]} and storage_conn_id in [chassis], "
            "and that this machine has access there."
        )
        if isinstance(error, OSError) and error.errno in (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK):
            hint += " A folder of records needs a file system with hard links."
        return StoreError(
            f"The {self.what} can't {action} {where}: {type(error).__name__}: {error}.", hint=hint
        )

    @contextmanager
    def of(self, action: str, where: str) -> Iterator[None]:
        try:
            yield
        except ChassisError:
            raise
        except ImportError as error:
            raise SettingsError(
                f"The {self.what} can't {action} {where}: {error}.",
                hint=f"A {self.what} on S3 needs: pip install 'airflow-chassis[s3]'.",
            ) from error
        except Exception as error:
            # A storage client has dozens of exceptions. Each means the same: the state of the place is unknown.
            raise self.failed(action, where, error) from error
