"""The local stack: an Airflow of its own for one home folder, from its first start to its end.

Where the state lives: all in the home (database, logs, plans, secrets); what runs now, in ``stack.json``.

Invariants that must not be relaxed:

- One stack for one home: starting holds the home's lock, and a second start finds the first one's.
- A start that fails leaves nothing running.
- Everything listens on 127.0.0.1 only.
"""

from __future__ import annotations

import fcntl
import importlib.metadata
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from chassis.airflow_client import Airflow, SignIn
from chassis.errors.client import StackError
from chassis.local.airflow_settings import apply_settings, find_settings_file
from chassis.local.processes import end_session
from chassis.local.readiness import last_lines, wait_until_ready
from chassis.local.stack_environment import (
    StackPlan,
    component_commands,
    component_environment,
    default_dags_folder,
    free_port,
)
from chassis.local.stack_file import StackRecord, read_record, record_file
from chassis.local.stack_keys import USERNAME, load_keys, password_file, read_password
from chassis.local.supervisor import GRACE_SECONDS, Orders, log_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

START_SECONDS = 300.0
_POLL_SECONDS = 0.1
_MIGRATED = "migrated"


def running_stack(home: Path) -> StackRecord | None:
    """The stack that runs in a home, or None; the record that a dead one left behind doesn't count."""
    record = read_record(home)
    return record if record is not None and record.runs() else None


def stop_stack(home: Path) -> bool:
    """End the home's stack and whatever is left of it.

    :return: whether anything was running
    :raises StackError: something can't be ended
    """
    record = read_record(home)
    if record is None:
        return False
    found = record.runs() or bool(record.leftovers())
    supervisor = record.supervisor.find()
    if supervisor is not None:
        supervisor.terminate()
        _until(lambda: not record.runs(), GRACE_SECONDS + 10)
    if record.leftovers():
        end_session(record.supervisor, [], grace=0)
    if supervisor is not None and record.runs():
        supervisor.kill()
        _until(lambda: not record.runs(), 5)
    left = [process.pid for process in record.leftovers()]
    if left or record.runs():
        raise StackError(f"Processes {left} of the stack in {home} can't be ended.", hint="End them by hand.")
    record_file(home).unlink(missing_ok=True)
    return found


