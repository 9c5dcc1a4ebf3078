"""What every argument of the command line must be: text, without control characters, and finite where it is a number.

Only Typer is imported here: this is loaded at the start of every command.
"""

from __future__ import annotations

import math
import re
from typing import Any

import typer
from typer.core import TyperGroup

_HALVES = re.compile("[\ud800-\udfff]")
CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
"""Characters that no text needs; line feed, carriage return and tab apart."""


class CommandLine(TyperGroup):
    """The commands. Refuses an argument that isn't text before any command sees it."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        for number, argument in enumerate(args, 1):
            _check_text(number, argument)
        return super().parse_args(ctx, args)


def _check_text(number: int, argument: str) -> None:
    if _HALVES.search(argument):
        raise typer.BadParameter(
            f"Argument {number} is not UTF-8 text. Set the terminal to UTF-8, or give the text in a file."
        )
    if found := CONTROLS.search(argument):
        raise typer.BadParameter(
            f"Argument {number} holds the control character U+{ord(found[0]):04X}. Leave it out."
        )


def finite(value: Any) -> Any:
    """Callback of options that take a decimal number: Python reads ``inf`` and ``nan`` as numbers, too.

    :raises typer.BadParameter: it isn't a number that can be counted with
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise typer.BadParameter(f"{value} is not an amount. Give a number, such as 5 or 0.25.")
    return value


def folder(value: Any) -> Any:
    """Callback of an option that names a folder, which may be missing.

    :raises typer.BadParameter: there can be no such folder, or something else is there
    """
    try:
        missing = not value.exists()
        parent = next(each for each in value.parents if each.exists()) if missing else value
    except OSError as error:
        raise typer.BadParameter(f"The path can't be used: {error.strerror}.") from None
    if not parent.is_dir():
        raise typer.BadParameter(f"{parent} is not a folder.")
    return value
