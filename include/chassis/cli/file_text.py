"""Text of files that a person names: UTF-8, and no longer than it may be."""

from __future__ import annotations

import sys
from pathlib import Path

from chassis.errors.client import UsageError

STDIN = "-"
PLAN_BYTES = 10_000_000
"""More than any plan has; a device that never ends is not read to its end."""


def read_text(file: str | Path, *, most_bytes: int = PLAN_BYTES) -> str:
    """The text of a file, or of standard input for ``-``.

    :raises UsageError: it can't be read, is too long, or is not UTF-8
    """
    name = "Standard input" if file == STDIN else str(file)
    try:
        if file == STDIN:
            content = sys.stdin.buffer.read(most_bytes + 1)
        else:
            with Path(file).open("rb") as stream:
                content = stream.read(most_bytes + 1)
    except (OSError, ValueError) as error:
        raise UsageError(f"{name} can't be read: {getattr(error, 'strerror', None) or error}.") from None
    if len(content) > most_bytes:
        raise UsageError(f"{name} is too long: more than {most_bytes:,} bytes.")
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise UsageError(f"{name} is not text in UTF-8.", hint="Save it as UTF-8.") from None
