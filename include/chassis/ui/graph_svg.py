"""Draws a plan's graph: levels from left to right, a box for each task, a line for each dependency.

Dependencies that follow from others are not drawn. The drawing has no inline style, because the pages' policy forbids
it: positions are attributes, looks are classes of ``graph.css``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from markupsafe import Markup

from chassis.figures import counted
from chassis.text import one_line
from chassis.workflow import TaskGraph

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from chassis.workflow import TaskSpec

WIDTH, HEIGHT = 212, 52
_GAP_X, _GAP_Y = 44, 14
_MARGIN = 12
_ROWS = 14
"""Boxes in a column; a level with more of them gets several columns side by side."""
_LONGEST_NAME = 25
_LONGEST_NOTE = 32
MAX_LINES = 3_000
"""Maximum number of lines; more would be a black patch, and megabytes of page."""

_CLASS = re.compile(r"[^a-z0-9_-]")
_STATES_FIRST = (
    "failed",
    "up_for_retry",
    "running",
    "deferred",
    "awaiting_input",
    "queued",
    "upstream_failed",
)
"""Which state colours a box with instances in several: what needs a look first, then what is in progress."""


_BEHIND = Markup('<rect class="behind" x="4" y="4" width="{}" height="{}" rx="6"/>').format(WIDTH, HEIGHT)


@dataclass(frozen=True)
class Node:
    """What a box shows besides its task's name.

    :ivar href: where a click on it leads; empty for no link
    :ivar counts: a run's instances by Airflow's name of their state; shown as a bar
    :ivar mark: how the task changed since the last revision
    """

    href: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    mark: str = ""


@dataclass(frozen=True)
class _Corner:
    x: int
    y: int


def draw_plan(tasks: Sequence[TaskSpec], nodes: Mapping[str, Node] | None = None, *, label: str) -> Markup:
    """Draw the graph as an SVG element. The table beside it holds the same as text.

    :param nodes: what to show of a task, by its id
    :param label: what the picture shows, for screen readers
    """
    graph = TaskGraph(tasks)
    nodes = nodes or {}
    columns = _columns(graph)
    places = _places(columns)
    width = max(place.x for place in places.values()) + WIDTH + _MARGIN
    height = max(place.y for place in places.values()) + HEIGHT + _MARGIN
    lines = needed_lines(graph)
    drawn = Markup("").join(_line(places[up], places[down]) for up, down in lines[:MAX_LINES])
    boxes = Markup("").join(
        _box(graph.tasks[task_id], nodes.get(task_id, Node()), places[task_id]) for task_id in graph.order
    )
    left_out = len(lines) - MAX_LINES
    return Markup(
        '<svg class="plan-graph" xmlns="http://www.w3.org/2000/svg" role="{role}" aria-label="{label}" '
        'width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
        '<g class="lines" aria-hidden="true">{lines}</g>{boxes}</svg>{note}'
    ).format(
        # The keyboard can't reach anything inside an image, so a drawing with links is a group.
        role="group" if any(node.href for node in nodes.values()) else "img",
        label=label,
        width=width,
        height=height,
        lines=drawn,
        boxes=boxes,
        note=Markup('<p class="muted">{:,} more dependencies are not drawn.</p>').format(left_out)
        if left_out > 0
        else "",
    )


def needed_lines(graph: TaskGraph) -> list[tuple[str, str]]:
    """The dependencies that don't follow from others, each as the task and the one that waits for it."""
    before: dict[str, frozenset[str]] = {}
    found = []
    for task_id in graph.order:
        ups = tuple(dict.fromkeys(graph.tasks[task_id].depends_on))
        implied = frozenset[str]().union(*(before[up] for up in ups))
        found += [(up, task_id) for up in ups if up not in implied]
        before[task_id] = implied | set(ups)
    return found


def main_state(counts: Mapping[str, int]) -> str:
    """The state that sums up a task with these instances; empty if it has none."""
    there = [state for state, count in counts.items() if count]
    if not there:
        return ""
    first = [state for state in _STATES_FIRST if state in there]
    return first[0] if first else "success" if set(there) == {"success"} else there[0]


