"""A plan's limits: what they are, and the same plan with others. The plan's own rules say what a limit may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chassis import figures
from chassis.errors import PlanError
from chassis.errors.client import UsageError
from chassis.workflow import Limits, SpendLimits, check_plan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chassis.plans.refs import PlanRef
    from chassis.plans.store import PlanStore, Published
    from chassis.workflow import WorkflowSpec

NONE = "none"
"""Takes a limit away. Not 0: whoever computes a budget and gets 0 doesn't mean "as much as you like"."""

_TASK = "task_"
_MEANINGS = {
    "budget_usd": "US dollars",
    "max_tokens": "Tokens",
    "max_calls": "Calls",
    "max_minutes": "Minutes",
    "max_parallel": "Maximum parallel calls",
}


@dataclass(frozen=True)
class Limit:
    """One limit of a plan.

    :ivar name: as the command's option has it: a field of ``Limits``, or ``task_`` and one of ``per_task``
    :ivar value: None for no limit
    """

    name: str
    value: float | None

    @property
    def field(self) -> str:
        """The field that holds it."""
        return self.name.removeprefix(_TASK)

    @property
    def option(self) -> str:
        """The command's option."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def meaning(self) -> str:
        """What it bounds."""
        return f"{_MEANINGS[self.field]} of {'each task' if self.name.startswith(_TASK) else 'a run'}"

    @property
    def text(self) -> str:
        """The limit in words: ``$5.00``, ``200``, ``none``."""
        if self.value is None:
            return NONE
        return figures.dollars(self.value, 6) if self.field == "budget_usd" else f"{self.value:,}"


def limits_of(spec: WorkflowSpec) -> list[Limit]:
    """All limits that a plan can have, with this plan's values."""
    limits = spec.limits
    own = [Limit(name, getattr(limits, name)) for name in Limits.model_fields if name != "per_task"]
    return own + [Limit(_TASK + name, getattr(limits.per_task, name)) for name in SpendLimits.model_fields]


def with_limits(spec: WorkflowSpec, given: Mapping[str, str]) -> WorkflowSpec:
    """The same plan, of the same provenance, with other limits.

    :param given: texts by the limits' names: a number, or ``none`` for no limit, which is the default where a plan
        must have one
    :raises PlanError: what the plan's rules say against the values
    """
    data = spec.model_dump(mode="json", exclude_defaults=True)
    limits = data.setdefault("limits", {})
    for name, text in given.items():
        holder = limits.setdefault("per_task", {}) if name.startswith(_TASK) else limits
        if text.strip().lower() == NONE:
            holder.pop(name.removeprefix(_TASK), None)
        else:
            holder[name.removeprefix(_TASK)] = _number(text.strip())
    try:
        return check_plan(data)
    except PlanError as error:
        hint = f"Give a number, or {NONE} to take a limit away. Nothing was changed."
        raise PlanError(error.faults, subject="Your input", hint=hint) from None


def _number(text: str) -> Any:
    """A whole number, else a decimal one, else the text, for the plan's rules to refuse."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def publish_limits(
    store: PlanStore, ref: PlanRef, spec: WorkflowSpec, given: Mapping[str, str]
) -> tuple[WorkflowSpec, Published]:
    """Publish the next revision of a workflow, which differs in its limits alone.

    :param spec: the plan of ``ref``, its newest revision
    :raises UsageError: the workflow is retired; publishing would bring it back
    :raises PlanError: the plan's rules refuse the limits; nothing was written
    """
    if ref.retired:
        raise UsageError(f"Workflow {ref.id} is retired.", hint="Plan it again to bring it back.")
    changed = with_limits(spec, given)
    return changed, store.publish(changed)


def overtaken(store: PlanStore, ref: PlanRef, published: Published) -> list[int]:
    """Revisions that others published between the one that was read and the one that was made of it."""
    between = range(ref.revision + 1, published.revision)
    return [other.revision for other in store.revisions(ref.id) if other.revision in between]
