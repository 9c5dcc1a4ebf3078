"""A text in all that the command line shows: on a terminal, in a pipe, and in a ``--json`` document."""

from __future__ import annotations

import io
import json
import re
import sys
from typing import Any

import pytest

from chassis.cli.commands.runs import _log_line
from chassis.cli.commands.watching import show_end
from chassis.cli.console import out, print_json, safe_text, show_error, tell
from chassis.cli.doctor import Check
from chassis.cli.follow import _Lines
from chassis.cli.render import plan_table, status_view
from chassis.cli.report import Report, Row
from chassis.cli.task_failure import error_document
from chassis.cli.task_shapes import Shape, TaskShape
from chassis.errors import TaskBlockedError
from chassis.text import DECEIVING, MARKS
from tests.injection.corpus import Attack, each_text

RICHS_OWN = re.compile(r"\x1b\[[0-9;]*m")
USAGE = dict.fromkeys(("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens"), 1)

everywhere = pytest.mark.parametrize("terminal", [True, False], ids=["terminal", "pipe"])


class Screen(io.StringIO):
    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


def watch(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> Screen:
    screen = Screen(terminal)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setattr(sys, "stderr", screen)
    return screen


def rows(text: str) -> tuple[Row, ...]:
    result = {"summary": text, "output": text, "model": text, "request_ids": [text]}
    done = Row(text, text, text, "success", (text,), 1, 0, result, {**USAGE, "calls": 1, "cost_usd": 0.1})
    structured = Row("b", text, text, "success", (), 1, 1, result | {"output": {text: [text]}}, done.usage)
    error = error_document(TaskBlockedError(text, hint=text))
    failed = Row("c", text, text, "failed", (), 1, 2, error=error)
    return (done, structured, failed, Row("d", None, text, text, (), 1))


def obeyed(text: str) -> list[str]:
    """What a terminal would obey, besides the colours that Rich sends."""
    return [*DECEIVING.findall(RICHS_OWN.sub("", text)), *MARKS.findall(text)]


@everywhere
@each_text
def test_a_text_is_shown_and_not_obeyed(
    monkeypatch: pytest.MonkeyPatch, attack: Attack, terminal: bool
) -> None:
    text = attack.text[:500]
    screen = watch(monkeypatch, terminal)
    report = Report("w", 1, text, "failed", rows(text))
    console = out()
    console.print(plan_table(Shape((TaskShape(text, text, (text,), text, (text,)),), 1)))
    console.print(status_view(report))
    show_end(report, console, report.rows, table=True)
    _Lines(console, ()).show(report)
    show_error(TaskBlockedError(text, hint=text))
    tell(text)
    console.print(Check(text, False, text, text).line())
    event = {
        "timestamp": text,
        "level": "error",
        "event": text,
        "error_detail": [{"exc_type": text, "exc_value": text}],
    }
    console.print(_log_line(event))
    shown = screen.getvalue()
    assert obeyed(shown) == []
    assert "\x1b]" not in shown, "no link, no title, no clipboard"
    words = max(safe_text(text).split() or [""], key=len)
    if len(words) < 60:
        assert words in RICHS_OWN.sub("", shown), (
            "what is written is to be read: brackets, colons and braces, too"
        )


@each_text
def test_a_document_gives_back_the_text_without_a_character_that_is_obeyed(
    monkeypatch: pytest.MonkeyPatch, attack: Attack
) -> None:
    screen = watch(monkeypatch, True)
    document = Report("w", 1, attack.text, "failed", rows(attack.text[:50_000])).document()
    print_json(document)
    assert obeyed(screen.getvalue()) == []
    assert json.loads(screen.getvalue()) == json.loads(json.dumps(document))


@each_text
def test_an_event_of_a_log_is_one_event(monkeypatch: pytest.MonkeyPatch, attack: Attack) -> None:
    screen = watch(monkeypatch, False)
    event: dict[str, Any] = {
        "timestamp": "2026-03-01T06:00:00Z",
        "level": "info",
        "event": attack.text[:5_000],
    }
    out().print(_log_line(event))
    first, *further = screen.getvalue().rstrip("\n").split("\n")
    assert first.startswith("2026-03-01 06:00:00 INFO")
    assert all(line.startswith("    ") or not line.strip() for line in further)