def _columns(graph: TaskGraph) -> list[list[str]]:
    """The tasks by column, sorted like their dependencies, so that fewer lines cross."""
    rank: dict[str, float] = {}
    columns: list[list[str]] = []
    for level in graph.levels:
        middle = {name: [rank[up] for up in graph.tasks[name].depends_on] for name in level}
        ordered = sorted(level, key=lambda name: sum(middle[name]) / (len(middle[name]) or 1))
        for index, task_id in enumerate(ordered):
            rank[task_id] = index / len(ordered)
        columns += [ordered[at : at + _ROWS] for at in range(0, len(ordered), _ROWS)]
    return columns


def _places(columns: Sequence[Sequence[str]]) -> dict[str, _Corner]:
    tallest = max(len(column) for column in columns)
    places = {}
    for number, column in enumerate(columns):
        top = _MARGIN + (tallest - len(column)) * (HEIGHT + _GAP_Y) // 2
        for row, task_id in enumerate(column):
            places[task_id] = _Corner(_MARGIN + number * (WIDTH + _GAP_X), top + row * (HEIGHT + _GAP_Y))
    return places


def _line(start: _Corner, end: _Corner) -> Markup:
    x1, y1 = start.x + WIDTH, start.y + HEIGHT // 2
    x2, y2 = end.x, end.y + HEIGHT // 2
    bend = max(_GAP_X // 2, (x2 - x1) // 3)
    return Markup('<path d="M{},{} C{},{} {},{} {},{}"/>').format(
        x1, y1, x1 + bend, y1, x2 - bend, y2, x2, y2
    )


def _box(task: TaskSpec, node: Node, place: _Corner) -> Markup:
    state = _word(main_state(node.counts))
    classes = ["node", f"state-{state}" if state else "", f"is-{node.mark}" if node.mark else ""]
    if task.for_each is not None:
        classes.append("mapped")
    name, note = one_line(task.name), _note(task)
    box = Markup(
        '<g class="{classes}" data-task="{id}" transform="translate({x},{y})"><title>{title}</title>'
        '{behind}<rect class="box" width="{width}" height="{height}" rx="6"/>'
        '<text class="name" x="12" y="22">{name}</text><text class="note" x="12" y="39">{note}</text>{bar}</g>'
    ).format(
        classes=" ".join(filter(None, classes)),
        id=task.id,
        x=place.x,
        y=place.y,
        title=_title(task, node, name, note),
        # A second edge below the box of a mapped task, which stands for several.
        behind=_BEHIND if task.for_each is not None else "",
        width=WIDTH,
        height=HEIGHT,
        name=one_line(name, _LONGEST_NAME),
        note=one_line(note, _LONGEST_NOTE),
        bar=_bar(node.counts),
    )
    return Markup('<a href="{}">{}</a>').format(node.href, box) if node.href else box


def _note(task: TaskSpec) -> str:
    if task.for_each is None:
        return task.id
    return task.for_each.words if task.for_each.items is None else counted(len(task.for_each.items), "item")


def _title(task: TaskSpec, node: Node, name: str, note: str) -> str:
    """The box in words, for screen readers and tooltips."""
    parts = [name, f"task {task.id}"]
    if note != task.id:
        parts.append(one_line(note))
    if node.mark:
        parts.append(f"{node.mark} since the last revision")
    parts += [
        f"{count} {'no status' if state == 'none' else state}"
        for state, count in node.counts.items()
        if count
    ]
    if task.depends_on:
        parts.append(f"after {', '.join(task.depends_on)}")
    return "; ".join(parts)


def _bar(counts: Mapping[str, int]) -> Markup:
    """Instances by state, as parts of a line along the box's lower edge."""
    total = sum(counts.values())
    if not total:
        return Markup("")
    parts, at = [], 0.0
    room = WIDTH - 24
    for state, count in sorted(counts.items()):
        share = room * count / total
        if share:
            parts.append(
                Markup('<rect class="part state-{}" x="{:.1f}" y="45" width="{:.1f}" height="3"/>').format(
                    _word(state), 12 + at, share
                )
            )
        at += share
    return Markup("").join(parts)


def _word(state: str) -> str:
    return _CLASS.sub("-", state)