class LocalStack:
    """A stack for one home. :meth:`start` starts it or finds it running; then the attributes describe it.

    :param home: folder that holds everything of the stack; created when missing
    :param dags_folder: folder of DAG files; None for the checkout's or, installed, the package's own
    :param simulator: whether the simulator answers instead of Bedrock
    :param env: variables for the components that win over everything else
    :param port: port of Airflow's API server and pages; 0 for any free one
    """

    def __init__(
        self,
        home: Path,
        dags_folder: Path | None = None,
        simulator: bool = True,
        env: Mapping[str, str] | None = None,
        *,
        port: int = 0,
    ) -> None:
        self.home = Path(home).absolute()
        self.username = USERNAME
        self._dags_folder = Path(dags_folder).absolute() if dags_folder else default_dags_folder()
        self._simulator = simulator
        self._extra = dict(env or {})
        self._port = port
        self._supervisor: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Airflow's address, without a slash at its end."""
        return self._record().url

    @property
    def simulator_url(self) -> str | None:
        """The simulator's address; None when real Bedrock answers."""
        return self._record().simulator_url

    @property
    def password(self) -> str:
        """Password of :attr:`username`."""
        return read_password(self.home)

    @property
    def processes(self) -> dict[str, int]:
        """Process ids of the components that run now, by name."""
        return {
            name: component.process.pid
            for name, component in self._record().components.items()
            if component.process is not None
        }

    def start(self, tell: Callable[[str], None] = lambda _: None) -> bool:
        """Start the stack and wait until it works; components of a running stack that ended start again.

        :param tell: gets a line of progress now and then
        :return: True when it was started, False when it ran already
        :raises StackError: it doesn't come up; says which component and its last log lines
        """
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._lock():
            record = running_stack(self.home)
            if record is not None:
                # Whoever started it may have been killed before it worked: make sure that it does.
                if record.dead():
                    tell(f"Starting again: {', '.join(record.dead())}")
                    self._start_missing()
                self._finish_start(record.supervisor.started, tell)
                return False
            stop_stack(self.home)
            since = time.time()
            try:
                self._launch(tell)
                self._finish_start(since, tell)
            except BaseException:
                self.stop()
                raise
        return True

    def stop(self) -> bool:
        """End every process of the stack. Returns whether anything was running."""
        found = stop_stack(self.home)
        if self._supervisor is not None:
            self._supervisor.wait(GRACE_SECONDS)
            self._supervisor = None
        return found

    def restart(self, name: str) -> None:
        """Start a component anew and wait until the stack works again; it may run or have ended.

        What it leaves behind ends after a while, see :mod:`chassis.local.supervisor`.
        """
        record = self._record()
        if name not in record.components:
            raise StackError(f"The stack has no component {name!r}: it has {', '.join(record.components)}.")
        process = record.components[name].process
        if process is not None and (running := process.find()) is not None:
            running.terminate()
            if not _until(lambda: process.find() is None, GRACE_SECONDS):
                running.kill()
        if process is not None and not _until(lambda: process.find() is None, GRACE_SECONDS):
            raise StackError(f"The {name} can't be ended.", hint="End the whole stack: `chassis down`.")
        self._start_missing()

    def _record(self) -> StackRecord:
        record = running_stack(self.home)
        if record is None:
            raise StackError(f"No local Airflow runs in {self.home}.", hint="Start it with `chassis up`.")
        return record

    def _start_missing(self) -> None:
        since = time.time()
        _until(self._all_run, GRACE_SECONDS)
        self._wait_until_ready(since)

    def _all_run(self) -> bool:
        """Whether every component runs; if not, the supervisor is told to start what it knows to have ended."""
        record = self._record()
        if record.dead():
            os.kill(record.supervisor.pid, signal.SIGUSR1)
        processes = [component.process for component in record.components.values()]
        return all(process is not None and process.find() for process in processes)

    def _launch(self, tell: Callable[[str], None]) -> None:
        if self._port and free_port(preferred=self._port) != self._port:
            raise StackError(f"Port {self._port} is taken.", hint="Name another: chassis up --port N")
        keys = load_keys(self.home)
        plan = StackPlan(
            home=self.home,
            dags_folder=self._dags_folder,
            port=self._port or free_port(),
            simulator_port=free_port() if self._simulator else None,
            extra=self._extra,
            execution_port=free_port(),
        )
        environment = component_environment(plan, keys, os.environ)
        for folder in ("airflow", "bundles", "logs", "plans", "plugins"):
            (self.home / folder).mkdir(exist_ok=True)
        self._migrate(environment, tell)
        tell("Starting Airflow")
        self._supervise(plan, environment)

    def _migrate(self, environment: Mapping[str, str], tell: Callable[[str], None]) -> None:
        """Create or upgrade the database: once for each version of Airflow."""
        version = importlib.metadata.version("apache-airflow-core")
        done = self.home / "airflow" / _MIGRATED
        if done.exists() and done.read_text() == version:
            return
        tell("Preparing the database (first start)")
        log = log_file(self.home, "migrate")
        with log.open("ab") as output:
            code = subprocess.run(
                [sys.executable, "-m", "airflow", "db", "migrate"],
                env=dict(environment),
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            ).returncode
        if code != 0:
            raise StackError(
                f"`airflow db migrate` ended with code {code}:\n{last_lines(log)}", hint=f"All of it: {log}"
            )
        done.write_text(version)

    def _supervise(self, plan: StackPlan, environment: Mapping[str, str]) -> None:
        orders = Orders(
            home=self.home,
            url=plan.url,
            execution_url=plan.execution_url,
            simulator_url=plan.simulator_url,
            username=USERNAME,
            password_file=str(password_file(self.home)),
            commands=component_commands(plan),
            environment=dict(environment),
        )
        log = log_file(self.home, "supervisor")
        with log.open("ab") as output:
            self._supervisor = subprocess.Popen(
                [sys.executable, "-m", "chassis.local.supervisor"],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        assert self._supervisor.stdin is not None
        with self._supervisor.stdin as pipe:
            pipe.write(orders.model_dump_json().encode())
        if not _until(lambda: running_stack(self.home) is not None, 20):
            raise StackError(
                f"The stack's supervisor did not start:\n{last_lines(log)}", hint=f"All of it: {log}"
            )

    def _wait_until_ready(self, since: float) -> None:
        wait_until_ready(
            record=self._record,
            password=self.password,
            planner=(self._dags_folder / "plan_workflow.py").exists(),
            since=since,
            seconds=START_SECONDS,
        )

    def _finish_start(self, since: float, tell: Callable[[str], None]) -> None:
        self._wait_until_ready(since)
        with Airflow(SignIn(self.url, username=self.username, password=self.password)) as airflow:
            apply_settings(airflow, find_settings_file(), tell)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        with (self.home / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _until(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait for a condition; whether it came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True
