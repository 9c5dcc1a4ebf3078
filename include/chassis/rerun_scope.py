"""Which task instances run again with one that is cleared: what it kept from running, and no more.

Which instances follow which is Airflow's to say (it knows the run's own version of the workflow, and that inside a
mapped group each item goes its own way). Which of them run again is decided here, by their state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

Instance = tuple[str, int]
"""A task instance of a run: task id and map index, which is -1 for a task that isn't mapped."""

FAILED = frozenset({"failed", "upstream_failed"})
"""States of an item that a rerun of its task's failed items is for."""

_KEPT_FROM_RUNNING = frozenset({"upstream_failed", "skipped", "removed"})


def instances_to_clear(
    targets: Iterable[Instance], followers: Iterable[tuple[Instance, str | None]], *, downstream: bool
) -> list[Instance]:
    """The instances to clear.

    :param targets: what was asked for
    :param followers: instances that follow them, with their states; may hold the targets too
    :param downstream: whether those that have run are to run again as well
    """
    kept = (each for each, state in followers if downstream or state in _KEPT_FROM_RUNNING)
    return list(dict.fromkeys([*targets, *kept]))
