"""``<home>/stack.json``: what runs in a home, written by the stack's supervisor and read by everyone else.

Invariants that must not be relaxed:

- One writer: the supervisor. It replaces the file atomically, so a reader never sees half of it.
- No secrets: the file tells where the password is, not what it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import psutil
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from chassis.local.processes import ProcessId, session_members
from chassis.local.stack_keys import write_private

if TYPE_CHECKING:
    from pathlib import Path

_FILE = "stack.json"


class ComponentRecord(BaseModel):
    """One component: its process while it runs, its exit code once it doesn't."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    process: ProcessId | None = None
    exit_code: int | None = None
    log: str = Field(description="Path of its log file.")


class StackFacts(BaseModel):
    """What holds for a stack from its start to its end."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(description="Airflow's address, without a slash at its end.")
    execution_url: str = Field("", description="Address of the API server that tasks speak with.")
    simulator_url: str | None = Field(description="Address of the simulator; None when real Bedrock answers.")
    username: str
    password_file: str


class StackRecord(StackFacts):
    """A stack as its supervisor last saw it."""

    booted: float = Field(description="When this machine started, in seconds since the epoch.")
    supervisor: ProcessId
    components: dict[str, ComponentRecord] = {}

    @property
    def simulated(self) -> bool:
        """Whether the simulator answers, and not Claude."""
        return self.simulator_url is not None

    def runs(self) -> bool:
        """Whether the stack's supervisor is alive."""
        return self.supervisor.find() is not None

    def leftovers(self) -> list[psutil.Process]:
        """Living processes of the stack besides its supervisor; none if the machine restarted since."""
        if abs(psutil.boot_time() - self.booted) > 60:
            return []
        return session_members(self.supervisor)

    def orphans(self) -> list[psutil.Process]:
        """Living processes of the stack whose component ended without them."""
        members = self.leftovers()  # before their parents are asked: one born in between is nobody's orphan
        owned: set[int] = set()
        for component in self.components.values():
            process = component.process.find() if component.process else None
            if process is not None:
                owned |= {process.pid} | {child.pid for child in process.children(recursive=True)}
        return [process for process in members if process.pid not in owned]

    def dead(self) -> list[str]:
        """Names of the components that ended."""
        return [name for name, component in self.components.items() if component.process is None]


def record_file(home: Path) -> Path:
    """Where a home's record is."""
    return home / _FILE


def read_record(home: Path) -> StackRecord | None:
    """What was last written for this home; None if nothing, or nothing that can be read, is there."""
    try:
        return StackRecord.model_validate_json(record_file(home).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def write_record(home: Path, record: StackRecord) -> None:
    """Replace the home's record."""
    write_private(record_file(home), record.model_dump_json(indent=2) + "\n")
