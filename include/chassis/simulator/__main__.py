"""``python -m chassis.simulator``: the simulator as a program."""

from __future__ import annotations

import argparse

from chassis.simulator.command import DEFAULT_LATENCY, DEFAULT_PORT, serve

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m chassis.simulator", description="Simulates Claude on Amazon Bedrock.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="0 takes a free one (default %(default)s)")
    arguments = parser.parse_args()
    serve(arguments.host, arguments.port, DEFAULT_LATENCY)
