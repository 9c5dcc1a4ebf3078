"""``--help`` is quick because it loads nothing of what the commands need."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from chassis.cli.main import app

COMMANDS = (
    *("run", "plan", "approve", "list", "show", "diff", "validate"),
    *("status", "retry", "logs", "transcript", "limits", "costs"),
    *("up", "down", "doctor", "simulator"),
)

PROGRAM = """
import sys
from chassis.cli.main import app
sys.argv = ["chassis", *sys.argv[1:]]
try:
    app()
finally:
    heavy = {"airflow", "anthropic", "boto3", "botocore", "httpx", "yaml", "psutil", "aiohttp", "genai_prices"}
    heavy |= {"chassis.workflow", "chassis.ledger.book"}
    print("loaded:", *sorted(heavy & sys.modules.keys()), file=sys.stderr)
"""


@pytest.mark.parametrize("arguments", [("--help",), ("run", "--help")])
def test_help_loads_no_heavy_library(arguments: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=True, timeout=60
    )
    assert "Usage" in done.stdout
    assert done.stderr.strip() == "loaded:"


def test_every_command_of_the_contract_is_there_and_explains_itself() -> None:
    for command in COMMANDS:
        result = CliRunner().invoke(app, [command, "--help"])
        assert result.exit_code == 0
        assert "Usage" in result.stdout
    assert {command.name for command in app.registered_commands} == set(COMMANDS)
