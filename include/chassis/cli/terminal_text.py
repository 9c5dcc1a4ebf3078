"""Text that people and models wrote, made safe for a terminal.

A plan's title, an item or a result can hold escape sequences that would recolour, retitle or rewrite the
terminal, and marks that turn the direction of writing around. They are shown as signs, so that nobody approves a text
of which a part was hidden. Colours alone are taken out: logs are full of them, and they hide nothing.
"""

from __future__ import annotations

import re

from chassis.text import MARKS, signs

_COLOURS = re.compile(r"\x1b\[[0-9;:]*m")


def plain(text: object) -> str:
    """The text with nothing in it that a terminal would obey; line feeds and tabs stay."""
    return MARKS.sub("", signs(_COLOURS.sub("", str(text))))


def one_line(text: object) -> str:
    """The text as one line, for a table's cell."""
    return " ".join(plain(text).split())
