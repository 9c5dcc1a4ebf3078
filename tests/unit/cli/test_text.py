from __future__ import annotations

import pytest

from chassis.cli.text import one_line, plain


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;https://evil.example\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]52;c;ZXZpbA==\x07", ""),
        ("\x1b]0;never ended", ""),
        ("\x1b[2J\x1b[Hcleared", "cleared"),
        ("\x1bcreset", "reset"),
        ("\x9b31mC1", "31mC1"),
        ("over\rwritten", "overwritten"),
        ("bell\x07 back\x08space null\x00", "bell backspace null"),
        ("right \u202eto left\u202c", "right to left"),
        ("tab\tand\nline", "tab\tand\nline"),
        ("Ümläute, 日本語 and 🙂 stay", "Ümläute, 日本語 and 🙂 stay"),
    ],
)
def test_nothing_that_a_terminal_would_obey_is_left(hostile: str, shown: str) -> None:
    assert plain(hostile) == shown


def test_a_cell_is_one_line() -> None:
    assert one_line("first\n\n  second\tthird ") == "first second third"
