"""What changed between two plans: tasks, inputs, schedule, limits, each with its words before and after.

Two plans have the same digest if, and only if, there is no change: what a reviewer doesn't see can't be in what is
approved.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from chassis.text import signs
from chassis.workflow.field_meaning import leaves
from chassis.workflow.names import shown
from chassis.workflow.spec import InputSpec, TaskSpec, WorkflowSpec

if TYPE_CHECKING:
    from chassis.workflow.schedules import Schedule

_LEAVES = {leaf.name: leaf for model in (WorkflowSpec, TaskSpec, InputSpec) for leaf in leaves(model)}
_PARTS = frozenset(name for leaf in _LEAVES.values() for name in leaf.path[:-1])
"""Fields that are parts with fields of their own. Changes are shown for each of these, not for the part as a whole."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FieldChange(_Frozen):
    """One field whose value changed. None: there was, or is, no value."""

    field: str = Field(description="Name of the field; one of a part is dotted: limits.budget_usd.")
    before: JsonValue = None
    after: JsonValue = None

    @property
    def label(self) -> str:
        """The field's name for people."""
        return _LEAVES[self.field].label if self.field in _LEAVES else self.field.replace("_", " ")

    @property
    def added(self) -> tuple[str, ...]:
        """In a list of names: the new ones, in order."""
        return _not_in(self.after, self.before)

    @property
    def removed(self) -> tuple[str, ...]:
        """In a list of names: the removed ones, in their old order."""
        return _not_in(self.before, self.after)

    def lines(self, *, new: bool = False) -> list[str]:
        """The change as text, in printable signs: one line, or a line for the field and one for each line of a text.

        :param new: whether the field belongs to something new, so that only the value is shown
        """
        names = _names(self.before) is not None and _names(self.after) is not None
        before, after = _text_lines(self.before), _text_lines(self.after)
        if names and new:
            return [f"{self.label}: {', '.join(map(_one, self.added))}"]
        if names:
            parts = [f"+ {_one(name)}" for name in self.added] + [f"- {_one(name)}" for name in self.removed]
            return [f"{self.label}: {', '.join(parts) or 'in another order'}"]
        if new and len(after) == 1:
            return [f"{self.label}: {_one(self.after)}"]
        if not new and len(before) <= 1 and len(after) <= 1 and sum(map(len, (*before, *after))) <= 80:
            return [f"{self.label}: {_one(self.before)} -> {_one(self.after)}"]
        return [f"{self.label}:", *(f"  {line}" for line in (after if new else _difference(before, after)))]


class PartChange(_Frozen):
    """One task or input that is new, removed or changed."""

    name: str = Field(description="Id of the task, or name of the input.")
    kind: Literal["added", "removed", "changed"]
    fields: tuple[FieldChange, ...] = Field(
        (), description="What changed in it; of a new one, all that it says."
    )

    def lines(self) -> list[str]:
        """The change as text, in printable signs."""
        told = [line for each in self.fields for line in each.lines(new=self.kind == "added")]
        return [f"{shown(self.name)}: {self.kind}", *(f"  {line}" for line in told)]


class PlanChanges(_Frozen):
    """All changes, in the order of the new plan; removals come last."""

    new: bool = Field(False, description="Whether there was no plan before.")
    workflow: tuple[FieldChange, ...] = Field(
        (), description="Id, title, requirement, owner, tags, schedule and limits."
    )
    inputs: tuple[PartChange, ...] = ()
    tasks: tuple[PartChange, ...] = ()
    reordered: bool = Field(False, description="Whether tasks that both plans have stand in another order.")

    @property
    def empty(self) -> bool:
        """Whether both are the same plan, by the same digest."""
        return not (self.new or self.workflow or self.inputs or self.tasks or self.reordered)

    def lines(self) -> list[str]:
        """All changes as text, in printable signs; none if nothing changed."""
        found = [line for change in self.workflow for line in change.lines(new=self.new)]
        for kind, parts in (("input", self.inputs), ("task", self.tasks)):
            for part in parts:
                head, *rest = part.lines()
                found += [f"{kind} {head}", *rest]
        if self.reordered:
            found.append("tasks: in another order")
        return found


def plan_changes(old: WorkflowSpec | None, new: WorkflowSpec) -> PlanChanges:
    """What changed from one plan to another, apart from their provenance.

    :param old: None if there was no plan before: everything is new
    """
    before, after = _content(old), _content(new)
    tasks_before, tasks_after = (
        {task.pop("id"): task for task in plan.pop("tasks", [])} for plan in (before, after)
    )
    inputs_before, inputs_after = (plan.pop("inputs", {}) for plan in (before, after))
    kept = [task_id for task_id in tasks_before if task_id in tasks_after]
    return PlanChanges(
        new=old is None,
        workflow=tuple(_field_changes(before, after)),
        inputs=tuple(_part_changes(inputs_before, inputs_after)),
        tasks=tuple(_part_changes(tasks_before, tasks_after)),
        reordered=kept != [task_id for task_id in tasks_after if task_id in tasks_before],
    )


