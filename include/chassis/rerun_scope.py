"""Which task instances run again with a cleared one: those that it kept from running, and no more.

Airflow decides which instances follow which: it knows the run's own version of the workflow, and that each item
advances by itself inside a mapped group. This module decides by their state which of them run again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

Instance = tuple[str, int]
"""A task instance of a run: task id and map index, which is -1 for a task that isn't mapped."""

FAILED = frozenset({"failed", "upstream_failed"})
"""States of the items that a rerun of a task's failed items covers."""

_KEPT_FROM_RUNNING = frozenset({"upstream_failed", "skipped", "removed"})


def instances_to_clear(
    targets: Iterable[Instance], followers: Iterable[tuple[Instance, str | None]], *, downstream: bool
) -> list[Instance]:
    """The instances to clear.

    :param targets: the requested instances
    :param followers: instances that follow them, with their states; may include the targets
    :param downstream: whether followers that have already run also run again
    """
    kept = (each for each, state in followers if downstream or state in _KEPT_FROM_RUNNING)
    return list(dict.fromkeys([*targets, *kept]))
