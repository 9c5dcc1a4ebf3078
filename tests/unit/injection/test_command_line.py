"""A text in all that the command line shows: on a terminal, in a pipe, and in a ``--json`` document."""

from __future__ import annotations

import io
import json
import re
import sys
from typing import TYPE_CHECKING, Any

import pytest

from chassis.cli.commands.runs import _log_line
from chassis.cli.commands.watching import show_end
from chassis.cli.console import out, print_json, safe_text, tell
from chassis.cli.doctor import Check
from chassis.cli.exit_codes import show_error
from chassis.cli.follow import _Lines
from chassis.cli.render import amendment_lines, plan_table, status_view
from chassis.cli.report import Report
from chassis.contract.xcoms import TaskError
from chassis.errors import TaskBlockedError
from chassis.text import DECEIVING, MARKS
from chassis.workflow import ForEach, TaskSpec, WorkflowSpec
from tests.injection.corpus import Attack, each_text
from tests.unit.cli.made_up_views import report, result, row
from tests.unit.cli.test_amending_commands import AMENDMENT

if TYPE_CHECKING:
    from chassis.cli.report import Report

RICHS_OWN = re.compile(r"\x1b\[[0-9;]*m")

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


def a_run(text: str, state: str = "failed") -> Report:
    answer = result(text, text, model=text, request_ids=(text,))
    error = TaskError.made(TaskBlockedError(text, hint=text))
    return report(
        row(
            "a",
            "success",
            text,
            0,
            name=text,
            depends_on=(text,),
            try_number=1,
            result=answer,
            carried_from=text,
        ),
        row("b", "success", text, 1, name=text, result=answer.model_copy(update={"output": {text: [text]}})),
        row("c", "failed", text, 2, error=error, amendment=1),
        row(text, text, name=text),
        state=state,
        amendments=(
            {**AMENDMENT, "number": 1, "items": [text], "inputs": {text: text}, "by": text, "reason": text},
        ),
    )


def a_task(text: str) -> TaskSpec:
    """A task of a plan that no rule has seen."""
    source = ForEach.model_construct(items=(text,))
    return TaskSpec.model_construct(id=text, name=text, depends_on=(), for_each=source)


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
    found = a_run(text)
    console = out()
    console.print(plan_table(WorkflowSpec.model_construct(tasks=(a_task(text),))))
    console.print(status_view(found))
    for line in amendment_lines(found):
        console.print(line)
    show_end(found, console, found.rows, table=True)
    _Lines(console, ()).show(found)
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
    document = a_run(attack.text[:50_000]).document()
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
