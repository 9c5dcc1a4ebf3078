"""Changes between two plans, as pieces that a page marks: gone, new, or the same.

``chassis.workflow.plan_changes`` finds the changes. Here, a changed text is compared word by word, so that a reviewer
sees the one new word in an instruction of thirty lines.
"""

from __future__ import annotations

import difflib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from chassis.text import one_line, signs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from chassis.workflow.plan_changes import FieldChange, PartChange, PlanChanges

_WORDS = re.compile(r"\s*(?:\w+|[^\w\s])|\s+")
_MOST_WORDS = 4_000
"""Words of both texts up to which they are compared word by word; longer texts are compared line by line."""
_AROUND = 400
"""Characters of unchanged text that are shown between two changes."""
_MOST_PIECES = 2_000


@dataclass(frozen=True)
class Piece:
    """A part of a field's value.

    :ivar text: in signs; not escaped
    """

    kind: Literal["same", "gone", "new"]
    text: str


@dataclass(frozen=True)
class FieldView:
    """A field that changed.

    :ivar names: whether the pieces are names of a list, each one on its own
    """

    label: str
    pieces: tuple[Piece, ...]
    names: bool = False


@dataclass(frozen=True)
class PartView:
    """A task or input that is new, gone or changed."""

    what: Literal["task", "input"]
    name: str
    kind: Literal["added", "removed", "changed"]
    fields: tuple[FieldView, ...]


@dataclass(frozen=True)
class ChangesView:
    """All changes, in the order in which a page shows them."""

    workflow: tuple[FieldView, ...]
    parts: tuple[PartView, ...]
    reordered: bool

    @property
    def summary(self) -> str:
        """How many tasks are new, changed and gone, in words."""
        tasks = [part.kind for part in self.parts if part.what == "task"]
        words = {"added": "new", "changed": "changed", "removed": "removed"}
        told = [f"{tasks.count(kind)} {word}" for kind, word in words.items() if kind in tasks]
        return f"{', '.join(told)} task{'' if len(tasks) == 1 else 's'}" if told else "no task changed"


def view_changes(changes: PlanChanges) -> ChangesView:
    """The changes as a page shows them. New parts have only their name: the tasks' table has the rest."""
    found: list[tuple[Literal["task", "input"], PartChange]] = [("input", each) for each in changes.inputs]
    found += [("task", each) for each in changes.tasks]
    parts = (
        PartView(what, part.name, part.kind, view_fields(part.fields) if part.kind == "changed" else ())
        for what, part in found
    )
    return ChangesView(view_fields(changes.workflow), tuple(parts), changes.reordered)


def view_fields(changes: Iterable[FieldChange]) -> tuple[FieldView, ...]:
    """Changed fields on their own."""
    return tuple(map(_field, changes))


def _field(change: FieldChange) -> FieldView:
    if change.added or change.removed:
        gone = (Piece("gone", one_line(name)) for name in change.removed)
        new = (Piece("new", one_line(name)) for name in change.added)
        return FieldView(change.label, (*gone, *new), names=True)
    before, after = _text(change.before), _text(change.after)
    # Mixing the digits of two numbers would give neither.
    numbers = isinstance(change.before, int | float) or isinstance(change.after, int | float)
    pieces = tuple(_whole(before, after) if numbers else _compared(before, after))
    return FieldView(change.label, pieces or (Piece("same", "order changed"),))


def _text(value: object) -> str:
    if value is None:
        return ""
    return signs(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2))


def _compared(before: str, after: str) -> Iterator[Piece]:
    split = _WORDS.findall
    old, new = split(before), split(after)
    if len(old) + len(new) > _MOST_WORDS:
        old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    if not old or not new or len(old) + len(new) > _MOST_WORDS:
        yield from _whole(before, after)
        return
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    if matcher.real_quick_ratio() < 0.1 or matcher.quick_ratio() < 0.3:
        # Two very different texts are easier to read one after the other than mixed.
        yield from _whole(before, after)
        return
    for count, (tag, i1, i2, j1, j2) in enumerate(matcher.get_opcodes()):
        if count > _MOST_PIECES:
            yield Piece("same", " […]")
            return
        if tag == "equal":
            yield Piece("same", _middle(old[i1:i2]))
        else:
            if i2 > i1:
                yield Piece("gone", "".join(old[i1:i2]))
            if j2 > j1:
                yield Piece("new", "".join(new[j1:j2]))


def _whole(before: str, after: str) -> Iterator[Piece]:
    if before:
        yield Piece("gone", before)
    if after:
        yield Piece("new", after)


def _middle(words: Sequence[str]) -> str:
    """Unchanged text; if it is long, its beginning and its end."""
    text = "".join(words)
    return text if len(text) <= 2 * _AROUND + 20 else f"{text[:_AROUND]} […] {text[-_AROUND:]}"
