"""The one process that a local stack hangs on: it leads the session, starts the components and reaps them.

``chassis up`` starts it in a session of its own and hands it its orders on standard input (they hold
secrets, so they are neither arguments nor a file). A component that ends is recorded and starts again after a
pause, which doubles while it keeps ending; SIGUSR1 starts whatever isn't running at once. SIGTERM or SIGINT ends
the whole session, then itself.

Processes that a killed component leaves behind get :data:`ORPHAN_SECONDS`: a scheduler's workers end the tasks
that they have, and tell the API server so, which the next scheduler could only start anew.
"""

from __future__ import annotations

import math
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path  # noqa: TC003  pydantic reads the annotations
from typing import TYPE_CHECKING

import psutil
from pydantic import Field

from chassis.local.processes import ProcessId, end_session
from chassis.local.stack_file import ComponentRecord, StackFacts, StackRecord, record_file, write_record

if TYPE_CHECKING:
    from collections.abc import Iterable

GRACE_SECONDS = 10.0
ORPHAN_SECONDS = 30.0
"""About when the next scheduler takes these tasks for lost: Airflow's ``scheduler_health_check_threshold``."""
_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE = 60.0
_STEADY_SECONDS = 60.0  # whoever ran this long doesn't keep ending


class Orders(StackFacts):
    """What to run."""

    home: Path
    commands: dict[str, list[str]] = Field(
        description="Program and arguments by component, in the order of their start."
    )
    environment: dict[str, str] = Field(description="The whole environment of every component.")
    grace_seconds: float = Field(GRACE_SECONDS, description="How long the components may take to end.")
    pause_seconds: float = Field(
        _PAUSE_SECONDS, description="How long a component that ended stays so the first time."
    )
    orphan_seconds: float = Field(
        ORPHAN_SECONDS, description="How long processes live on whose component ended without them."
    )


def log_file(home: Path, component: str) -> Path:
    """Where a component's output goes."""
    return home / "logs" / f"{component}.log"


class Supervisor:
    """Runs the components of one stack until it is told to stop."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._processes: dict[str, ProcessId] = {}
        self._exit_codes: dict[str, int] = {}
        self._started: dict[str, float] = {}
        self._pauses: dict[str, float] = {}
        self._returns: dict[str, float] = {}
        self._orphans_end = math.inf

    def run(self) -> None:
        """Start everything, then serve signals; returns after the session has ended."""
        signals = self._listen()
        self._start(self._orders.commands)
        while True:
            received = self._next_signal(signals)
            if received in (signal.SIGTERM, signal.SIGINT):
                break
            for name in self._reap():
                self._plan_return(name)
            due = [name for name, moment in self._returns.items() if moment <= time.monotonic()]
            self._start(self._missing() if received == signal.SIGUSR1 else due)
            self._end_orphans()
        end_session(ProcessId.of(os.getpid()), self._processes.values(), grace=self._orders.grace_seconds)
        self._reap()
        record_file(self._orders.home).unlink(missing_ok=True)

    def _listen(self) -> int:
        """A pipe that yields each signal's number; the handlers exist only so that Python writes to it."""
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGUSR1):
            signal.signal(number, lambda *_: None)
        return reader

    def _next_signal(self, signals: int) -> int | None:
        """The next signal's number; None when something else is due first."""
        due = min(self._orphans_end, *self._returns.values(), math.inf)
        seconds = None if due == math.inf else max(0.0, due - time.monotonic())
        ready, _, _ = select.select([signals], [], [], seconds)
        return os.read(signals, 1)[0] if ready else None

    def _missing(self) -> list[str]:
        return [name for name in self._orders.commands if name not in self._running]

    def _start(self, names: Iterable[str]) -> None:
        for name in names:
            self._launch(name, self._orders.commands[name])
        self._write()

    def _launch(self, name: str, command: list[str]) -> None:
        with log_file(self._orders.home, name).open("ab") as log:
            child = subprocess.Popen(  # noqa: S603  the command comes from chassis.local.stack_environment
                command,
                cwd=self._orders.home,
                env=self._orders.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._running[name] = child
        self._processes[name] = ProcessId.of(child.pid)
        self._started[name] = time.monotonic()
        self._returns.pop(name, None)

    def _reap(self) -> list[str]:
        """Take note of the components that have ended since; their names."""
        ended = [name for name, child in self._running.items() if child.poll() is not None]
        for name in ended:
            self._exit_codes[name] = self._running.pop(name).returncode
            del self._processes[name]
        self._write()
        return ended

    def _plan_return(self, name: str) -> None:
        now = time.monotonic()
        pause = self._orders.pause_seconds
        if now - self._started[name] < _STEADY_SECONDS and name in self._pauses:
            pause = min(2 * self._pauses[name], _LONGEST_PAUSE)
        self._pauses[name] = pause
        self._returns[name] = now + pause
        self._orphans_end = now + self._orders.orphan_seconds
        moment, code = time.strftime("%Y-%m-%d %H:%M:%S"), self._exit_codes[name]
        print(f"{moment} The {name} ended with code {code}; it starts again in {pause:g} s.", flush=True)

    def _end_orphans(self) -> None:
        if time.monotonic() < self._orphans_end:
            return
        self._orphans_end = math.inf
        for orphan in self._record().orphans():
            with suppress(psutil.NoSuchProcess):
                orphan.kill()

    def _write(self) -> None:
        write_record(self._orders.home, self._record())

    def _record(self) -> StackRecord:
        orders = self._orders
        components = {
            name: ComponentRecord(
                process=self._processes.get(name),
                exit_code=None if name in self._processes else self._exit_codes.get(name),
                log=str(log_file(orders.home, name)),
            )
            for name in orders.commands
        }
        return StackRecord(
            **orders.model_dump(include=set(StackFacts.model_fields)),
            booted=psutil.boot_time(),
            supervisor=ProcessId.of(os.getpid()),
            components=components,
        )


if __name__ == "__main__":
    Supervisor(Orders.model_validate_json(sys.stdin.buffer.read())).run()
