"""What the command line takes: text in UTF-8 without control characters, finite numbers, files that can be read.

Every command loads this at its start, so only Typer and the errors are imported.
"""

from __future__ import annotations

import math
import re
import sys
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from chassis.errors.client import UsageError

_HALVES = re.compile("[\ud800-\udfff]")
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")  # but line feed, carriage return and tab
_MOST_BYTES = 10_000_000
"""More than any plan has; a device that never ends is not read to its end."""


class CommandLine(TyperGroup):
    """The commands. Refuses an argument that isn't text before any command sees it."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        for number, argument in enumerate(args, 1):
            if _HALVES.search(argument):
                raise typer.BadParameter(
                    f"Argument {number} is not UTF-8 text. Set the terminal to UTF-8, or give the text in a file."
                )
            if found := _CONTROLS.search(argument):
                raise typer.BadParameter(
                    f"Argument {number} holds the control character U+{ord(found[0]):04X}. Leave it out."
                )
        return super().parse_args(ctx, args)


def finite(value: Any) -> Any:
    """Callback of an option that takes a decimal number: Python reads ``inf`` and ``nan`` as numbers, too.

    :raises typer.BadParameter: it isn't finite
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise typer.BadParameter(f"{value} is not an amount. Give a number, such as 5 or 0.25.")
    return value


def folder(value: Any) -> Any:
    """Callback of an option that names a folder, which may be missing.

    :raises typer.BadParameter: there can be no such folder, or something else is there
    """
    try:
        parent = next(each for each in (value, *value.parents) if each.exists())
    except OSError as error:
        raise typer.BadParameter(f"The path can't be used: {error.strerror}.") from None
    if not parent.is_dir():
        raise typer.BadParameter(f"{parent} is not a folder.")
    return value


def read_text(file: str | Path, *, most_bytes: int = _MOST_BYTES) -> str:
    """The text of a file, or of standard input for ``-``.

    :raises UsageError: it can't be read, is too long, or is not UTF-8
    """
    standard_input = str(file) == "-"
    name = "Standard input" if standard_input else str(file)
    try:
        if standard_input:
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


def read_requirement(argument: str, file: str | None) -> str:
    """What is to be done: the argument, or the text of a file.

    :param file: path of a file in UTF-8, ``-`` for standard input, None for the argument
    :raises UsageError: none or two are given, or the text can't be a requirement
    """
    from chassis.workflow.field_types import MAX_REQUIREMENT

    if (file is not None) == bool(argument):
        raise UsageError(
            "Say what is to be done, once.",
            hint='Give REQUIREMENT in quotes, or --requirement-file FILE; "-" reads standard input.',
        )
    text = argument if file is None else read_text(file, most_bytes=4 * MAX_REQUIREMENT).strip()
    if found := _CONTROLS.search(text):
        raise UsageError(f"The requirement holds the control character U+{ord(found[0]):04X}. Leave it out.")
    if not text.strip():
        raise UsageError("The requirement is blank.", hint="Say in plain words what is to be done.")
    if len(text) > MAX_REQUIREMENT:
        raise UsageError(
            f"The requirement has {len(text):,} characters; at most {MAX_REQUIREMENT:,} are allowed.",
            hint="Shorten it, or split it into several workflows.",
        )
    return text
