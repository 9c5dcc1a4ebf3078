"""One real Airflow (scheduler, dag-processor, triggerer, API server) and one simulator for the whole suite."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from chassis.local.simulator import SimulatorControl
from chassis.local.stack import LocalStack
from chassis.plans.store import PlanStore
from tests.system.driver import PROJECT, AirflowDriver, run_chassis, started

ENVIRONMENT_CANARY = "canary-environment-0d1f7c52"
"""A value in every component's environment, which ``test_secrets`` looks for where it may not be."""


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("chassis-home")


@pytest.fixture(scope="session")
def stack(home: Path) -> Iterator[LocalStack]:
    """The local stack with the project's DAGs and the tests' own (``tests/system/dags``)."""
    dags = home / "dags"
    dags.mkdir()
    for folder in (PROJECT / "dags", PROJECT / "examples", PROJECT / "tests/system/dags"):
        for file in folder.glob("*.py"):
            (dags / file.name).symlink_to(file)
    stack = LocalStack(
        home,
        dags_folder=dags,
        env={
            "AIRFLOW__CHASSIS__RETRY_DELAY_SECONDS": "1",
            "AIRFLOW__CHASSIS__TASK_RETRIES": "1",
            "CHASSIS_TEST_CANARY": ENVIRONMENT_CANARY,
            # Of the answers that are bounded before each call: near to what the simulator is told to count.
            "AIRFLOW__CHASSIS__MAX_TOKENS": "4000",
        },
    )
    with started(stack):
        yield stack


@pytest.fixture(scope="session")
def airflow(stack: LocalStack) -> AirflowDriver:
    return AirflowDriver(stack.url, stack.username, stack.password)


@pytest.fixture
def simulator(stack: LocalStack) -> Iterator[SimulatorControl]:
    """The simulator with an empty log and no faults or answers of another test."""
    assert stack.simulator_url
    control = SimulatorControl(stack.simulator_url)
    control.reset()
    yield control
    control.reset()


@pytest.fixture
def store(stack: LocalStack) -> PlanStore:
    return PlanStore(str(stack.home / "plans"))


Chassis = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def chassis(stack: LocalStack) -> Chassis:
    """The command line as a person runs it, against the suite's stack."""

    return partial(run_chassis, stack.home)
