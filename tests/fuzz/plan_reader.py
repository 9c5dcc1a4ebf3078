"""Throws mutated plans at the plan reader: ``make fuzz``, or ``python -m tests.fuzz.plan_reader --seconds 60``.

Whatever the input, it is a plan or a :class:`PlanError`, within seconds, in bounded words that nothing obeys; and what
is a plan comes back from its own text as it was. Inputs are real plans that were damaged a few times over, so that most
of them get past the YAML and into the rules. A run is told by its seed: the same seed gives the same inputs.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from chassis.errors import PlanError
from chassis.text import DECEIVING
from chassis.workflow import dump_plan, load_plan, plan_digest
from tests.fuzz.mutations import Input, mutate
from tests.unit.workflow.wrong_plans import CASES, PLAN, SERVICES

PROJECT = Path(__file__).parents[2]
SLOWEST = 5.0
"""Seconds of CPU that one input may take."""
LONGEST = 100_000
"""Characters of a refusal: a hundred faults."""
MOST_MEMORY = 500
"""Megabytes that the process may grow by over a run."""


class Finding(Exception):  # noqa: N818  it is what a fuzzer finds
    """An input for which the reader doesn't do what it promises."""


@dataclass
class Tally:
    """What a run came to."""

    inputs: int = 0
    plans: int = 0
    seconds: float = 0
    slowest: float = 0

    def __str__(self) -> str:
        refused = self.inputs - self.plans
        return (
            f"plan reader: {self.inputs:,} inputs in {self.seconds:.1f} s ({self.inputs / self.seconds:,.0f}/s), "
            f"{self.plans:,} plans and {refused:,} refused, the slowest in {self.slowest:.2f} s"
        )


def seeds() -> list[str]:
    """Plans to begin with: the golden one, the one of the tests, the documented ones, and each wrong one."""
    golden = PROJECT / "tests/unit/workflow/golden/add_pet_insurance.yaml"
    documented = (
        (PROJECT / "docs/reference/plan-format.md").read_text(encoding="utf-8").split("```yaml\n")[1:]
    )
    texts = [golden.read_text(encoding="utf-8"), PLAN, *(text.partition("```")[0] for text in documented)]
    wrong = [case.text for case in CASES]
    return [*texts * (5 * len(wrong) // len(texts)), *wrong]


def examine(given: Input) -> bool:
    """Read one input. Returns whether it is a plan.

    :raises Finding: the reader doesn't do what it promises
    """
    started = time.process_time()
    try:
        accepted = _read(given)
    except Finding:
        raise
    except BaseException as error:
        raise Finding(f"{type(error).__name__}: {error}") from error
    if (seconds := time.process_time() - started) > SLOWEST:
        raise Finding(f"it took {seconds:.1f} s of CPU")
    return accepted


def _read(given: Input) -> bool:
    try:
        plan = load_plan(given, services=SERVICES)
    except PlanError as error:
        told = str(error)
        if DECEIVING.search(told) or len(told) > LONGEST or len(json.dumps(error.describe())) > 20 * LONGEST:
            raise Finding(f"its refusal has {len(told):,} characters, or some that are obeyed") from error
        if not error.faults or len(error.faults) > 101:
            raise Finding(f"its refusal has {len(error.faults)} faults") from error
        return False
    text = dump_plan(plan)
    again = load_plan(text, services=SERVICES)
    if again != plan or plan_digest(again) != plan_digest(plan) or dump_plan(again) != text:
        raise Finding("its text is that of another plan")
    return True


def inputs(seed: int) -> Iterator[Input]:
    """Inputs without end; the same ones for the same seed."""
    chance, texts = random.Random(seed), seeds()
    yield from texts
    while True:
        yield mutate(chance.choice(texts), chance, texts)


def fuzz(seed: int, *, seconds: float | None = None, count: int | None = None) -> Tally:
    """Read inputs until the time is over, or so many.

    :raises Finding: an input is one that the reader fails on; ``given`` is that input, as short as it was got
    """
    tally, started = Tally(), time.monotonic()
    for given in inputs(seed):
        if (seconds and time.monotonic() - started > seconds) or (count and tally.inputs >= count):
            break
        before = time.process_time()
        try:
            tally.plans += examine(given)
        except Finding as finding:
            finding.given = shortened(given)  # type: ignore[attr-defined]
            raise
        tally.inputs += 1
        tally.slowest = max(tally.slowest, time.process_time() - before)
    tally.seconds = time.monotonic() - started
    return tally


def shortened(given: Input) -> Input:
    """The input without what it fails without."""

    def fails(candidate: Input) -> bool:
        try:
            examine(candidate)
        except Finding:
            return True
        return False

    size = len(given) // 2
    while size:
        start = 0
        while start < len(given):
            shorter = given[:start] + given[start + size :]  # type: ignore[operator]
            if fails(shorter):
                given = shorter
            else:
                start += size
        size //= 2
    return given


def main() -> int:
    arguments = argparse.ArgumentParser(description="Throw mutated plans at the plan reader.")
    arguments.add_argument("--seconds", type=float, default=60)
    arguments.add_argument("--seed", type=int, default=int(time.time()))
    chosen = arguments.parse_args()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        tally = fuzz(chosen.seed, seconds=chosen.seconds)
    except Finding as finding:
        print(f"Seed {chosen.seed}: {finding}\n{finding.given!r}")  # type: ignore[attr-defined]
        return 1
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"{tally}; seed {chosen.seed}, {grown:.0f} MB more memory")
    return int(grown > MOST_MEMORY)


if __name__ == "__main__":
    sys.exit(main())
