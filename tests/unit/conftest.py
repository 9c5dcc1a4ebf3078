from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chassis.airflow_client import Airflow, SignIn
from tests.unit.fake_airflow import PASSWORD, USERNAME, FakeAirflow

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def fake() -> Iterator[FakeAirflow]:
    fake = FakeAirflow()
    yield fake
    fake.stop()


@pytest.fixture
def airflow(fake: FakeAirflow) -> Iterator[Airflow]:
    with Airflow(SignIn(fake.url, username=USERNAME, password=PASSWORD)) as airflow:
        yield airflow
