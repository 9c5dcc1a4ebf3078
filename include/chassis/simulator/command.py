"""The simulator as a blocking command, for ``chassis simulator`` and ``python -m chassis.simulator``."""

from __future__ import annotations

import signal
import threading

from chassis.simulator.runner import Simulator

DEFAULT_PORT = 8788
DEFAULT_LATENCY = 0.3


def serve(host: str, port: int, latency: float = DEFAULT_LATENCY) -> None:
    """Run until SIGTERM or SIGINT."""
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with Simulator(host, port, latency=latency) as simulator:
        print(f"Simulator (not Claude) on {simulator.url}", flush=True)
        ended.wait()
