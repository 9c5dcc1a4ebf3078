"""JSON as readable text. It is not HTML: the template that shows it escapes it."""

from __future__ import annotations

import json
from typing import Any

from chassis.text import signs

LIMIT = 200_000
"""Maximum number of characters shown."""


def pretty(value: Any, *, limit: int = LIMIT) -> str:
    """Indented JSON in the value's own order, with deceptive characters as signs.

    :param limit: characters that are kept; a last line says how many are missing
    """
    text = signs(json.dumps(value, ensure_ascii=False, indent=2))
    return cut(text, limit)


def cut(text: str, limit: int = LIMIT) -> str:
    """The text, or its beginning and a line that says how many characters are missing."""
    return text if len(text) <= limit else f"{text[:limit]}\n[... {len(text) - limit:,} more characters ...]"
