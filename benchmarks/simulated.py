"""The simulator of this checkout, as a process of its own, for benchmarks that make their calls without Airflow."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

INCLUDE = str(Path(__file__).parents[1] / "include")


@contextmanager
def simulator(*options: str) -> Iterator[str]:
    """The address of a simulator that runs with these options of its command line."""
    command = [sys.executable, "-m", "chassis.local.simulator", "--port", "0", *options]
    with subprocess.Popen(  # noqa: S603  its own program
        command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": INCLUDE}
    ) as running:
        assert running.stdout is not None
        try:
            yield running.stdout.readline().rpartition(" ")[2].strip()
        finally:
            running.terminate()
