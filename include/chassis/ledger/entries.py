"""What stands in a run's ledger: calls that were opened, and how they were closed. And what that sums up to.

An entry is written once and never changed; there is no prompt, no answer and no secret in it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from chassis.claude.usage import Usage

TaskKey = tuple[str, str | None]
"""A task's id, and the item if the task is mapped."""

Outcome = Literal["answered", "failed", "cancelled", "lost"]
"""``lost``: nobody saw the end, because the process was killed; what was paid is not known."""


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Bound(_Data):
    """An upper bound of what calls may cost."""

    tokens: int = Field(0, ge=0, description="Tokens: the prompt, and all the output that was allowed.")
    cost_usd: float | None = Field(0.0, ge=0, description="US dollars; None when the price isn't known.")


class Opened(_Data):
    """A call is about to be made. Until it is closed, it counts at its bound."""

    kind: Literal["opened"] = "opened"
    call: str = Field(min_length=1, description="Name of the call, used once.")
    task_id: str
    item: str | None = None
    clear_number: int = Field(0, ge=0)
    try_number: int = Field(1, ge=0)
    model: str
    opened_at: float = Field(description="Seconds since 1970.")
    until: float = Field(description="Seconds since 1970; not closed by then, the call counts as lost.")
    bound: Bound

    @property
    def task_key(self) -> TaskKey:
        """Whose spending the call is."""
        return self.task_id, self.item


class Closed(_Data):
    """A call has ended, or is given up for lost."""

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
    """The entry of a file.

    :raises pydantic.ValidationError: it is none
    """
    return _ENTRY.validate_json(content)


def entry_text(entry: Entry) -> bytes:
    """An entry as it stands in its file."""
    import json

    return json.dumps(entry.model_dump(mode="json"), sort_keys=True).encode() + b"\n"


def lost(opened: Opened, at: float) -> Closed:
    """The end of a call that nobody saw end: it counts at its upper bound."""
    return Closed(call=opened.call, outcome="lost", closed_at=at, uncertain=opened.bound)


class Totals(_Data):
    """What calls have spent together. Of ``uncertain`` and ``open``, ``cost_usd`` is the part of known price."""

    calls: int = Field(0, ge=0, description="Ended calls that were, or may have been, carried out.")
    usage: Usage = Field(default=Usage(), description="What was counted.")
    cost_usd: float = Field(0.0, ge=0, description="List price of what was counted, in US dollars.")
    unpriced_calls: int = Field(
        0, ge=0, description="Calls of a model without a known price: not in cost_usd."
    )
    simulated_calls: int = Field(0, ge=0, description="Calls that the simulator answered instead of Claude.")
    uncertain_calls: int = Field(0, ge=0, description="Calls that may have cost more than was counted.")
    uncertain: Bound = Field(default=Bound(), description="Upper bound of that.")
    open_calls: int = Field(0, ge=0, description="Calls in flight.")
    open: Bound = Field(default=Bound(), description="Upper bound of what those will cost.")

    @property
    def tokens(self) -> int:
        """Tokens that count against a limit: of all four kinds, and the uncertain ones."""
        counted = self.usage
        return (
            counted.input_tokens
            + counted.output_tokens
            + counted.cache_read_tokens
            + counted.cache_write_tokens
            + self.uncertain.tokens
        )

    @property
    def spent_usd(self) -> float:
        """US dollars that count against a limit: known and uncertain ones."""
        return round(self.cost_usd + (self.uncertain.cost_usd or 0), 9)

    def __add__(self, other: Totals) -> Totals:
        return Totals(
            calls=self.calls + other.calls,
            usage=self.usage + other.usage,
            cost_usd=round(self.cost_usd + other.cost_usd, 9),
            unpriced_calls=self.unpriced_calls + other.unpriced_calls,
            simulated_calls=self.simulated_calls + other.simulated_calls,
            uncertain_calls=self.uncertain_calls + other.uncertain_calls,
            uncertain=_sum(self.uncertain, other.uncertain),
            open_calls=self.open_calls + other.open_calls,
            open=_sum(self.open, other.open),
        )


def _sum(one: Bound, other: Bound) -> Bound:
    cost = round((one.cost_usd or 0) + (other.cost_usd or 0), 9)
    return Bound(tokens=one.tokens + other.tokens, cost_usd=cost)
