"""The entries of a run's ledger: calls that were opened, and how they were closed.

An entry is written once and never changed. It holds no prompt, no answer and no secret.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from chassis.contract.spending import Bound
from chassis.contract.usage import Usage

TaskKey = tuple[str, str | None]
"""A task's id, and the item if the task is mapped."""

Outcome = Literal["answered", "failed", "cancelled", "lost"]
"""``lost``: the process was killed before it recorded the end, so the real cost is unknown."""


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Opened(_Data):
    """A call that is about to be made. It counts at its bound until it is closed."""

    kind: Literal["opened"] = "opened"
    call: str = Field(min_length=1, description="Name of the call, used once.")
    task_id: str
    item: str | None = None
    clear_number: int = Field(0, ge=0)
    try_number: int = Field(1, ge=0)
    owner: str = Field(
        "", description="Who makes the calls of this try: one process's; empty in old entries."
    )
    model: str
    opened_at: float = Field(description="Seconds since 1970.")
    until: float = Field(description="Seconds since 1970; not closed by then, the call counts as lost.")
    bound: Bound

    @property
    def task_key(self) -> TaskKey:
        """The task and item whose limits the call counts against."""
        return self.task_id, self.item

    @property
    def attempt(self) -> tuple[int, int]:
        """The attempt at the task; a later one compares greater."""
        return self.clear_number, self.try_number


class Closed(_Data):
    """A call that has ended or counts as lost."""

    kind: Literal["closed"] = "closed"
    call: str = Field(min_length=1, description="Name of the call that was opened.")
    outcome: Outcome
    closed_at: float = Field(description="Seconds since 1970.")
    usage: Usage = Field(default=Usage(), description="What was counted.")
    cost_usd: float | None = Field(
        0.0, ge=0, description="List price of what was counted; None when the price isn't known."
    )
    uncertain: Bound = Field(default=Bound(), description="What may have been paid beyond what was counted.")
    request_id: str = ""
    error: str = Field("", description="Name of the error's class; empty without one.")
    simulated: bool = False
    seconds: float = Field(0.0, ge=0, description="Duration of the call.")


Entry = Opened | Closed

_ENTRY: TypeAdapter[Entry] = TypeAdapter(Annotated[Entry, Field(discriminator="kind")])


def parse_entry(content: bytes) -> Entry:
    """Parse the content of an entry's file.

    :raises pydantic.ValidationError: it is not an entry
    """
    return _ENTRY.validate_json(content)


def entry_text(entry: Entry) -> bytes:
    """Serialise an entry for its file."""
    import json

    return json.dumps(entry.model_dump(mode="json"), sort_keys=True).encode() + b"\n"


def lost(opened: Opened, at: float) -> Closed:
    """Close a call as lost: it counts at its upper bound."""
    return Closed(call=opened.call, outcome="lost", closed_at=at, uncertain=opened.bound)
