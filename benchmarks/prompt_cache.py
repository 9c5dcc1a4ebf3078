"""Seven items of one task at once: what they write to the prompt cache, read from it, and cost.

The calls are made as a triggerer makes them, in one process, against a simulator of this checkout, which keeps a prefix
from the model's least length on, and lets it be read once the first answer has begun. Dollars are list prices of what
Bedrock would count. With ``--client`` the calls are made by another checkout's code, to compare.

    python benchmarks/prompt_cache.py [--items 7] [--latency 1.0] [--client ../other/include]
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
from typing import Any

from simulated import INCLUDE, simulator

CONN_ID = "claude_bedrock"
MODELS = ("us.anthropic.claude-opus-4-6-v1", "us.anthropic.claude-sonnet-5", "us.anthropic.claude-opus-5-5")
LONG = "A customer may cancel within 30 days, and gets back what was paid. " * 400
"""About 6,700 tokens: more than any model needs."""
SHAPES = {
    "short prompt": ("Review each service.", ""),
    "long requirement": (LONG, ""),
    "long result of a dependency": ("Review each service.", LONG),
}


def request_for(model: str, requirement: str, result: str, item: str) -> Any:
    """The request of one item, as a worker makes it up."""
    from chassis.agents import AgentDefinition
    from chassis.settings import Settings
    from chassis.work.brief import Sharing, TaskBrief, UpstreamResult
    from chassis.workflow import TaskSpec

    agent = AgentDefinition(name="reviewer", description="Reviews.", prompt="You review one service. " * 20)
    found = UpstreamResult(task="collect", summary="Collected.", output=result)
    brief = TaskBrief(
        task=TaskSpec(id="review", name="Review", instruction="Review {item}."),
        agent=agent,
        model=model,
        context_chars=Settings().context_chars,
        requirement=requirement,
        item=item,
        results=[found] if result else [],
        sharing=Sharing(wave=True),
    )
    return brief.request()


async def wave(model: str, requirement: str, result: str, items: int, records: str) -> tuple[Any, float]:
    """The usage of one run, and its seconds."""
    from chassis.claude.client_pool import connected
    from chassis.claude.pace import pace_for
    from chassis.contract.spending import RunLimits
    from chassis.contract.usage import Usage
    from chassis.files import open_files
    from chassis.ledger.call_identity import CallIdentity
    from chassis.ledger.paid_calls import PaidCalls
    from chassis.ledger.run_gate import gate_of
    from chassis.work.engine import do_task

    async def one(item: str) -> Usage:
        request = request_for(model, requirement, result, item)
        who = CallIdentity(dag_id="d", run_id="r", clear_number=0, task_id="review", item=item, try_number=1)
        async with connected(CONN_ID, shared=True) as client:
            calls = PaidCalls(
                client=client,
                identity=who,
                gate=gate_of(open_files(records, what="record store"), who.dag_id, who.run_id),
                pace=pace_for((CONN_ID, model), 32),
                limits=RunLimits(),
                timeout_seconds=600,
                subject=item,
                kind="task",
            )
            done = await do_task(
                calls.ask, request, task_id="review", item=item, output_schema=None, repairs=0
            )
        return done.usage

    started = time.monotonic()
    usages = await asyncio.gather(*(one(f"service {number}") for number in range(items)))
    return sum(usages, Usage()), time.monotonic() - started


def main() -> None:
    """Run each prompt with each model, and print a line for each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--items", type=int, default=7)
    parser.add_argument(
        "--latency", type=float, default=1.0, help="seconds until an answer begins (default 1)"
    )
    parser.add_argument("--client", default=INCLUDE, help="folder of the code that makes the calls")
    given = parser.parse_args()
    sys.path.insert(0, given.client)
    sys.path.insert(1, INCLUDE)
    from chassis.claude.prices import cost_usd
    from chassis.errors import ClaudeError
    from chassis.local.simulator import ACCESS_KEY, SECRET_KEY

    def measure(model: str, requirement: str, result: str, items: int, latency: float) -> str:
        with simulator("--latency", str(latency)) as url, tempfile.TemporaryDirectory() as records:
            extra = {"region_name": "us-east-1", "endpoint_url": url}
            keys = {"login": ACCESS_KEY, "password": SECRET_KEY}
            connection = {"conn_type": "claude_bedrock", **keys, "extra": extra}
            os.environ[f"AIRFLOW_CONN_{CONN_ID.upper()}"] = json.dumps(connection)
            try:
                used, seconds = asyncio.run(wave(model, requirement, result, items, records))
            except ClaudeError as error:
                return f"  {type(error).__name__}"
        counts = (used.cache_write_tokens, used.cache_read_tokens, used.input_tokens, used.output_tokens)
        told = "".join(f"{count:>{width},}" for count, width in zip(counts, (9, 8, 8, 6), strict=True))
        return f"{told}{cost_usd(model, used) or 0:>9.4f}{seconds:>9.1f}"

    measure(MODELS[0], "Warm up.", "", 1, 0)  # imports are not counted
    print(f"{'':28}{'model':34}{'written':>9}{'read':>8}{'plain':>8}{'out':>6}{'dollars':>9}{'seconds':>9}")
    for shape, (requirement, result) in SHAPES.items():
        for model in MODELS:
            figures = measure(model, requirement, result, given.items, given.latency)
            print(f"{shape:28}{model:34}{figures}", flush=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        os.environ["AIRFLOW_HOME"] = home
        os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "ERROR"
        logging.disable(logging.WARNING)
        main()
