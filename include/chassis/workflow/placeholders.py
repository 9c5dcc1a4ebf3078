"""``{name}`` in an instruction: found when a plan is checked, replaced when a task runs.

A placeholder is an identifier in braces and nothing more: ``{item.__class__}``, ``{0}``, ``{{ var.value.x }}`` and
JSON are plain text. Values are inserted literally, in one pass over the instruction, so a value that looks like a
placeholder stays as it is. There is no ``str.format`` and no template engine.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

ITEM = "item"
"""The placeholder of a mapped task's item; no input may have this name."""

_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


def placeholders(instruction: str) -> tuple[str, ...]:
    """The names in braces, each once, in order."""
    return tuple(dict.fromkeys(_PLACEHOLDER.findall(instruction)))


def render_instruction(instruction: str, inputs: Mapping[str, Any], item: str | None) -> str:
    """The instruction with its placeholders replaced.

    A text is inserted as it is, a list of texts with commas between, any other value as JSON. A name without a value
    stays in its braces.

    :param item: the item of a mapped task's instance; None if the task isn't mapped
    """
    values = {name: _as_text(value) for name, value in inputs.items()}
    if item is not None:
        values[ITEM] = item
    return _PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), instruction)


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple) and all(isinstance(part, str) for part in value):
        return ", ".join(value)
    return json.dumps(value, ensure_ascii=False)
