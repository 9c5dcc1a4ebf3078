"""``--help`` is quick because it loads nothing of what the commands need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import chassis
from chassis.cli.main import app

COMMANDS = (
    *("run", "plan", "approve", "list", "pause", "unpause", "retire", "delete"),
    *("show", "diff", "validate", "publish", "runs", "status", "retry", "stop", "logs", "transcript"),
    *("limits", "costs", "up", "down", "doctor", "simulator"),
)

PROGRAM = """
import sys
from chassis.cli.main import app
sys.argv = ["chassis", *sys.argv[1:]]
try:
    app()
finally:
    heavy = {"airflow", "anthropic", "boto3", "botocore", "httpx", "yaml", "psutil", "aiohttp", "genai_prices"}
    heavy |= {"chassis.workflow", "chassis.ledger.journal"}
    print("loaded:", *sorted(heavy & sys.modules.keys()), file=sys.stderr)
"""


@pytest.mark.parametrize("arguments", [("--help",), ("run", "--help"), ("-h",), ("--version",)])
def test_help_loads_no_heavy_library(arguments: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=True, timeout=60
    )
    assert "Usage" in done.stdout or done.stdout == f"chassis {chassis.__version__}\n"
    assert done.stderr.strip() == "loaded:"


def test_every_command_of_the_contract_is_there_and_explains_itself() -> None:
    for command in COMMANDS:
        result = CliRunner().invoke(app, [command, "-h"])
        assert result.exit_code == 0
        assert "Usage" in result.stdout
    assert {command.name for command in app.registered_commands} == set(COMMANDS)


def test_every_command_that_prints_data_has_a_json_form() -> None:
    acts = {
        "pause",
        "unpause",
        "retire",
        "delete",
        "stop",
        "retry",
        "plan",
        "up",
        "down",
        "simulator",
        "logs",
    }
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        options = {option for parameter in command.params for option in parameter.opts}
        assert ("--json" in options) is (name not in acts), name


def test_a_shell_completes_commands_and_options() -> None:
    # Typer looks for the shell among its parents; without a second command, bash would put Python in its own place.
    asks = f"{Path(sys.executable).parent}/chassis --show-completion; exit $?"
    script = subprocess.run(["bash", "-c", asks], capture_output=True, text=True, timeout=60, check=True)
    assert "_CHASSIS_COMPLETE" in script.stdout
    asked = {"_CHASSIS_COMPLETE": "complete_bash", "COMP_WORDS": "chassis unp", "COMP_CWORD": "1"}
    assert "unpause" in CliRunner().invoke(app, [], prog_name="chassis", env=asked).stdout
