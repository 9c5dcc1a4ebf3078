"""``chassis doctor --bedrock``: ask before money is spent, have the questions asked, write the report."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chassis.claude.live_check import MOST_USD
from chassis.cli.console import confirmed, tell
from chassis.cli.doctor import environment_of
from chassis.cli.doctor_bedrock_process import GO, MARK
from chassis.errors import ChassisError, restore_error
from chassis.errors.client import StackError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator


def report_path(given: Path | None) -> Path:
    """Where the report goes; nothing is overwritten.

    :raises UsageError: there is something already, or no folder to put it into
    """
    path = given or Path(f"bedrock-check-{datetime.now(UTC):%Y%m%d-%H%M%S}.md")
    if path.exists():
        raise UsageError(f"{path} exists already.", hint="Name another file with --report.")
    if not path.absolute().parent.is_dir():
        raise UsageError(
            f"There is no folder {path.absolute().parent}.", hint="Name another file with --report."
        )
    return path


def check_bedrock(home: Path, path: Path, *, yes: bool) -> tuple[dict[str, Any], ChassisError | None]:
    """Ask the questions that only AWS can answer, and write the report.

    :param yes: whether the person has agreed to the costs beforehand
    :returns: the report as data, and why nothing could be asked (None: it could)
    :raises typer.Exit: the person doesn't agree; nothing was sent
    :raises ChassisError: there is nobody to ask, or nothing that could be asked
    """
    with environment_of(home) as environment, tempfile.TemporaryFile() as noise:
        command = [sys.executable, "-m", "chassis.cli.doctor_bedrock_process"]
        process = subprocess.Popen(  # noqa: S603
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=noise, text=True
        )
        with process:
            try:
                told = _converse(process, yes=yes)
            finally:
                process.kill()
        if told is None:
            noise.seek(0)
            lines = noise.read().decode(errors="replace").strip().splitlines()
            raise StackError(f"The check ended without a report: {lines[-1] if lines else 'no output'}")
    path.write_text(told["text"], encoding="utf-8")
    error = told["error"]
    return told["report"], None if error is None else restore_error(error)


def _converse(process: subprocess.Popen[str], *, yes: bool) -> dict[str, Any] | None:
    """Go through what the process says, to its report; None when it ends without one."""
    assert process.stdin is not None, "it is a pipe"
    for told in _told(process):
        match told["kind"]:
            case "refused":
                raise restore_error(told["error"])
            case "question":
                confirmed(_question(told), yes=yes, otherwise="Nothing was sent.")
                process.stdin.write(f"{GO}\n")
                process.stdin.flush()
            case "finding":
                tell(f"{told['answer']:<10} {told['question']}")
            case "report":
                return told
    return None


def _told(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    assert process.stdout is not None, "it is a pipe"
    for line in process.stdout:
        if line.startswith(MARK):
            yield json.loads(line.removeprefix(MARK))


def _question(told: dict[str, Any]) -> str:
    where = "the connection's own endpoint" if told["own"] else "Amazon Bedrock"
    return (
        f"Ask {told['model']} at {where} in {told['region']}, through connection '{told['conn_id']}', about fifteen "
        f"questions? This costs at most ${MOST_USD:.2f} at list prices."
    )
