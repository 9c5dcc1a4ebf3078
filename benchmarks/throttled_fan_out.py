"""Two hundred calls at once against a quota: how much longer they take than the quota itself makes them.

The simulator, a process of its own, admits 10 requests a second and 20 at once. Three ways to make the calls:

- *pace*: as Chassis makes them, through one shared client and the pace of its connection
- *SDK's retries*: all at once through one client of the SDK, which repeats what is refused, twice by default
- *SDK's retries, 20 of them*: the same, with patience

Each run is printed as a ratio to the quota's own limit: the time that the calls take when each begins as soon as the
quota allows, without any network. No Airflow has to run; the connection is an environment variable.

    python benchmarks/throttled_fan_out.py [--calls 200] [--latency 0.3 --latency 3]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from simulated import INCLUDE, simulator

sys.path.insert(0, INCLUDE)

from chassis.local.simulator import ACCESS_KEY, SECRET_KEY, SimulatorControl

PER_SECOND, IN_FLIGHT = 10, 20
CONN_ID = "claude_bedrock"
MODEL = "us.anthropic.claude-opus-4-6-v1"
CALL: dict[str, Any] = {
    "model": MODEL,
    "max_tokens": 64,
    "messages": [{"role": "user", "content": "Say OK."}],
}

Way = Callable[[str, int], Awaitable[int]]
"""Makes so many calls to the simulator at an address; returns how many failed."""


@dataclass(frozen=True)
class Outcome:
    """One run. ``seconds`` is its makespan."""

    seconds: float
    failed: int
    refused: int


async def paced(url: str, calls: int) -> int:
    """Through the pace and the shared client, again and again while the server refuses."""
    from chassis.claude.client_pool import connected
    from chassis.claude.pace import pace_for
    from chassis.claude.reply import call_once
    from chassis.errors import ThrottledError

    extra = {"region_name": "us-east-1", "endpoint_url": url}
    connection = {"conn_type": "claude_bedrock", "login": ACCESS_KEY, "password": SECRET_KEY, "extra": extra}
    os.environ[f"AIRFLOW_CONN_{CONN_ID.upper()}"] = json.dumps(connection)

    async def call() -> None:
        async with connected(CONN_ID, shared=True) as client:
            pace = pace_for((CONN_ID, MODEL), client.max_in_flight)
            while True:
                await pace.acquire()
                try:
                    await call_once(client, CALL, subject="benchmark")
                except ThrottledError as error:
                    pace.release(throttled=True, retry_after=error.retry_after)
                else:
                    pace.release(answered=True)
                    return

    await asyncio.gather(*(call() for _ in range(calls)))
    return 0


def retried(most: int | None) -> Way:
    """All at once through the SDK, which retries by itself; None is as often as it does by default."""

    async def make(url: str, calls: int) -> int:
        import anthropic

        given = {} if most is None else {"max_retries": most}
        async with anthropic.AsyncAnthropicBedrock(
            base_url=url,
            aws_access_key=ACCESS_KEY,
            aws_secret_key=SECRET_KEY,
            aws_region="us-east-1",
            **given,
        ) as client:

            async def call() -> None:
                body = {"anthropic_version": "bedrock-2023-05-31"}
                async with client.messages.stream(**CALL, extra_body=body) as stream:
                    await stream.get_final_message()

            ends = await asyncio.gather(*(call() for _ in range(calls)), return_exceptions=True)
        return sum(isinstance(end, anthropic.RateLimitError) for end in ends)

    return make


WAYS: dict[str, Way] = {
    "pace": paced,
    "SDK's retries": retried(None),
    "SDK's retries, 20 of them": retried(20),
}


def least_seconds(calls: int, latency: float) -> float:
    """The quota's own limit: each call begins as soon as both of its parts allow."""
    starts: list[float] = []
    for number in range(calls):
        after_rate = starts[number - PER_SECOND] + 1.0 if number >= PER_SECOND else 0.0
        after_width = starts[number - IN_FLIGHT] + latency if number >= IN_FLIGHT else 0.0
        starts.append(max(after_rate, after_width))
    return starts[-1] + latency


def measure(way: Way, calls: int, latency: float) -> Outcome:
    """One run against a fresh simulator; imports are not counted."""
    quota = ("--requests-per-second", str(PER_SECOND), "--in-flight", str(IN_FLIGHT))
    with simulator("--latency", str(latency), *quota) as url:

        async def timed() -> tuple[float, int]:
            await way(url, 1)
            await asyncio.sleep(1.0)  # the quota forgets that call
            control = SimulatorControl(url)
            await asyncio.to_thread(control.clear_requests)
            started = time.monotonic()
            failed = await way(url, calls)
            return time.monotonic() - started, failed

        seconds, failed = asyncio.run(timed())
        return Outcome(seconds, failed, len(SimulatorControl(url).requests(status=429)))


def main() -> None:
    """Run each way with each latency, and print a line for each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument(
        "--latency", type=float, action="append", help="seconds of an answer (default 0.3 and 3)"
    )
    given = parser.parse_args()
    print(f"{given.calls} calls; quota: {PER_SECOND} a second, {IN_FLIGHT} at once")
    print(f"{'':28}{'latency':>8}{'limit':>8}{'took':>8}{'ratio':>7}{'refused':>9}{'failed':>8}")
    for latency in given.latency or [0.3, 3.0]:
        least = least_seconds(given.calls, latency)
        for name, way in WAYS.items():
            run = measure(way, given.calls, latency)
            ratio = f"{run.seconds / least:.2f}" if not run.failed else "-"
            print(
                f"{name:28}{latency:>7.1f}s{least:>7.1f}s{run.seconds:>7.1f}s{ratio:>7}{run.refused:>9}{run.failed:>8}",
                flush=True,
            )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        os.environ["AIRFLOW_HOME"] = home
        logging.disable(logging.INFO)  # a line for each of thousands of requests
        main()
