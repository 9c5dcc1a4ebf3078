"""Files under a root, a folder or a prefix of an S3 bucket, behind the same operations.

The plan store and the run records build on it. The problem: many writers and readers on many machines share a root, and
each may be killed at any moment.

Invariants that must not be relaxed:

1. For a name, ``claim`` and ``create`` succeed for one caller only, ever: revision numbers and the ledger's limits
   depend on it. In a folder, they use an exclusive create or a hard link; on S3, a put with ``If-None-Match: *``.
2. A file that ``write`` or ``create`` has named is complete. In a folder, the content goes to a temporary file first,
   which is then renamed or linked; on S3, one put is atomic by itself.
3. Unreadable is not absent. Only a listing that really succeeded and a file that is really missing mean "nothing
   there"; everything else raises :class:`StoreError`. (A plan store taken for empty would lose every workflow's DAG;
   a ledger taken for empty would spend its budget again.)

Folders aren't read through fsspec: its ``find`` swallows every ``OSError``, which breaks the third rule, and it stages
atomic writes in another folder, from where a move may be a copy, which breaks the second.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from chassis.errors import SettingsError
from chassis.files.folder import FolderFiles, create_atomically, write_atomically
from chassis.files.objects import ObjectFiles
from chassis.files.place import LAST_NUMBER, NUMBERED, ROOT_SETTING, Files, Place, numbered

__all__ = [
    "LAST_NUMBER",
    "NUMBERED",
    "Files",
    "Place",
    "create_atomically",
    "numbered",
    "open_files",
    "write_atomically",
]


def open_files(
    root: str, conn_id: str = "", cache: Path | None = None, *, what: Place = "plan store"
) -> Files:
    """Open the files under a root: an absolute folder, ``file://...`` or ``s3://bucket/prefix``.

    :param conn_id: Airflow connection for S3; empty for AWS's default chain
    :param cache: local folder for copies of what was read from S3; None to keep none
    :param what: what the root is for, for messages
    :raises SettingsError: the root is none of these
    """
    url = urlsplit(root)
    if url.scheme == "s3" and url.netloc:
        return ObjectFiles(f"{url.netloc}/{url.path.strip('/')}".rstrip("/"), conn_id, cache, what)
    if url.scheme in ("", "file"):
        folder = Path(url.path if url.scheme else root).expanduser()
        if folder.is_absolute():
            return FolderFiles(folder, what)
    raise SettingsError(
        f"The {what} can't be at {root!r}.",
        hint=f"Set {ROOT_SETTING[what]} in [chassis] to an absolute folder or to s3://bucket/prefix.",
    )
