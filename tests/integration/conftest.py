"""One simulator for all integration tests of a run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chassis.simulator import Simulator, SimulatorControl


@pytest.fixture(scope="session")
def simulator() -> Iterator[Simulator]:
    with Simulator() as running:
        yield running


@pytest.fixture
def control(simulator: Simulator) -> Iterator[SimulatorControl]:
    """The control client of a simulator that is as it was started."""
    simulator.control.reset()
    yield simulator.control
    simulator.control.reset()
