"""Names: the form of ids in a plan, and the nearest right name for a wrong one."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

from chassis.text import DECEIVING, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

_ID = re.compile(r"[a-z][a-z0-9_]{0,99}")
_AGENT_NAME = re.compile(r"[a-z][a-z0-9-]{0,63}")
_NOT_IN_A_LINE = re.compile(rf"[\t\n]|{DECEIVING.pattern}")

RESERVED_IDS = frozenset({"plan_workflow", "recurring_onboarding", "chassis_upkeep"})
"""Workflow ids taken by the DAGs that ship with Chassis."""

CARRY_OVER = "carry_over_from"
"""The param of each workflow that names the run whose results are reused; no input may have this name."""

RESERVED_MARK = "__"
"""Marks the ids of Airflow tasks and groups that Chassis adds; no task id of a plan may contain it."""

_SHOWN = 100
"""Characters of a wrong name that are shown and compared; one can be as long as the plan."""

_LISTED = 10
"""Right names that a message lists if none is near the wrong one; a longer list would hide the message."""


def is_id(text: str) -> bool:
    """Whether the text can be a workflow id, a task id (apart from the reserved mark) or an input's name."""
    return _ID.fullmatch(text) is not None


def is_agent_name(text: str) -> bool:
    """Whether the text can be the name of an agent definition."""
    return _AGENT_NAME.fullmatch(text) is not None


def has_control_character(text: str) -> bool:
    """Whether the text holds a control character, or anything else that ends a line, reverses it or is invisible."""
    return _NOT_IN_A_LINE.search(text) is not None


def shown(text: str) -> str:
    """A wrong name in quotes for a message, cut if long, with control characters escaped."""
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…")


def nearest(name: str, candidates: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """The candidate most like the name, ignoring case; None if none is like it.

    :param cutoff: required similarity, from 0 (anything) to 1 (equal)
    """
    folded = {candidate.casefold(): candidate for candidate in sorted(candidates, reverse=True)}
    found = difflib.get_close_matches(name[:_SHOWN].casefold(), folded, n=1, cutoff=cutoff)
    return folded[found[0]] if found else None


def suggestion(name: str, candidates: Iterable[str]) -> str:
    """The end of a message about a wrong name: the nearest right one, or else a list of right ones."""
    names = sorted(candidates)
    near = nearest(name, names)
    if near is not None:
        return f"; did you mean {shown(near)}?"
    if not names:
        return "; there are none"
    if len(names) > _LISTED:
        return ""
    return (
        f"; there {'is' if len(names) == 1 else 'are'} {', '.join(one_line(name, _SHOWN) for name in names)}"
    )


def items_task(root: str) -> str:
    """Id of the task that finds the items of a mapped task, if only a run knows them."""
    return f"{root}__items"
