"""Small programs that stand in for Airflow's components, and a supervisor that runs them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psutil

from chassis.local.stack_file import StackRecord, read_record
from chassis.local.supervisor import Orders

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SLEEPER = "import time; time.sleep(600)"

# As Airflow's executor: a child that is in a process group of its own, and one that SIGTERM doesn't reach.
FAMILY = """
import os, signal, subprocess, sys, time
deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
grandchild = deaf + "print('here', flush=True); time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", grandchild], process_group=0, stdout=subprocess.PIPE)
child.stdout.readline()
open(sys.argv[1], "w").write(str(child.pid))
time.sleep(600)
"""

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"


def until(condition: Callable[[], object], seconds: float = 10) -> None:
    """Poll until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie doesn't."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def run_supervisor(
    home: Path, *, grace: float = 10, pause: float = 600, orphan: float = 600, **programs: list[str]
) -> tuple[subprocess.Popen[bytes], StackRecord]:
    """A supervisor in a session of its own, with Python programs as its components, once all of them run.

    What ends stays so, and orphans live, unless ``pause`` and ``orphan`` (seconds) say otherwise.
    """
    (home / "logs").mkdir(parents=True, exist_ok=True)
    orders = Orders(
        home=home,
        url="http://127.0.0.1:9",
        execution_url="http://127.0.0.1:9",
        simulator_url=None,
        username="admin",
        password_file=str(home / "password.json"),
        commands={name: [sys.executable, "-c", *program] for name, program in programs.items()},
        environment=dict(os.environ),
        grace_seconds=grace,
        pause_seconds=pause,
        orphan_seconds=orphan,
    )
    supervisor = subprocess.Popen(
        [sys.executable, "-m", "chassis.local.supervisor"], stdin=subprocess.PIPE, start_new_session=True
    )
    assert supervisor.stdin is not None
    with supervisor.stdin as pipe:
        pipe.write(orders.model_dump_json().encode())
    until(lambda: read_record(home) is not None)
    record = read_record(home)
    assert record is not None
    return supervisor, record
