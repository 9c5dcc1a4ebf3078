"""``python -m chassis.local.simulator``: the simulator as a program."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from chassis.local.simulator.runner import serve
from chassis.local.simulator.scenario import Quota, parse
from chassis.local.simulator.simulator_errors import SimulatorError


def main() -> int:
    """Exit code 0 after a signal, 2 when it can't start."""
    parser = argparse.ArgumentParser(
        prog="python -m chassis.local.simulator", description="Simulates Amazon Bedrock."
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    add("--port", type=int, default=8788, help="0 takes a free one (default %(default)s)")
    add("--latency", type=float, default=0.3, help="seconds before each answer (default %(default)s)")
    add("--requests-per-second", type=int, help="refuse what is over so many requests in a second")
    add("--in-flight", type=int, help="refuse what is over so many requests at once")
    add("--scenario", type=Path, action="append", help="file of answers and faults; any number")
    add("--log", dest="log_file", help="file that gets a line of JSON for each request")
    given = vars(parser.parse_args())
    try:
        limits = {name: given.pop(name) for name in ("requests_per_second", "in_flight")}
        serve(quota=parse(Quota, limits, "The quota"), **given)
    except SimulatorError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
