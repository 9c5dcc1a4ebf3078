"""Entries, limits and files for the tests of the ledger."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from chassis.contract.spending import Bound, RunLimits
from chassis.contract.usage import Usage
from chassis.errors import NotStoredError, StoreError
from chassis.files import NUMBERED, numbered
from chassis.ledger.entries import Closed, Opened
from chassis.workflow import SpendLimits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

NOON = 1_800_000_000.0
DAG, RUN = "add_pet", "manual__2026-11-22T12:00:00+00:00"


def opened(call: str, task: str = "deploy", item: str | None = None, **changes: Any) -> Opened:
    """A call of at most 100 tokens and 40 cents, which has an hour."""
    facts: dict[str, Any] = {
        "model": "a-model",
        "opened_at": NOON,
        "until": NOON + 3600,
        "bound": Bound(tokens=100, cost_usd=0.4),
    }
    return Opened(call=call, task_id=task, item=item, **facts | changes)


def answered(call: str, cost_usd: float | None = 0.1, tokens: int = 10, **changes: Any) -> Closed:
    """The end of a call that was answered."""
    facts: dict[str, Any] = {"outcome": "answered", "usage": Usage(input_tokens=tokens, calls=1)}
    return Closed(call=call, closed_at=NOON + 1, cost_usd=cost_usd, **facts | changes)


def run_limits(max_parallel: int = 1000, **limits: Any) -> RunLimits:
    """Limits of the run."""
    return RunLimits(run=SpendLimits(**limits), max_parallel=max_parallel)


class MemoryFiles:
    """Files in a dictionary, with the moments at which other writers or faults come in between.

    It keeps the contract of all files, which ``tests/integration/test_files.py`` holds it to.

    :ivar before_create: what happens just before the next creations, one callable for each
    :ivar listings: how often a folder was listed
    :ivar reads: names that were read
    """

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}
        self._written_at: dict[str, float] = {}
        self.before_create: list[Callable[[], None]] = []
        self.listings = 0
        self.reads: list[str] = []

    def names(self, folder: str) -> list[str]:
        self.listings += 1
        return [name for name in self.content if name.rpartition("/")[0] == folder]

    def names_below(self, wanted: Callable[[str], bool]) -> list[str]:
        split = ((name, name.split("/")) for name in self.content)
        return [name for name, parts in split if len(parts) == 2 and wanted(parts[0])]

    def folders(self, folder: str) -> list[str]:
        above = f"{folder}/" if folder else ""
        below = [name.removeprefix(above) for name in self.content if name.startswith(above)]
        return sorted({name.split("/")[0] for name in below if "/" in name})

    def read(self, name: str) -> bytes:
        self.reads.append(name)
        try:
            return self.content[name]
        except KeyError:
            raise NotStoredError(f"There is no {name} in the record store.") from None

    def read_all(self, names: Iterable[str]) -> dict[str, bytes]:
        wanted = list(names)
        self.reads += wanted
        return {name: self.content[name] for name in wanted if name in self.content}

    def numbered_after(self, folder: str, number: int, most: int) -> dict[int, bytes] | None:
        self.listings += 1
        if number and numbered(folder, number) not in self.content:
            return None
        there = sorted(name for name in self.content if name.rpartition("/")[0] == folder)
        numbers = [int(match[1]) for name in there if (match := NUMBERED.fullmatch(name.rpartition("/")[2]))]
        found = {n: numbered(folder, n) for n in [n for n in numbers if n > number][:most]}
        self.reads += found.values()
        return {n: self.content[name] for n, name in found.items()}

    def fetch(self, names: Iterable[str]) -> None:
        """Nothing is far away."""

    def claim(self, name: str) -> bool:
        return self.create(name, b"")

    def create(self, name: str, content: bytes) -> bool:
        if self.before_create and name.endswith(".json") and "/ledger/" in name:
            self.before_create.pop(0)()
        if name in self.content:
            return False
        self.write(name, content)
        return True

    def write(self, name: str, content: bytes) -> None:
        self.content[name] = content
        self._written_at[name] = time.time()

    def older(self, folder: str, moment: float) -> list[str]:
        written = sorted(self._written_at.items())
        return [name for name, at in written if name.startswith(f"{folder}/") and at < moment]

    def delete(self, names: Iterable[str]) -> None:
        for name in names:
            self.content.pop(name, None)
            self._written_at.pop(name, None)

    def locate(self, name: str) -> str:
        return f"memory:{name}"


class UnsureFiles(MemoryFiles):
    """Files whose next creations happen, but whose answers are lost: an error, or a wrong "it is taken"."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[StoreError | bool] = []

    def create(self, name: str, content: bytes) -> bool:
        made = super().create(name, content)
        if not made or not self.answers or "/ledger/" not in name:
            return made
        answer = self.answers.pop(0)
        if isinstance(answer, StoreError):
            raise answer
        return answer
