from __future__ import annotations

import asyncio
import json
import os
import tempfile
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="chassis-airflow-"))

from chassis.local.simulator import ACCESS_KEY, SECRET_KEY

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")
CONN_ID = "claude_bedrock"


@pytest.fixture(autouse=True)
def no_aws_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither keys nor roles nor proxies of the machine that runs the tests may reach them."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "ANTHROPIC_", "AIRFLOW_CONN_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)


class Connect:
    """Defines Airflow connections for one test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def __call__(self, *, conn_id: str = CONN_ID, extra: dict[str, Any] | None = None, **fields: Any) -> str:
        connection = {"conn_type": "aws", **fields, "extra": extra or {}}
        self._monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(connection))
        return conn_id

    def to(self, url: str, *, claude: dict[str, Any] | None = None, **extra: Any) -> str:
        """A connection to the server at ``url`` with the keys that the simulator accepts."""
        endpoint = {"bedrock-runtime": {"endpoint_url": url}}
        settings = {
            "region_name": "us-east-1",
            "service_config": endpoint,
            "claude": {"max_retries": 0, **(claude or {})},
        }
        return self(login=ACCESS_KEY, password=SECRET_KEY, extra=settings | extra)


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    return Connect(monkeypatch)


@pytest.fixture
def with_client() -> Callable[[Callable[[Any], Awaitable[T]]], T]:
    """Run ``use(client)`` on a loop of its own, as a worker does, with a client of the default connection."""

    def run(use: Callable[[Any], Awaitable[T]]) -> T:
        async def session() -> T:
            from chassis.claude.hook import ClaudeBedrockHook

            async with await ClaudeBedrockHook(CONN_ID).aclient() as client:
                return await use(client)

        return asyncio.run(session())

    return run
