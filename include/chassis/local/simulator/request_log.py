"""The request log: what came in, what was answered, and how many were in flight."""

from __future__ import annotations

import json
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chassis.local.simulator.simulator_errors import SimulatorError

if TYPE_CHECKING:
    from chassis.local.simulator.claude_request import ClaudeRequest, Kind

_ENTRIES = 10_000  # older ones are dropped: a simulator may run for weeks
_BODY_BYTES = 64 * 1024 * 1024  # prompts are what is big: the bodies of older entries are dropped earlier


@dataclass
class Entry:
    """One request. Times are Unix seconds; ``ended`` and ``status`` are None until there is one.

    ``in_flight`` counts the requests in flight when this one began, itself included; ``peak`` is how high
    that rose while it ran. ``usage`` is what the answer said; ``fault`` the name of the fault that hit it.
    A request that the quota refused has the status 429 and no fault. ``disconnected``: the client closed the
    connection before the answer was complete, at ``ended``.
    """

    n: int
    request_id: str
    model: str
    stream: bool
    started: float
    in_flight: int
    peak: int
    kind: Kind = "other"
    task: str | None = None
    item: str | None = None
    status: int | None = None
    fault: str | None = None
    ended: float | None = None
    disconnected: bool = False
    usage: dict[str, Any] | None = None
    body: dict[str, Any] | None = None


class RequestLog:
    """The newest requests, in order of arrival; with ``file``, each is also appended there as a line of JSON.

    The file has no bodies: prompts stay in memory.

    :raises SimulatorError: the file can't be written
    """

    def __init__(self, file: str | Path | None = None) -> None:
        self._entries: deque[Entry] = deque(maxlen=_ENTRIES)
        self._with_body: deque[tuple[Entry, int]] = deque()
        self._body_bytes = 0
        self._open: dict[int, Entry] = {}
        self._count = 0
        try:
            self._file = Path(file).open("a", encoding="utf-8") if file else None  # noqa: SIM115 - open as long as the log
        except OSError as error:
            raise SimulatorError(f"The request log {file} can't be written: {error.strerror}.") from None

    @property
    def in_flight(self) -> int:
        return len(self._open)

    def begin(self, request_id: str, model: str, stream: bool) -> Entry:
        self._count += 1
        now_open = len(self._open) + 1
        entry = Entry(self._count, request_id, model, stream, time.time(), now_open, now_open)
        self._open[entry.n] = entry
        for other in self._open.values():
            other.peak = max(other.peak, now_open)
        self._entries.append(entry)
        return entry

    def describe(self, entry: Entry, request: ClaudeRequest, size: int) -> None:
        """Note what a request asks for, once it is known to be readable; ``size`` is its body's, in bytes."""
        entry.kind, entry.task, entry.item, entry.body = (
            request.kind,
            request.task,
            request.item,
            request.body,
        )
        self._with_body.append((entry, size))
        self._body_bytes += size
        while self._body_bytes > _BODY_BYTES:
            oldest, dropped = self._with_body.popleft()
            oldest.body = None
            self._body_bytes -= dropped

    def end(self, entry: Entry) -> None:
        entry.ended = time.time()
        self._open.pop(entry.n, None)
        if self._file:
            line = {name: value for name, value in vars(entry).items() if name != "body"}
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()

    def as_data(self) -> list[dict[str, Any]]:
        return [dict(vars(entry)) for entry in self._entries]

    def clear(self) -> None:
        """Forget all entries; what is in flight goes on and goes on being counted."""
        self._entries.clear()
        self._with_body.clear()
        self._body_bytes = 0

    def close(self) -> None:
        if self._file:
            self._file.close()
