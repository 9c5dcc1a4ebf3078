"""The pages' app as Airflow's API server mounts it, without a server."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import FastAPI

from chassis.ui.app import build_app


@pytest.fixture(scope="session")
def app() -> FastAPI:
    airflow: Any = SimpleNamespace(state=FastAPI().state)
    return build_app(airflow)
