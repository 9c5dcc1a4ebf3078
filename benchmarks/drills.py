"""Every drill, several times on one local Airflow: what dies, how its runs end, and what is paid twice.

A drill starts runs of a workflow with seven services, kills something in their midst, brings it back and counts; see
``tests/system/drills.py``. It takes about a minute each on two cores. Nothing is written but the table.

    python benchmarks/drills.py [--times 3] [--runs 2] [DRILL ...]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "include"))
sys.path.insert(0, str(Path(__file__).parents[1]))

from chassis.local.stack import LocalStack
from tests.system.drilled_runs import Site
from tests.system.drills import DRILLS, HEADER, SETTINGS, Outcome, hold
from tests.system.driver import started


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("drills", nargs="*", metavar="DRILL", help=f"all, or some of: {', '.join(DRILLS)}")
    parser.add_argument("--times", type=int, default=3, help="how often each is held (default %(default)s)")
    parser.add_argument("--runs", type=int, default=2, help="runs at once in each (default %(default)s)")
    given = parser.parse_args()
    if unknown := set(given.drills) - set(DRILLS):
        parser.error(f"no such drill: {', '.join(sorted(unknown))}")

    outcomes = []
    with tempfile.TemporaryDirectory() as home, started(LocalStack(Path(home), env=SETTINGS)) as stack:
        site = Site(stack)
        for name in given.drills or DRILLS:
            for _ in range(given.times):
                outcome = hold(site, name, given.runs)
                outcomes.append(outcome)
                for fault in outcome.faults:
                    print(f"{name}: {fault}")
                if outcome.unexplained:
                    print(f"{name}: paid twice without a reason: {outcome.unexplained}")
            print(" | ".join(_sum([one for one in outcomes if one.drill == name]).cells()), flush=True)
    print_table([_sum([one for one in outcomes if one.drill == name]) for name in given.drills or DRILLS])
    return int(any(outcome.faults or outcome.unexplained for outcome in outcomes))


def _sum(outcomes: list[Outcome]) -> Outcome:
    """All outcomes of a drill as one: counts added up, of the seconds the longest."""
    return Outcome(
        drill=outcomes[0].drill,
        runs=sum(outcome.runs for outcome in outcomes),
        faults=tuple(fault for outcome in outcomes for fault in outcome.faults),
        extra=sum((outcome.extra for outcome in outcomes), Counter()),
        lost=sum((outcome.lost for outcome in outcomes), Counter()),
        away=max(outcome.away for outcome in outcomes),
        seconds=max(outcome.seconds for outcome in outcomes),
        tries=sum(outcome.tries for outcome in outcomes),
    )


def print_table(outcomes: list[Outcome]) -> None:
    rows = [HEADER, *(outcome.cells() for outcome in outcomes)]
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


if __name__ == "__main__":
    sys.exit(main())
