"""The decisions on the plan of a planner's run, for the plan's page and for ``publish``.

``publish`` relies on them: anyone who may edit the run can edit an XCom, but not an entry here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from chassis.contract.record_paths import RunPaths
from chassis.records.event_log import NumberedLog

if TYPE_CHECKING:
    from chassis.files import Files

Kind = Literal["proposed", "approved", "edited", "revise", "rejected", "refused", "timeout", "without"]
SETTLING: frozenset[Kind] = frozenset({"approved", "edited", "without"})
"""Kinds of entries that allow a plan to be published."""


class Decision(BaseModel):
    """One step on the way to a decision."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind = Field(
        description="What happened: a plan was proposed; approved as proposed or as edited; sent back; rejected; an "
        "answer was refused; nobody answered in time; or nobody had to be asked."
    )
    at: str = Field(description="ISO 8601 time.")
    by: str = Field("", description="Name of the person; empty where no person did it.")
    by_id: str = Field("", description="The person's user id in Airflow.")
    digest: str = Field(description="Of the plan that it is about.")
    comment: str = Field("", description="The person's words, or the reason.")


class Decisions:
    """The decisions in one run of a planner, oldest first. Its methods read and write the record store, so they
    block.
    """

    def __init__(self, files: Files, dag_id: str, run_id: str) -> None:
        self._log = NumberedLog(files, RunPaths(dag_id, run_id).decisions, Decision.model_validate)

    def add(self, decision: Decision) -> int:
        """Add a decision and return its number, from 1. A decision that equals the newest isn't added again.

        Airflow 3.3.2 may take a task that was answered within a second for killed; the next try then finds the same
        answer.

        :raises RecordBrokenError: an entry was edited by hand and is invalid
        :raises StoreError: it is unknown whether the decision is recorded
        """
        for number, newest in list(self.all().items())[-1:]:
            if newest == decision:
                return number
        return self._log.append(decision.model_dump(mode="json"))

    def all(self) -> dict[int, Decision]:
        """All decisions by number.

        :raises RecordBrokenError: an entry was edited by hand and is invalid
        :raises StoreError: the decisions can't be listed or read
        """
        return self._log.entries()

    def settled(self) -> str:
        """Digest of the plan that may be published; empty if the last decision allows none.

        :raises StoreError: the decisions can't be listed or read
        """
        *_, last = self.all().values() or [None]
        return last.digest if last is not None and last.kind in SETTLING else ""
