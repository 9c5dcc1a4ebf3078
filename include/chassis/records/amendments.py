"""Amendments: another instruction or other inputs for one task of one run, who set them and why.

The problem: a task failed because its instruction or an input was wrong. The plan's revision is approved and shared
with other runs, so it stays as it is. The change applies to this task of this run only, or to the items of it that it
names. One entry holds the change for all of those items, so it is recorded for all or for none.

State: a :class:`~chassis.records.event_log.NumberedLog` at ``<run folder>/amendments`` in the record store.

Invariants that must not be relaxed:

1. An amendment is recorded before its task is cleared: every instruction that a task has followed can be read later.
2. Nothing is withdrawn silently. If the task can't be cleared, another entry says so, and the amendment doesn't count.
3. Amendments hold for every later try and clear of the task in its run; of two, the later one wins, field by field.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from chassis.contract.record_paths import RunPaths
from chassis.records.event_log import NumberedLog

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chassis.files import Files


class _Data(BaseModel):
    # A later Chassis may add fields; the known ones must still apply.
    model_config = ConfigDict(frozen=True, extra="ignore")


class Change(_Data):
    """A requested change, and who requested it."""

    task_id: str
    items: tuple[str, ...] = Field(
        (), description="Items of a mapped task; none for a task that isn't mapped."
    )
    instruction: str | None = Field(None, description="In place of the plan's; None leaves that.")
    inputs: dict[str, JsonValue] = Field({}, description="Values in place of the run's, by name.")
    reason: str = Field(description="Why, in the person's words.")
    by: str = Field(description="Name of the user who did it.")
    by_id: str = Field(description="Airflow's id of that user.")
    at: str = Field(description="When: ISO 8601, UTC.")

    def concerns(self, task_id: str, item: str | None) -> bool:
        """Whether the change is for that task, or that item of it."""
        return self.task_id == task_id and (item in self.items if item is not None else not self.items)


class Amendment(Change):
    """A recorded change."""

    number: int = Field(description="Its number in the run, from 1. Numbers have gaps.")
    withdrawn: bool = Field(False, description="The task could not be cleared, so this doesn't count.")
    saved_revision: int | None = Field(
        None, description="Revision of the workflow's plan that has the change, too; None: it was not saved."
    )


class Amended(_Data):
    """The combined effect of all amendments of a task, or of one item of it."""

    instruction: str | None = None
    inputs: dict[str, JsonValue] = {}
    numbers: tuple[int, ...] = Field((), description="Numbers of the amendments that count, in order.")


class _Note(_Data):
    """What happened to an earlier entry."""

    kind: Literal["withdrawn", "saved"]
    number: int
    revision: int | None = None


class Amendments:
    """The amendments of one run. Its methods read and write the record store, so they block."""

    def __init__(self, files: Files, dag_id: str, run_id: str) -> None:
        self._log = NumberedLog(files, RunPaths(dag_id, run_id).amendments, _parsed)

    def all(self) -> list[Amendment]:
        """All amendments of the run, oldest first, withdrawn ones too.

        :raises RecordBrokenError: an entry was edited by hand
        :raises StoreError: the amendments can't be listed or read
        """
        found: dict[int, Amendment] = {}
        for number, entry in self._log.entries().items():
            if isinstance(entry, Change):
                found[number] = Amendment(number=number, **entry.model_dump())
            elif entry.number in found:
                withdrawn = entry.kind == "withdrawn"
                fact = {"withdrawn": True} if withdrawn else {"saved_revision": entry.revision}
                found[entry.number] = found[entry.number].model_copy(update=fact)
        return list(found.values())

    def of(self, task_id: str, item: str | None = None) -> Amended:
        """The combined amendments of a task, or of one item of it.

        :raises RecordBrokenError: an entry was edited by hand: a task must not run by half an amendment
        :raises StoreError: the amendments can't be listed or read
        """
        return what_holds(self.all(), task_id, item)

    def add(self, change: Change) -> int:
        """Record a change, and return its number.

        :raises StoreError: it is unknown whether it is recorded
        """
        return self._log.append(change.model_dump(mode="json"))

    def withdraw(self, number: int) -> None:
        """Record that an amendment doesn't count, because its task could not be cleared.

        :raises StoreError: it is unknown whether that is recorded
        """
        self._log.append({"kind": "withdrawn", "number": number})

    def saved(self, number: int, revision: int) -> None:
        """Record that a revision of the workflow's plan includes the change.

        :raises StoreError: it is unknown whether that is recorded
        """
        self._log.append({"kind": "saved", "number": number, "revision": revision})


def what_holds(amendments: Iterable[Amendment], task_id: str, item: str | None = None) -> Amended:
    """Combine the amendments of a task, or of one item of it.

    :param amendments: all of the run's, oldest first
    """
    amended = Amended()
    for each in amendments:
        if each.withdrawn or not each.concerns(task_id, item):
            continue
        amended = Amended(
            instruction=amended.instruction if each.instruction is None else each.instruction,
            inputs=amended.inputs | each.inputs,
            numbers=(*amended.numbers, each.number),
        )
    return amended


def _parsed(entry: dict[str, Any]) -> Change | _Note:
    return (_Note if "kind" in entry else Change).model_validate(entry)
