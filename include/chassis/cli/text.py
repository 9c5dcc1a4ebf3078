"""Text that people and models wrote, made safe for a terminal.

A plan's title, an item or a result can hold escape sequences that would recolour, retitle or rewrite the
terminal, and marks that turn the direction of writing around. They are removed; everything else stays.
"""

from __future__ import annotations

import re

_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|\x1b[\]PX^_].*?(?:\x07|\x1b\\|\x9c|$)"  # OSC and other strings: titles, links, the clipboard
    r"|\x1b[ -/]*[0-~]",
    re.DOTALL,
)
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")


def plain(text: object) -> str:
    """The text without anything that a terminal would obey; line feeds and tabs stay."""
    return _CONTROLS.sub("", _ESCAPES.sub("", str(text).replace("\r\n", "\n")))


def one_line(text: object) -> str:
    """The text as one line, for a table's cell."""
    return " ".join(plain(text).split())
