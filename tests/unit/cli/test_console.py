from __future__ import annotations

import io
import json
import re
import sys

import pytest
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from chassis.cli.console import out, print_json, tell
from chassis.cli.exit_codes import show_error
from chassis.errors import ChassisError
from chassis.text import DECEIVING

HOSTILE = "[red]a[/red] :boom: \x1b]0;title\x07\x1b[2J\x9b1m\u202eb\u2028\ud800\r\U000e0041"


class Screen(io.StringIO):
    """A terminal, or a pipe, that keeps what it is sent."""

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


everywhere = pytest.mark.parametrize("terminal", [True, False], ids=["terminal", "pipe"])


def watch(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> Screen:
    made = Screen(terminal)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys, "stdout", made)
    monkeypatch.setattr(sys, "stderr", made)
    return made


def obeyed(text: str) -> str:
    """What a terminal would obey in a text, apart from Rich's own colours."""
    return "".join(DECEIVING.findall(re.sub(r"\x1b\[[0-9;]*m", "", text)))


@everywhere
def test_whatever_is_printed_comes_out_as_text(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    screen = watch(monkeypatch, terminal)
    table = Table(title=HOSTILE)
    table.add_column(HOSTILE)
    table.add_row(HOSTILE)
    console = out()
    for each in (HOSTILE, Text(HOSTILE, style="bold red"), Panel(HOSTILE, title=HOSTILE), table):
        console.print(each)
    shown = screen.getvalue()
    assert obeyed(shown) == ""
    assert "[red]a[/red] :boom: ␛]0;title␛[2J" in shown, "what hides is shown"
    assert ("\x1b[1;31m" in shown) is terminal, "colours of Rich's own, on a terminal only"


@everywhere
def test_errors_and_progress_come_out_as_text(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    screen = watch(monkeypatch, terminal)
    tell(HOSTILE)
    show_error(ChassisError(HOSTILE, hint=HOSTILE))
    assert obeyed(screen.getvalue()) == ""
    assert screen.getvalue().count("[red]a[/red] :boom:") == 3


@everywhere
def test_a_document_is_the_same_document_with_escapes(
    monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    screen = watch(monkeypatch, terminal)
    document = {HOSTILE: [HOSTILE, {"ä": "ö \u200b\ufeff"}]}
    print_json(document)
    assert DECEIVING.search(screen.getvalue()) is None
    assert json.loads(screen.getvalue()) == document
    assert '"ä": "ö \\u200b\\ufeff"' in screen.getvalue(), "letters stay letters"
