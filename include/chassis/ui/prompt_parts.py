"""Splits a prompt for its reader: Chassis's own words, and the blocks of data between its fences.

It reads what ``chassis.prompts`` writes. Text that looks like a fence can't mislead it: a fence ends only at the line
with its own twelve digits, which its content doesn't contain.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chassis.text import one_line, signs
from chassis.ui.json_view import cut, pretty

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_OPENING = re.compile(
    r'^<data-(?P<digits>[0-9a-f]{12})(?P<facts>(?: [a-z_]+="(?:[^"\\\n]|\\.)*")+)>$', re.MULTILINE
)
_FACT = re.compile(r' ([a-z_]+)=("(?:[^"\\\n]|\\.)*")')
_LABELS = {
    "requirement": "Requirement",
    "inputs": "Inputs",
    "task": "Task",
    "service": "Service",
    "catalogue": "Services that a plan may name",
    "agents": "Agents that a plan may name",
    "answer_schema": "JSON schema of the answer",
    "faults": "Problems with the answer",
}


@dataclass(frozen=True)
class Part:
    """A part of a prompt, or of an answer.

    :ivar label: what it is, for people
    :ivar text: its text, in signs; not escaped
    :ivar data: whether it was inside a fence or is an answer: somebody's words, not Chassis's
    """

    label: str
    text: str
    data: bool


def split_prompt(text: str) -> list[Part]:
    """Split a text that was sent to Claude, in order."""
    parts: list[Part] = []
    at = 0
    while opening := _OPENING.search(text, at):
        end = text.find(f"\n</data-{opening['digits']}>", opening.end())
        if end < 0:
            break
        parts += _said(text[at : opening.start()])
        facts = {name: json.loads(value) for name, value in _FACT.findall(opening["facts"])}
        parts.append(Part(_label(facts), _shown(text[opening.end() + 1 : end]), data=True))
        at = end + len(f"\n</data-{opening['digits']}>")
    return [*parts, *_said(text[at:])]


def message_parts(message: Mapping[str, Any]) -> list[Part]:
    """Split one message of a conversation: texts into parts, anything else as JSON."""
    content = message.get("content")
    if isinstance(content, str):
        return split_prompt(content)
    parts: list[Part] = []
    for block in content if isinstance(content, list) else []:
        text = block.get("text") if isinstance(block, dict) else None
        parts += split_prompt(text) if isinstance(text, str) else [Part("", pretty(block), data=True)]
    return parts


def answer_parts(blocks: Iterable[Mapping[str, Any]]) -> list[Part]:
    """Claude's answer, block by block: JSON is indented, other text stays as it came."""
    return [Part("", _answer_text(block), data=True) for block in blocks]


def system_parts(system: Sequence[str]) -> list[Part]:
    """The parts of the system prompt: the agent's own words, then what Chassis adds."""
    labels = ["Agent's prompt", *["How to read data"] * len(system)]
    return [Part(label, _shown(text), data=False) for label, text in zip(labels, system, strict=False)]


def _answer_text(block: Mapping[str, Any]) -> str:
    given = block.get("text", block.get("input"))
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except (ValueError, RecursionError):
            return _shown(str(given))
    return pretty(block if given is None else given)


def _said(text: str) -> list[Part]:
    return [Part("", _shown(text.strip()), data=False)] if text.strip() else []


def _shown(text: str) -> str:
    return cut(signs(text))


def _label(facts: Mapping[str, str]) -> str:
    name = facts.get("name", "")
    if name == "result":
        item = f" [{one_line(facts['item'], 80)}]" if facts.get("item") else ""
        return f"Result of {one_line(facts.get('task', '?'), 100)}{item}"
    return _LABELS.get(name, one_line(name.replace("_", " "), 80).capitalize())
