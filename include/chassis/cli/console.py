"""What the command line writes.

Answers go to standard output, everything on the way there to standard error: a pipe gets answers only.

Text that people and models wrote is made safe for a terminal. A title, an item or a result can hold escape sequences
that would recolour, retitle or rewrite the terminal, and marks that turn the direction of writing around. They are
shown as signs, so that nobody approves a text of which a part was hidden. Colours alone are taken out: logs are full of
them, and they hide nothing.
"""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

from chassis.errors.client import UsageError
from chassis.text import DECEIVING, MARKS, signs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import ConsoleOptions, RenderableType
    from rich.segment import Segment

_COLOURS = re.compile(r"\x1b\[[0-9;:]*m")
_OBEYED = re.compile(f"{DECEIVING.pattern}|{MARKS.pattern}")
_PIPE_WIDTH = 200  # of tables in a pipe: nobody's screen says how wide they may be


def safe_text(text: object) -> str:
    """The text with nothing in it that a terminal would obey; line feeds and tabs stay."""
    return MARKS.sub("", signs(_COLOURS.sub("", str(text))))


def safe_line(text: object) -> str:
    """The same as one line, for a table's cell."""
    return " ".join(safe_text(text).split())


def out() -> Console:
    """The console for answers."""
    return _console(sys.stdout.isatty(), stderr=False)


def err() -> Console:
    """The console for progress and errors."""
    return _console(sys.stderr.isatty(), stderr=True)


class _SafeConsole(Console):
    """Lets nothing out that a terminal would obey, whatever is printed; colours and cursor are Rich's own.

    This is the net. Text of people and models is made safe before it is printed, because only then do tables fit.
    """

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=safe_text(segment.text))


def _console(terminal: bool, *, stderr: bool) -> Console:
    """No markup, no emoji codes: text is printed as it is. A pipe gets no colours, and nothing is wrapped."""
    width = None if terminal else _PIPE_WIDTH
    return _SafeConsole(
        stderr=stderr, markup=False, emoji=False, highlight=False, soft_wrap=not terminal, width=width
    )


def tell(line: str) -> None:
    """Print a line of progress."""
    err().print(safe_text(line), style="dim", soft_wrap=True)


def print_json(document: Any) -> None:
    """Print the one document of a ``--json`` command: readable, with escapes for what a terminal would obey."""
    text = json.dumps(document, indent=2, ensure_ascii=False)
    print(_OBEYED.sub(lambda match: json.dumps(match[0])[1:-1], text))


def confirmed(question: str, *, yes: bool, otherwise: str = "Nothing was changed.") -> None:
    """Ask before something is lost.

    :param yes: whether the person has agreed beforehand
    :param otherwise: what a no means
    :raises UsageError: there is nobody to ask
    :raises typer.Exit: the answer is no
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("This needs a confirmation, and there is no terminal to ask on.", hint="Add --yes.")
    if not typer.confirm(safe_text(question), err=True):
        tell(otherwise)
        raise typer.Exit(1)
