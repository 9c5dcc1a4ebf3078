"""``python -m chassis.local.simulator``: the simulator as a program."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from chassis.local.simulator.command import DEFAULT_HOST, DEFAULT_LATENCY, DEFAULT_PORT, serve
from chassis.local.simulator.scenario import Quota, parse
from chassis.local.simulator.simulator_errors import SimulatorError


def main() -> int:
    """Exit code 0 after a signal, 2 when it can't start."""
    parser = argparse.ArgumentParser(
        prog="python -m chassis.local.simulator",
        description="A local server that simulates Claude on Amazon Bedrock.",
    )
    parser.add_argument("--host", default=DEFAULT_HOST, help="address to listen on (default %(default)s)")
    parser.add_argument(
        "--port", type=int, default=DEFAULT_PORT, help="0 takes a free one (default %(default)s)"
    )
    parser.add_argument(
        "--latency",
        type=float,
        default=DEFAULT_LATENCY,
        metavar="S",
        help="seconds before each answer (default %(default)s)",
    )
    parser.add_argument(
        "--requests-per-second", type=int, metavar="N", help="refuse what is over N requests in a second"
    )
    parser.add_argument("--in-flight", type=int, metavar="N", help="refuse what is over N requests at once")
    parser.add_argument(
        "--scenario",
        metavar="FILE",
        type=Path,
        action="append",
        default=[],
        help="answers and faults; any number",
    )
    parser.add_argument("--log", metavar="FILE", help="append a line of JSON for each request")
    given = parser.parse_args()
    try:
        limits = {"requests_per_second": given.requests_per_second, "in_flight": given.in_flight}
        quota = parse(Quota, limits, "The quota")
        serve(given.host, given.port, given.latency, quota, given.scenario, given.log)
    except SimulatorError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
