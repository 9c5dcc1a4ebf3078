"""Assembles an answer's content blocks from stream events, and makes them fit to send back.

The answer is paid for, whatever a gateway did to it. So a missing field counts as empty, each piece goes to its block,
and blocks of an unknown kind stay as they are. Only what the API is known to take goes back to Claude.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from chassis.claude.request import text_block
from chassis.text import HALVES, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_DEPTH = 64
"""Maximum nesting of lists and objects kept of a block of an unknown kind."""

_PIECES = {
    "text": ("text", "text"),
    "thinking": ("thinking", "thinking"),
    "signature": ("thinking", "signature"),
    "partial_json": ("tool_use", "input"),
}
"""For each field of a delta: the kind of block it belongs to, and that block's field."""
_FIELDS = {"text": ("text",), "thinking": ("thinking", "signature"), "redacted_thinking": ("data",)}
"""The text fields of each kind of block."""
_LONGEST_NAME = 200


class BlockReader:
    """Assembles the blocks of one answer.

    :param blocks: receives the blocks in the order in which they began, numbered from 0
    """

    def __init__(self, blocks: dict[int, dict[str, Any]]) -> None:
        self._blocks = blocks
        self._at: dict[str, int] = {}
        self._ended: set[int] = set()
        self._in_pieces: set[int] = set()

    def start(self, index: object, block: object) -> None:
        """Start a block. If it is announced twice, or after its first piece, it keeps what it has."""
        fresh = _normal(block)
        at = self._at.get(str(index))
        if at is not None and at not in self._ended and _same(self._blocks[at], fresh):
            known = {name: value for name, value in self._blocks[at].items() if value}
            self._blocks[at] = fresh | known
        else:
            self._begin(index, fresh)

    def grow(self, index: object, delta: object) -> None:
        """Add a piece to its block."""
        if not isinstance(delta, dict):
            return
        for name, (kind, field) in _PIECES.items():
            piece = delta.get(name)
            if isinstance(piece, str) and piece:
                at = self._place(index, kind)
                # Half a character can be neither kept nor sent back.
                self._append(at, field, HALVES.sub("\ufffd", piece))

    def end(self, index: object) -> None:
        """Complete a block; later pieces with its index belong to a new one."""
        if (at := self._at.get(str(index))) is not None:
            self._ended.add(at)

    def _begin(self, index: object, block: dict[str, Any]) -> int:
        at = self._at[str(index)] = len(self._blocks)
        self._blocks[at] = block
        return at

    def _place(self, index: object, kind: str) -> int:
        """The number of the block for a piece of this kind: the one at its index, unless that is of another kind."""
        at = self._at.get(str(index))
        if at is None:
            return self._begin(index, _normal({"type": kind}))
        found = self._blocks[at]["type"]
        other = {known for known, _ in _PIECES.values()} - {kind}
        return self._begin(index, _normal({"type": kind})) if found in other else at

    def _append(self, at: int, field: str, piece: str) -> None:
        block = self._blocks[at]
        # A signature comes in one piece. A tool's input comes whole at the start, or whole in pieces.
        afresh = field == "signature" or (field == "input" and at not in self._in_pieces)
        if field == "input":
            self._in_pieces.add(at)
        before = "" if afresh else block.get(field)
        block[field] = (before if isinstance(before, str) else "") + piece


def sent_back(blocks: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """An answer's blocks as the content of a turn to send back; empty if none can be sent.

    The API refuses empty texts, thinking without its signature, a tool's input as text, and duplicate ids.
    """
    content: list[dict[str, Any]] = []
    ids: set[str] = set()
    for block in blocks:
        match block:
            case {"type": "text", "text": str(text)} if text.strip():
                content.append(text_block(text))
            case {"type": "thinking", "thinking": str(), "signature": str(signature)} if signature:
                content.append({name: block[name] for name in ("type", "thinking", "signature")})
            case {"type": "redacted_thinking", "data": str(data)} if data:
                content.append({"type": "redacted_thinking", "data": data})
            case {"type": "tool_use" | "server_tool_use" as kind, "id": str(uid), "name": str(name)} if (
                uid and name and uid not in ids
            ):
                ids.add(uid)
                content.append({"type": kind, "id": uid, "name": name, "input": tool_input(block)})
            case {"type": str(kind), "tool_use_id": str(uid)} if kind.endswith("_tool_result") and uid in ids:
                content.append(block)
    return content


def tool_input(block: dict[str, Any]) -> dict[str, Any]:
    """A tool's input as a value; an empty object if it isn't a JSON object (the API insists on one)."""
    try:
        value = json.loads(block["input"])
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _normal(block: object) -> dict[str, Any]:
    """A new block with its kind, its kind's text fields, and a tool's input as JSON text."""
    given = block if isinstance(block, dict) else {}
    kind = given.get("type")
    if not isinstance(kind, str) or not kind:
        kind = "text" if isinstance(given.get("text"), str) else ""
    kind = one_line(kind, _LONGEST_NAME)
    normal = {"type": kind} | {
        HALVES.sub("\ufffd", name): _plain(value)
        for name, value in given.items()
        if name not in ("type", "input")
    }
    for field in _FIELDS.get(kind, ()):
        if not isinstance(normal.get(field), str):
            normal[field] = ""
    if kind.endswith("tool_use") or "input" in given:
        normal["input"] = _as_json(given.get("input"))
    return normal


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one["type"] == other["type"] and (not one.get("id") or one["id"] == other.get("id"))


def _as_json(value: object) -> str:
    if value is None or value == {}:
        return ""
    return HALVES.sub("\ufffd", value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _plain(value: Any, depth: int = 1) -> Any:
    """The value as JSON that can be kept: without halves of characters, infinite numbers and unlimited nesting."""
    if depth > MAX_DEPTH:
        return None
    match value:
        case str():
            return HALVES.sub("\ufffd", value)
        case dict():
            return {HALVES.sub("\ufffd", name): _plain(part, depth + 1) for name, part in value.items()}
        case list():
            return [_plain(part, depth + 1) for part in value]
        case float() if not math.isfinite(value):
            return None
    return value
