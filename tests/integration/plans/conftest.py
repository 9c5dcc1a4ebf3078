"""An S3 server, and the stores that must behave alike."""

from __future__ import annotations

import json
import threading
import uuid
from typing import TYPE_CHECKING

import pytest
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

from chassis.plans.store import PlanStore
from chassis.workflow import WorkflowSpec, load_plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CONN_ID = "plans_on_s3"


class QuietHandler(WSGIRequestHandler):
    """Logs no requests."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    """A moto server that answers one request at a time.

    That makes a conditional put what S3 promises: moto checks and writes in two steps, so that two threads
    could both succeed. What only AWS can show is that its own conditional puts are exclusive.
    """
    server = make_server(
        "127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), request_handler=QuietHandler
    )
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()


@pytest.fixture
def s3_root(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Root of a store in a bucket of its own; the Airflow connection to it is set in the environment."""
    from airflow.sdk.io import get_fs

    connection = {
        "conn_type": "aws",
        "login": "an-access-key",
        "password": "a-secret-key",
        "extra": {"region_name": "us-east-1", "service_config": {"s3": {"endpoint_url": s3_url}}},
    }
    monkeypatch.setenv(f"AIRFLOW_CONN_{CONN_ID.upper()}", json.dumps(connection))
    bucket = f"bucket-{uuid.uuid4()}"
    get_fs("s3", CONN_ID).mkdir(bucket)
    return f"s3://{bucket}/team/plans"


@pytest.fixture(params=["folder", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Root of a store, of each kind that there is."""
    if request.param == "folder":
        return str(tmp_path / "plans")
    return str(request.getfixturevalue("s3_root"))


@pytest.fixture
def store(root: str) -> PlanStore:
    return PlanStore(root, CONN_ID)


@pytest.fixture
def plan() -> Callable[..., WorkflowSpec]:
    """A plan of one task by its workflow id; another title makes another plan."""

    def make(workflow_id: str, title: str = "A title") -> WorkflowSpec:
        return load_plan(
            f"schema_version: 1\nid: {workflow_id}\ntitle: {title}\nrequirement: Do it\n"
            "tasks:\n- {id: first, name: First, instruction: Do it.}\n"
        )

    return make
