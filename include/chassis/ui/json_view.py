"""JSON as text that a person can read. It is no HTML: the template that shows it escapes it."""

from __future__ import annotations

import json
from typing import Any

from chassis.text import signs

LIMIT = 200_000
"""Characters that are shown."""


def pretty(value: Any, *, limit: int = LIMIT) -> str:
    """The value as indented JSON in its own order, characters that deceive as signs.

    :param limit: characters that are kept; how many are missing is said in a last line
    """
    text = signs(json.dumps(value, ensure_ascii=False, indent=2))
    return cut(text, limit)


def cut(text: str, limit: int = LIMIT) -> str:
    """The text, or its beginning and a line that says how many characters are missing."""
    return text if len(text) <= limit else f"{text[:limit]}\n[... {len(text) - limit:,} more characters ...]"
