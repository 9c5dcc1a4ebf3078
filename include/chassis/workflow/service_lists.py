"""Lists of services: which lists are meant as such, and which of their items the catalogue doesn't have.

A word of the catalogue can be in any list (a report has a section *Recommendations*, a platform a service
``recommendation``). So a list counts as one of services only if its task says so, by writing ``service {item}`` or
``{item} service``, or if every item is a service. Anywhere else, a near miss is a warning, which a person reads and
which never blocks a plan. So is any item that occurs in the requirement: the person wrote it, and no planner can
repair that.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from chassis.errors import PlanFault
from chassis.text import same_name
from chassis.workflow.graph import share_items
from chassis.workflow.names import nearest, shown, suggestion
from chassis.workflow.plan_draft import place

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from chassis.workflow.spec import TaskSpec, WorkflowSpec

_SAYS_SO = re.compile(r"\bservices?\b[^\w{]{0,3}\{item\}|\{item\}[^\w{]{0,3}services?\b", re.IGNORECASE)

_LIKE_A_SERVICE = 0.8
"""How alike an item and a service must be for the item to be possibly meant as one."""

_COMPARED = 20
"""Items of a list that are compared with all services: comparing each of a plan's fifty thousand would take half a
minute, and whoever misspells a list of services misspells one of the first.
"""

_NO_HARM = "If the list isn't one of services, nothing is wrong"


def service_faults(spec: WorkflowSpec, services: Collection[str]) -> Iterator[PlanFault]:
    """Items that the catalogue doesn't have, in lists that their tasks call lists of services."""
    known = frozenset(services)
    if not known:
        return
    own = _own_words(spec)
    named = _named(spec)
    for task in spec.tasks:
        if task.id in named:
            for item in _items(task):
                if item not in known and not own(item):
                    message = f"the instruction calls {shown(item)} a service, which is not in the catalogue"
                    yield PlanFault("unknown_service", place(task), message + suggestion(item, known))


def plan_warnings(spec: WorkflowSpec, services: Collection[str]) -> list[PlanFault]:
    """Possible mistakes for a person to check; no warning blocks a plan.

    :param services: names of the services in the catalogue
    """
    known = frozenset(services)
    if not known:
        return []
    near = cache(lambda item: nearest(item, known, cutoff=_LIKE_A_SERVICE))
    own, named = _own_words(spec), _named(spec)
    found = []
    for task in spec.tasks:
        items = _items(task)
        if task.id in named:
            items = tuple(item for item in items if own(item))
        found += [PlanFault("near_service", place(task), what) for what in _doubts(items, known, near)]
    gone_through = {task.for_each.input for task in spec.tasks if task.for_each}
    for name, given in spec.inputs.items():
        if name in gone_through and isinstance(given.default, list):
            items = tuple(str(item) for item in given.default)
            where = f"input {shown(name)}"
            found += [PlanFault("near_service", where, what) for what in _doubts(items, known, near)]
    return found


def _doubts(items: Iterable[str], known: frozenset[str], near: Callable[[str], str | None]) -> Iterator[str]:
    listed = list(items)
    unknown = [item for item in listed if item not in known][:_COMPARED]
    for item in unknown:
        if like := near(item):
            yield f"{shown(item)} is not a service of the catalogue, {shown(like)} is. {_NO_HARM}"
        elif len(listed) > len(unknown) and not known.isdisjoint(listed):
            yield f"{shown(item)} is not a service of the catalogue, other items of its list are. {_NO_HARM}"


def _items(task: TaskSpec) -> tuple[str, ...]:
    return task.for_each.items if task.for_each and task.for_each.items else ()


def _named(spec: WorkflowSpec) -> frozenset[str]:
    """The tasks whose list is one of services, by their own instruction or that of a step with the same items."""
    roots = share_items(spec.tasks)
    return frozenset(
        root for task in spec.tasks if (root := roots.get(task.id)) and _SAYS_SO.search(task.instruction)
    )


def _own_words(spec: WorkflowSpec) -> Callable[[str], bool]:
    requirement = same_name(spec.requirement).casefold()
    return lambda item: same_name(item).casefold() in requirement