def told_changes(old: WorkflowSpec | None, new: WorkflowSpec) -> list[str]:
    """What planning again kept of what people gave, and what it changed: short lines for a log; none for a new
    workflow.

    :param old: the workflow's previous plan; None if there was none
    """
    if old is None:
        return []
    changes = plan_changes(old, new)
    found = list(_kept(old, new))
    for change in changes.workflow:
        if change.field == "requirement":
            found.append("requirement changed")
        elif change.field.startswith("schedule."):
            told = f"schedule: {schedule_text(old.schedule)} -> {schedule_text(new.schedule)}"
            found += [told] if told not in found else []
        else:
            found += change.lines()
    for kind, parts in (("input", changes.inputs), ("task", changes.tasks)):
        found += [f"{kind} {shown(part.name)} {part.kind}{_in_brief(part)}" for part in parts]
    return found + (["tasks in another order"] if changes.reordered else [])


def _in_brief(part: PartChange) -> str:
    if part.kind != "changed":
        return ""
    values = [line for change in part.fields if change.field == "default" for line in change.lines()[:1]]
    return f": {', '.join(values or dict.fromkeys(change.label for change in part.fields))}"


def _kept(old: WorkflowSpec, new: WorkflowSpec) -> Iterator[str]:
    if old.schedule is not None and old.schedule == new.schedule:
        yield f"schedule kept: {schedule_text(new.schedule)}"
    before, after = (dict(_flat({"limits": _content(spec).get("limits", {})})) for spec in (old, new))
    for field, value in after.items():
        if _canonical(before.get(field)) == _canonical(value):
            yield f"{FieldChange(field=field).label} kept: {_one(value)}"
    if old.approve is not None and old.approve == new.approve:
        yield f"approval kept: {old.approve}"
    for name, each in new.inputs.items():
        then = old.inputs.get(name)
        if then is not None and then.given and _canonical(then.default) == _canonical(each.default):
            yield f"input {shown(name)} kept: {_one(each.default)}"


def schedule_text(schedule: Schedule | None) -> str:
    """A schedule on one line: ``0 6 * * 1 Europe/Berlin``."""
    if schedule is None:
        return "none"
    if schedule.asset is not None:
        return f"asset {_one(schedule.asset)}"
    catchup = ", with catchup" if schedule.catchup else ""
    return f"{schedule.cron or schedule.preset} {schedule.timezone}{catchup}"


def _content(spec: WorkflowSpec | None) -> dict[str, Any]:
    if spec is None:
        return {}
    return spec.model_dump(mode="json", exclude={"provenance", "schema_version"}, exclude_defaults=True)


def _part_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[PartChange]:
    for name, part in after.items():
        changes = tuple(_field_changes(before.get(name, {}), part))
        if name not in before:
            yield PartChange(name=name, kind="added", fields=changes)
        elif changes:
            yield PartChange(name=name, kind="changed", fields=changes)
    for name in before:
        if name not in after:
            yield PartChange(name=name, kind="removed")


def _field_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[FieldChange]:
    flat_before, flat_after = dict(_flat(before)), dict(_flat(after))
    for field in dict.fromkeys((*flat_after, *flat_before)):
        pair = flat_before.get(field), flat_after.get(field)
        # As JSON: to Python 1, 1.0 and True are one value; to a digest they aren't.
        if _canonical(pair[0]) != _canonical(pair[1]):
            stands = _LEAVES[field].default
            was, now = (stands if value is None else value for value in pair)
            yield FieldChange(field=field, before=was, after=now)


def _flat(part: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for field, value in part.items():
        if field in _PARTS and isinstance(value, Mapping):
            yield from _flat(value, f"{above}{field}.")
        else:
            yield f"{above}{field}", value


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _names(value: Any) -> list[str] | None:
    found = [] if value is None else value
    return found if isinstance(found, list) and all(isinstance(name, str) for name in found) else None


def _not_in(these: Any, others: Any) -> tuple[str, ...]:
    known = set(_names(others) or ())
    return tuple(name for name in _names(these) or () if name not in known)


def _text_lines(value: Any) -> list[str]:
    """The lines of a text, in printable signs; for any other value, those of its JSON."""
    if value is None:
        return []
    if not isinstance(value, str):
        value = json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True)
    return signs(value).split("\n")


def _difference(before: list[str], after: list[str]) -> list[str]:
    # Without context lines, a line that begins with neither is a heading. ndiff would take minutes on long texts.
    compared = islice(difflib.unified_diff(before, after, n=0, lineterm=""), 2, None)
    found = [f"{line[0]} {line[1:]}" for line in compared if not line.startswith("@@")]
    return found or ["differs in line ends, or in characters that are shown by the same sign"]


def _one(value: Any) -> str:
    """A short value on one line: a name as it is, a text in quotes if its end would be invisible."""
    if value is None:
        return "none"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    line = signs(text).replace("\n", "\u240a").replace("\t", "\u2409")
    return line if line.strip() == line and line else repr(line)
