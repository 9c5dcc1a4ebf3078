"""Something dies in the middle of runs: they end by themselves, with each task done once and every result in its place.

Paid twice is at most what was in flight when whoever made or answered it was killed. ``benchmarks/drills.py`` holds the
same drills many times and prints a table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from chassis.local.stack import LocalStack
from tests.system.drilled_runs import SERVICES, Site
from tests.system.drills import DRILLS, SETTINGS, hold
from tests.system.driver import started

RUNS = 2
KILLS_CALLS = {"triggerer", "trigger runner", "simulator"}
KILLS_TASKS = {"task process", "worker", "scheduler and workers"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """An Airflow of the drills' own: the suite's is none to be killed."""
    with started(LocalStack(tmp_path_factory.mktemp("drills"), env=SETTINGS)) as stack:
        yield Site(stack)


@pytest.mark.parametrize("drill", [name for name in DRILLS if name != "nothing"])
def test_runs_end_right_and_only_what_was_in_flight_is_paid_twice(
    site: Site, drill: str, figure: Callable[[str], None]
) -> None:
    outcome = hold(site, drill, RUNS)
    figure(str(outcome))
    assert outcome.faults == ()
    assert not outcome.unexplained, "at most one more request for each call in flight that was killed"
    if drill in KILLS_CALLS:
        assert outcome.lost.total() == RUNS * len(SERVICES), "the drill hits what it is to hit"
    if drill in KILLS_TASKS:
        assert outcome.tries >= RUNS, "the drill hits what it is to hit"
