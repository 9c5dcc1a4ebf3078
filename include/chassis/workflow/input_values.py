"""Values that a run gets from outside a plan: inputs, and the items of a fan-out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from chassis.text import same_name
from chassis.workflow.names import has_control_character, shown

MAX_ITEMS = 1_000
"""Items of one fan-out; Airflow's own limit is ``[core] max_map_length``, 1,024 by default."""

MAX_ITEM = 200
"""Characters of one item, which is the label of a mapped task instance."""

_LISTED = 5
"""Faulty items that a message names; it counts the others."""


AIRFLOW_KEYS = frozenset(
    {"__cache__", "__classname__", "__data__", "__id__", "__source", "__type", "__var", "__version__"}
)
"""Keys by which Airflow's reader of XComs and trigger arguments takes a mapping for an object of a class. It would
create that object, from what a model wrote, in a worker or the triggerer. Airflow's own API refuses them, too.
"""


def reserved_key(value: Any) -> str | None:
    """A key of :data:`AIRFLOW_KEYS` anywhere in a JSON value; None if there is none."""
    left = [value]
    while left:
        here = left.pop()
        if isinstance(here, Mapping):
            if found := sorted(AIRFLOW_KEYS & here.keys()):
                return found[0]
            left += here.values()
        elif isinstance(here, list | tuple):
            left += here
    return None


def kind_of(value: Any) -> str:
    """A wrong value's kind, for a message: ``the number 3``, ``a list``."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"the number {value!r}"
    if isinstance(value, str):
        return f"the text {shown(value)}"
    if isinstance(value, list | tuple):
        return "a list"
    return "a mapping" if isinstance(value, dict) else f"a {type(value).__name__}"


def type_fault(value: Any, type_: str) -> str | None:
    """Why a value can't be an input of this type; None if it can."""
    match type_:
        case "string":
            fits, wanted = isinstance(value, str), "text"
        case "integer":
            fits, wanted = isinstance(value, int) and not isinstance(value, bool), "a whole number"
        case "number":
            fits, wanted = isinstance(value, int | float) and not isinstance(value, bool), "a number"
        case "boolean":
            fits, wanted = isinstance(value, bool), "true or false"
        case _:
            fits = isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)
            wanted = "a list of texts"
    if fits:
        return None
    what = kind_of(value)
    if type_ == "array" and isinstance(value, list | tuple):
        what += f" with {kind_of(next(item for item in value if not isinstance(item, str)))} in it"
    return f"must be {wanted}, not {what}"


def check_items(items: Any) -> list[str]:
    """Faults of a fan-out's items, in words; none if they can be used, or there are no items.

    Items must differ, because an item's name identifies its task instance: to people, too, for whom two spellings of
    an é are the same.
    """
    if not isinstance(items, list | tuple):
        return [f"they must be a list of texts, not {kind_of(items)}"]
    faults = []
    if len(items) > MAX_ITEMS:
        faults.append(f"there are {len(items):,}, and at most {MAX_ITEMS:,} are allowed")
    bad = [f"[{index}] {wrong}" for index, item in enumerate(items) if (wrong := _item_fault(item))]
    counts = Counter(same_name(item) for item in items if isinstance(item, str))
    bad += [f"{shown(item)} is there {count} times" for item, count in counts.items() if count > 1]
    if len(bad) > _LISTED:
        bad[_LISTED:] = [f"and {len(bad) - _LISTED} more such"]
    return faults + bad


def _item_fault(item: Any) -> str | None:
    if not isinstance(item, str):
        return f"must be text, not {kind_of(item)}"
    if not item.strip():
        return "must not be blank"
    if len(item) > MAX_ITEM:
        return f"has {len(item):,} characters, and at most {MAX_ITEM} are allowed"
    if has_control_character(item):
        return f"must be one line without control characters, and is {shown(item)}"
    return None
