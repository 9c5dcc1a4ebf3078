from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chassis.simulator import Simulator, SimulatorControl
from tests.integration.simulator.calls import client

if TYPE_CHECKING:
    from collections.abc import Iterator

    import anthropic


@pytest.fixture(autouse=True)
def _no_other_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_BEARER_TOKEN_BEDROCK", raising=False)


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


@pytest.fixture
def sdk(control: SimulatorControl) -> Iterator[anthropic.AnthropicBedrock]:
    with client(control.url) as made:
        yield made


@pytest.fixture(params=[False, True], ids=["invoke", "stream"])
def stream(request: pytest.FixtureRequest) -> bool:
    """Both wire forms, one after the other."""
    return bool(request.param)
