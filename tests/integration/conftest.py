"""One simulator, and one S3 server, for all integration tests of a run."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from chassis.local.simulator import Simulator, SimulatorControl


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


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    """Address of an S3 server. Only tests that need it pay for its import."""
    from tests.integration.s3 import serve_s3

    with serve_s3() as url:
        yield url


@pytest.fixture
def s3_root(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A root in a bucket of its own; the Airflow connection to it is set in the environment."""
    from airflow.sdk.io import get_fs

    from tests.integration.s3 import CONN_ID, connection_to

    for name, value in connection_to(s3_url).items():
        monkeypatch.setenv(name, value)
    bucket = f"bucket-{uuid.uuid4()}"
    get_fs("s3", CONN_ID).mkdir(bucket)
    return f"s3://{bucket}/team/root"


@pytest.fixture(params=["folder", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A root for files, of each kind that there is."""
    return str(tmp_path / "root") if request.param == "folder" else str(request.getfixturevalue("s3_root"))
