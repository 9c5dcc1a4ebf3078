"""Makes text from people, models and servers safe to read: in a message, a log, a terminal, a prompt.

A character can be obeyed instead of read (control characters: colours, titles, a new line in a log), reverse the
direction of writing, or be invisible to people while a model reads it. Visible signs replace such characters. Nothing
is removed: the reader should see what somebody hid.
"""

from __future__ import annotations

import re
import unicodedata

_OBEYED = r"\x00-\x08\x0b-\x1f\x7f-\x9f"
_HALVES = r"\ud800-\udfff"
HALVES = re.compile(f"[{_HALVES}]")
"""Halves of a character (lone surrogates), which no file or network can carry."""

_LINE_ENDS = r"\u2028\u2029"
_TURNING = r"\u202a-\u202e\u2066-\u2069"
_UNSEEN_LETTERS = "[\U000e0000-\U000e007f]"
"""Copies of the ASCII letters that no font shows but models read; made for flags, used for smuggling."""

_FLAGS = [
    "\U0001f3f4" + "".join(chr(0xE0000 + ord(letter)) for letter in region) + "\U000e007f"
    for region in ("gbeng", "gbsct", "gbwls")
]
"""England, Scotland, Wales: flags that Unicode recommends and keyboards write with invisible letters. They count as
text: readers see them, and they leave no room for anything else.
"""

_IN_A_FLAG = "|".join(
    f"(?<={flag[:place]}){flag[place:]}" for flag in _FLAGS for place in range(1, len(flag))
)
_SMUGGLED = f"(?:(?!{_IN_A_FLAG}){_UNSEEN_LETTERS})"

MARKS = re.compile(r"[\u061c\u200b\u200e\u200f\u2060-\u2064\u206a-\u206f\ufeff\ufff9-\ufffb]")
"""Zero-width marks that order or divide a text; Arabic and Hebrew need some of them to be read correctly."""

CONTROLS = re.compile(f"[{_OBEYED}{_HALVES}]|{_SMUGGLED}")
"""What no text needs: control characters except line feed and tab, halves of a character, invisible letters."""

DECEIVING = re.compile(f"[{_OBEYED}{_HALVES}{_LINE_ENDS}{_TURNING}]|{_SMUGGLED}")
"""What may make a reader see a different text."""

_FURTHER_LINE = re.compile(r"\n(?!- |  |\Z)")
_CUT = "…"


def signs(text: str, unsafe: re.Pattern[str] = DECEIVING) -> str:
    """The text with a visible sign for each character that ``unsafe`` finds; CR LF becomes a line feed."""
    return unsafe.sub(_sign, text.replace("\r\n", "\n"))


def set_off(text: str, limit: int) -> str:
    """The text in signs, with each further line indented unless it is a list entry.

    So nothing that it quotes can begin a line of a log and look like another event.

    :param limit: maximum characters to keep, including a mark that something is missing
    """
    return _cut(_FURTHER_LINE.sub("\n  ", signs(text[: 2 * limit])), limit)


def one_line(text: object, limit: int | None = None) -> str:
    """The text as one line of signs, with blanks folded, so that no part can pass for another line of a log or list.

    :param limit: maximum characters to keep, including a mark that something is missing; None for all
    """
    line = " ".join(signs(str(text)).split())
    return line if limit is None else _cut(line, limit)


def same_name(text: str) -> str:
    """The one spelling of a name for comparisons: an é can be one character or two that look the same.

    macOS writes file names with two, keyboards with one; to their author, they are the same name (Unicode's NFC).
    """
    return unicodedata.normalize("NFC", text)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1].rstrip() + _CUT


def _sign(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else "\ufffd"
