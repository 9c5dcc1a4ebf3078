"""The README's first command, as somebody runs it who has just cloned the project."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[Path]:
    """A clone of what is committed, with nothing set up; its local Airflow is ended afterwards."""
    folder = tmp_path / "chassis"
    subprocess.run(["git", "clone", "--quiet", PROJECT.as_uri(), folder], check=True)
    yield folder
    subprocess.run(["make", "down"], cwd=folder, env=environment(), check=True, capture_output=True)


def environment() -> dict[str, str]:
    """This process's environment without what the suite itself was started in."""
    ours = ("VIRTUAL_ENV", "CHASSIS_", "AIRFLOW", "MAKE", "MFLAGS", "BIN", "VENV", "PYTHONPATH")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    folders = [folder for folder in kept["PATH"].split(":") if not folder.startswith(str(PROJECT))]
    return kept | {"PATH": ":".join(folders)}


def test_make_run_in_a_fresh_clone_ends_with_the_sum(clone: Path) -> None:
    done = subprocess.run(
        ["make", "run"],
        cwd=clone,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    order = [
        done.stdout.rindex(f"{task}: success")
        for task in ("identify_numbers", "add_numbers", "report_result")
    ]
    assert order == sorted(order)
    assert "Sum: 8" in done.stdout
    assert "simulated: not Claude" in done.stdout
