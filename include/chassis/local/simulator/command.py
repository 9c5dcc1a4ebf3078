"""The simulator as a blocking command, for ``chassis simulator`` and ``python -m chassis.local.simulator``."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

from chassis.local.simulator.runner import Simulator

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from chassis.local.simulator.scenario import Quota

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8788
DEFAULT_LATENCY = 0.3  # seconds: enough for a person to see work side by side, too little to wait for


def serve(
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    latency: float = DEFAULT_LATENCY,
    quota: Quota | None = None,
    scenario: Sequence[Path] = (),
    log_file: str | Path | None = None,
) -> None:
    """Run until SIGTERM or SIGINT, then return. Call it from the main thread: only that one gets signals.

    Prints one line with the address, which is news when ``port`` is 0.

    :raises SimulatorError: port in use, scenario wrong, log file not writable
    """
    ended = threading.Event()
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, lambda *_: ended.set()) for number in numbers]
    try:
        with Simulator(
            host, port, latency=latency, quota=quota, scenario=scenario, log_file=log_file
        ) as simulator:
            print(f"Simulator (not Claude) of Amazon Bedrock: {simulator.url}", flush=True)
            ended.wait()
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
