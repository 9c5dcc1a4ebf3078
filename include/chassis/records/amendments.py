"""What people changed for one task of one run: another instruction or other inputs, who did it and why.

The problem: a task failed because its instruction or an input was wrong. Its plan's revision is what was approved
and what other runs go by, so it stays as it is; the change belongs to this one task of this one run, or to those of
its items that it names: one entry for all of them, so it is recorded for each of them or for none.

State: a :class:`~chassis.records.event_log.NumberedLog` at ``<run folder>/amendments`` in the record store.

Invariants that must not be relaxed:

1. An amendment is recorded before its task is cleared: a task never runs by what nobody can read afterwards.
2. Nothing is taken back silently. One whose task could not be cleared gets an entry that says so, and counts no more.
3. They hold for every later try and clear of the task in its run; of two, the later one wins, field by field.
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
    # A later Chassis may say more about an amendment; what is known of it must still be applied.
    model_config = ConfigDict(frozen=True, extra="ignore")


class Change(_Data):
    """What a person asks for, and who it is."""

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
        """Whether this is for that task, or that item of it."""
        return self.task_id == task_id and (item in self.items if item is not None else not self.items)


class Amendment(Change):
    """One change as it is recorded."""

    number: int = Field(description="Its number in the run, from 1. Numbers have gaps.")
    withdrawn: bool = Field(False, description="The task could not be cleared, so this doesn't count.")
    saved_revision: int | None = Field(
        None, description="Revision of the workflow's plan that has the change, too; None: it was not saved."
    )


class Amended(_Data):
    """What holds for one task, or one item of it, after all its amendments."""

    instruction: str | None = None
    inputs: dict[str, JsonValue] = {}
    numbers: tuple[int, ...] = Field((), description="Numbers of the amendments that count, in order.")


class _Note(_Data):
    """What happened to an earlier entry."""

    kind: Literal["withdrawn", "saved"]
    number: int
    revision: int | None = None


class Amendments:
    """The amendments of one run. Its methods read and write files, and so block.

    :param files: the record store
    """

    def __init__(self, files: Files, dag_id: str, run_id: str) -> None:
        self._log = NumberedLog(files, RunPaths(dag_id, run_id).amendments, _parsed)

    def all(self) -> list[Amendment]:
        """All amendments of the run, oldest first, withdrawn ones too.

        :raises RecordBrokenError: an entry was edited by hand
        :raises StoreError: it can't be told what is there
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
        """What holds for a task, or one item of it.

        :raises RecordBrokenError: an entry was edited by hand: a task must not run by half an amendment
        :raises StoreError: it can't be told what is there
        """
        return what_holds(self.all(), task_id, item)

    def add(self, change: Change) -> int:
        """Record a change, and return its number.

        :raises StoreError: it is unknown whether it is recorded
        """
        return self._log.append(change.model_dump(mode="json"))

    def withdraw(self, number: int) -> None:
        """Say that an amendment doesn't count, because its task could not be cleared.

        :raises StoreError: it is unknown whether that is recorded
        """
        self._log.append({"kind": "withdrawn", "number": number})

    def saved(self, number: int, revision: int) -> None:
        """Say that a revision of the workflow's plan has the change, too.

        :raises StoreError: it is unknown whether that is recorded
        """
        self._log.append({"kind": "saved", "number": number, "revision": revision})


def what_holds(amendments: Iterable[Amendment], task_id: str, item: str | None = None) -> Amended:
    """What holds for a task, or one item of it, after all amendments of its run.

    :param amendments: the run's, oldest first
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
