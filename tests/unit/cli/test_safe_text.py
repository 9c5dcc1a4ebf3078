from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from chassis.cli.console import safe_line, safe_text
from tests.with_each import with_each

TURNING = {"LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI"}


@with_each(
    "hostile, shown",
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[1;38;5;9mbright\x1b[m", "bright"),
        ("\x1b]0;title\x07after", "␛]0;title␇after"),
        ("\x1b]8;;https://evil.example\x1b\\link\x1b]8;;\x1b\\", "␛]8;;https://evil.example␛\\link␛]8;;␛\\"),
        ("\x1b]52;c;ZXZpbA==\x07", "␛]52;c;ZXZpbA==␇"),
        ("\x1b]0;never ended", "␛]0;never ended"),
        ("\x1b[2J\x1b[Hcleared", "␛[2J␛[Hcleared"),
        ("\x1bcreset", "␛creset"),
        ("\x9b31mC1", "�31mC1"),
        ("over\rwritten\r\n", "over␍written\n"),
        ("bell\x07 back\x08space null\x00", "bell␇ back␈space null␀"),
        ("right \u202eto left\u202c", "right �to left�"),
        ("half \ud800 a character", "half � a character"),
        ("unseen \U000e0041 letters", "unseen � letters"),
        ("no\u200bthing \u200ebetween\ufeff", "nothing between"),
        ("a family 👨‍👩‍👧 and می‌خواهم", "a family 👨‍👩‍👧 and می‌خواهم"),
        ("tab\tand\nline", "tab\tand\nline"),
        ("Ümläute, 日本語 and 🙂 stay", "Ümläute, 日本語 and 🙂 stay"),
    ],
)
def test_nothing_that_a_terminal_would_obey_is_left(hostile: str, shown: str) -> None:
    assert safe_text(hostile) == shown


def test_a_cell_is_one_line() -> None:
    assert safe_line("first\n\n  second\tthird ") == "first second third"


@given(st.text(st.characters()))
def test_what_is_printed_has_no_character_that_a_terminal_obeys(text: str) -> None:
    shown = safe_text(text)
    controls = {
        character for character in shown if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
    }
    assert controls <= {"\n", "\t"}
    assert not {character for character in shown if unicodedata.bidirectional(character) in TURNING}
    assert "\n" not in safe_line(text)
    shown.encode()
