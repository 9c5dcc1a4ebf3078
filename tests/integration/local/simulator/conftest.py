from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chassis.local.simulator import SimulatorControl
from tests.integration.local.simulator.calls import client

if TYPE_CHECKING:
    from collections.abc import Iterator

    import anthropic


@pytest.fixture(autouse=True)
def _no_other_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_BEARER_TOKEN_BEDROCK", raising=False)


@pytest.fixture
def sdk(control: SimulatorControl) -> Iterator[anthropic.AnthropicBedrock]:
    with client(control.url) as made:
        yield made


@pytest.fixture(params=[False, True], ids=["invoke", "stream"])
def stream(request: pytest.FixtureRequest) -> bool:
    """Both wire forms, one after the other."""
    return bool(request.param)
