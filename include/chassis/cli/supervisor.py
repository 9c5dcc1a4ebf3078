"""The one process that a local stack hangs on: it leads the session, starts the components and reaps them.

``chassis up`` starts it in a session of its own and hands it its orders on standard input (they hold
secrets, so they are neither arguments nor a file). It doesn't restart what ends: a component that dies is
recorded, and SIGUSR1 starts whatever isn't running. SIGTERM or SIGINT ends the whole session, then itself.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict, Field

from chassis.cli.processes import ProcessId, end_session
from chassis.cli.record import ComponentRecord, StackRecord, record_file, write_record

GRACE_SECONDS = 10.0


class Orders(BaseModel):
    """What to run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    home: Path
    url: str
    simulator_url: str | None
    username: str
    password_file: str
    commands: dict[str, list[str]] = Field(
        description="Program and arguments by component, in the order of their start."
    )
    environment: dict[str, str] = Field(description="The whole environment of every component.")
    grace_seconds: float = Field(GRACE_SECONDS, description="How long the components may take to end.")


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

    def run(self) -> None:
        """Start everything, then serve signals; returns after the session has ended."""
        signals = self._listen()
        self._start_missing()
        while True:
            received = os.read(signals, 1)[0]
            if received in (signal.SIGTERM, signal.SIGINT):
                break
            self._reap()
            if received == signal.SIGUSR1:
                self._start_missing()
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

    def _start_missing(self) -> None:
        for name, command in self._orders.commands.items():
            if name not in self._running:
                self._start(name, command)
        self._write()

    def _start(self, name: str, command: list[str]) -> None:
        with log_file(self._orders.home, name).open("ab") as log:
            child = subprocess.Popen(  # noqa: S603  the command comes from chassis.cli.environment
                command,
                cwd=self._orders.home,
                env=self._orders.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._running[name] = child
        self._processes[name] = ProcessId.of(child.pid)

    def _reap(self) -> None:
        for name, child in list(self._running.items()):
            code = child.poll()
            if code is not None:
                del self._running[name], self._processes[name]
                self._exit_codes[name] = code
        self._write()

    def _write(self) -> None:
        orders = self._orders
        components = {
            name: ComponentRecord(
                process=self._processes.get(name),
                exit_code=None if name in self._processes else self._exit_codes.get(name),
                log=str(log_file(orders.home, name)),
            )
            for name in orders.commands
        }
        record = StackRecord(
            url=orders.url,
            simulator_url=orders.simulator_url,
            username=orders.username,
            password_file=orders.password_file,
            booted=psutil.boot_time(),
            supervisor=ProcessId.of(os.getpid()),
            components=components,
        )
        write_record(orders.home, record)


if __name__ == "__main__":
    Supervisor(Orders.model_validate_json(sys.stdin.buffer.read())).run()
