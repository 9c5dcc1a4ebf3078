"""The requirement: an argument, or the text of a file or of standard input."""

from __future__ import annotations

import sys
from pathlib import Path

from chassis.cli.arguments import CONTROLS
from chassis.cli.errors import UsageError

STDIN = "-"
_MOST_BYTES = 4 * 100_000
"""No text of the most characters is longer in UTF-8; a device that never ends is not read to its end."""


def read_requirement(argument: str, file: str | None) -> str:
    """What is to be done.

    :param file: path of a file in UTF-8, ``-`` for standard input, None for the argument
    :raises UsageError: none or two are given, or the text can't be a requirement
    """
    from chassis.workflow.spec import MAX_REQUIREMENT

    if (file is not None) == bool(argument):
        raise UsageError(
            "Say what is to be done, once.",
            hint='Give REQUIREMENT in quotes, or --requirement-file FILE; "-" reads standard input.',
        )
    text = argument if file is None else _read(file)
    if found := CONTROLS.search(text):
        raise UsageError(f"The requirement holds the control character U+{ord(found[0]):04X}. Leave it out.")
    if not text.strip():
        raise UsageError("The requirement is blank.", hint="Say in plain words what is to be done.")
    if len(text) > MAX_REQUIREMENT:
        raise UsageError(
            f"The requirement has {len(text):,} characters; at most {MAX_REQUIREMENT:,} are allowed.",
            hint="Shorten it, or split it into several workflows.",
        )
    return text


def _read(file: str) -> str:
    name = "Standard input" if file == STDIN else file
    try:
        if file == STDIN:
            content = sys.stdin.buffer.read(_MOST_BYTES + 1)
        else:
            with Path(file).open("rb") as stream:
                content = stream.read(_MOST_BYTES + 1)
        return content.decode("utf-8-sig").replace("\r\n", "\n").strip()
    except OSError as error:
        raise UsageError(f"{name} can't be read: {error.strerror or error}.") from None
    except (UnicodeDecodeError, ValueError):
        raise UsageError(f"{name} is not text in UTF-8, or is too long.", hint="Save it as UTF-8.") from None
