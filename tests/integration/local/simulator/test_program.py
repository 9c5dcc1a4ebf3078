"""``python -m chassis.local.simulator`` as an operator runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import anthropic
import httpx2
import pytest

import chassis
from chassis.local.simulator import Simulator, SimulatorControl
from tests.integration.local.simulator.calls import client, send, task_call

if TYPE_CHECKING:
    from collections.abc import Iterator

_ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(chassis.__file__).parents[1])}


@contextmanager
def program(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The running program and its address."""
    command = [sys.executable, "-m", "chassis.local.simulator", "--port", "0", *arguments]
    running = subprocess.Popen(
        command, env=_ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert running.stdout is not None
        line = running.stdout.readline()
        assert "not Claude" in line, running.stderr.read() if running.stderr else ""
        yield running, line.rpartition(" ")[2].strip()
    finally:
        running.kill()
        running.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_signal_ends_it_cleanly_even_with_a_call_that_stalls(
    number: signal.Signals, tmp_path: Path
) -> None:
    log = tmp_path / "requests.jsonl"
    scenario = tmp_path / "scenario.json"
    faults = [{"fault": "stall", "match": {"task": "slow"}}, {"fault": "reset", "match": {"task": "broken"}}]
    scenario.write_text(json.dumps({"faults": faults}))
    with program("--latency", "0", "--scenario", str(scenario), "--log", str(log)) as (running, url):
        assert send(client(url), task_call(), stream=True).model == "simulated"
        with pytest.raises(httpx2.NetworkError):
            send(client(url), task_call("broken", "Do."), stream=True)
        stalled = threading.Thread(target=_ask_in_vain, args=(url,))
        stalled.start()
        SimulatorControl(url).wait_for_requests(1, task="slow")
        running.send_signal(number)
        output, errors = running.communicate(timeout=5)
        stalled.join()
        assert (running.returncode, output, errors) == (0, "", "")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    told = [(line["task"], line["fault"]) for line in lines]
    assert told == [("add_numbers", None), ("broken", "reset"), ("slow", "stall")]


def _ask_in_vain(url: str) -> None:
    with pytest.raises(anthropic.APIConnectionError):
        send(client(url), task_call("slow", "Do."), stream=False)


@pytest.mark.parametrize("cause", ["port", "scenario", "log"])
def test_what_keeps_it_from_starting_is_one_line_and_exit_code_2(
    cause: str, simulator: Simulator, tmp_path: Path
) -> None:
    missing = str(tmp_path / "nosuch" / "file")
    arguments = {
        "port": ["--port", simulator.url.rpartition(":")[2]],
        "scenario": ["--port", "0", "--scenario", missing],
        "log": ["--port", "0", "--log", missing],
    }[cause]
    done = subprocess.run(
        [sys.executable, "-m", "chassis.local.simulator", *arguments],
        env=_ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("The "), done.stderr


def test_it_loads_neither_airflow_nor_a_client_of_bedrock() -> None:
    code = (
        "import sys, chassis.local.simulator.runner; "
        "print(sorted({'airflow', 'anthropic', 'boto3', 'botocore', 'fastapi'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=_ENVIRONMENT, capture_output=True, text=True, timeout=20, check=True
    )
    assert done.stdout.strip() == "[]"
