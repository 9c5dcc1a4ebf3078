"""What a store needs of a place for files, and what is said when the place fails."""

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
"""What a root is for, in the words of an error message."""

ROOT_SETTING: dict[Place, str] = {"plan store": "plans_root", "record store": "records_root"}

NUMBERED = re.compile(r"([0-9]{6})\.json")
"""The name of a file in a folder whose files are numbered from 1."""
LAST_NUMBER = 999_999


def numbered(folder: str, number: int) -> str:
    """The file of a number in a folder whose files are numbered; names sort as their numbers do."""
    return f"{folder}/{number:06d}.json"


class Files(Protocol):
    """What a store needs of a place for files. Names are relative to the root, with ``/`` between parts."""

    def names(self, folder: str) -> list[str]:
        """Names of the files that stand directly in a folder; none if there is no such folder.

        Files of others, and those that a killed writer left behind, may be among them.

        :raises StoreError: it can't be told what is there
        """

    def names_below(self, wanted: Callable[[str], bool]) -> list[str]:
        """Names of the files directly in each folder below the root whose name is wanted. One listing on S3.

        :raises StoreError: it can't be told what is there
        """

    def folders(self, folder: str) -> list[str]:
        """The last parts of the names of the folders directly in a folder, sorted; none if it isn't there.

        :raises StoreError: it can't be told what is there
        """

    def read(self, name: str) -> bytes:
        """A file's content.

        :raises NotStoredError: the file is not there
        :raises StoreError: it can't be read
        """

    def read_all(self, names: Iterable[str]) -> dict[str, bytes]:
        """The contents of files by their names, on S3 many at a time; a file that is not there is left out.

        :raises StoreError: one of them can't be read
        """

    def numbered_after(self, folder: str, number: int, most: int) -> dict[int, bytes] | None:
        """The contents of a folder's files ``000001.json``, ``000002.json``... after a number, without listing those
        up to it. None if the file of that number is not there; 0 is always there.

        Files are written in the order of their numbers. Where one is missing and later ones are there, it is missing
        here, too, and some of the later ones are here.

        :param most: how many to read at least, if there are as many
        :raises StoreError: it can't be told what is there
        """

    def fetch(self, names: Iterable[str]) -> None:
        """Have copies of files on this machine, so that reading them can't fail for the network. No cache,
        no copies.

        :raises StoreError: not all of them are here
        """

    def claim(self, name: str) -> bool:
        """Take a name for ever, with an empty file; False if it is taken, or being taken at this moment.

        :raises StoreError: it can't be told
        """

    def create(self, name: str, content: bytes) -> bool:
        """Put a whole file under a name that is free; False if it is taken, or being taken at this moment.

        On S3 a caller may be told False of a file that it has itself created: its put was repeated because
        the first answer was lost. So a caller for whom that matters looks at what stands there.

        :raises StoreError: it is unknown whether the file was created
        """

    def write(self, name: str, content: bytes) -> None:
        """Put a whole file under a name, replacing what stood there.

        :raises StoreError: nothing was written, or it is unknown whether it was
        """

    def older(self, folder: str, moment: float) -> list[str]:
        """Names of the files below a folder, however deep, that were written before a moment; none if there are none.

        :param moment: seconds since 1970, by the clock of the place
        :raises StoreError: it can't be told what is there
        """

    def delete(self, names: Iterable[str]) -> None:
        """Take files away; one that is not there is fine. A folder that has become empty goes, too.

        S3 says nothing of a file that may not be deleted. So a caller for whom that matters lists again.

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
            # A storage client has dozens of exceptions. Each means the same: it can't be told what is there.
            raise self.failed(action, where, error) from error
