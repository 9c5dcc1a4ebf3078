"""Plans that break the rules, don't exist, or weren't approved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chassis.errors.base import ChassisError
from chassis.text import one_line

_LONGEST_FAULT = 2_000
"""Maximum length of a plan's fault, in characters; it may quote names, and a name can be as long as the plan."""


@dataclass(frozen=True)
class PlanFault:
    """One fault of a plan.

    :ivar where: the place in the plan's own words (``task 'deploy'``, ``tasks.2.for_each``, ``schedule``)
    :ivar message: what is wrong and, if there is one, the nearest right name
    :ivar code: a stable short name
    """

    code: str
    where: str
    message: str

    def __str__(self) -> str:
        return one_line(f"{self.where}: {self.message}", _LONGEST_FAULT)


class PlanError(ChassisError):
    """The plan breaks one or more rules; the message lists all of them. A retry with the same plan can't help."""

    def __init__(
        self, faults: list[PlanFault] | tuple[PlanFault, ...], *, subject: str = "The plan", hint: str = ""
    ) -> None:
        self.faults = tuple(faults)
        self.subject = subject
        count = len(self.faults)
        lines = "\n".join(f"- {fault}" for fault in self.faults)
        super().__init__(f"{subject} has {count} fault{'s' if count != 1 else ''}:\n{lines}\n", hint=hint)

    def describe(self) -> dict[str, Any]:
        faults = [{"code": f.code, "where": f.where, "message": f.message} for f in self.faults]
        return {"class": type(self).__name__, "subject": self.subject, "hint": self.hint, "faults": faults}

    @classmethod
    def restore(cls, data: dict[str, Any]) -> PlanError:
        faults = [PlanFault(**fault) for fault in data["faults"]]
        return cls(faults, subject=str(data["subject"]), hint=str(data["hint"]))


class PlanNotFoundError(ChassisError):
    """The plan store has no such workflow or revision. A retry can't help."""

    remedy = "See `chassis list` for what there is."


class PlanRejectedError(ChassisError):
    """A person rejected the plan, so nothing was published. A retry can't help."""

    remedy = "Start the planner again with a requirement that says what was missing."


class ApprovalTimeoutError(ChassisError):
    """Nobody decided on the plan in time, so nothing was published. A retry can't help: it wouldn't wait again."""

    remedy = "Clear the task approve to ask again; approval_timeout_hours says how long a plan waits."


class NotApprovedError(ChassisError):
    """The plan to publish isn't the one that was approved. A retry can't help."""

    remedy = "Clear the task approve and decide again."
