"""An S3 server for tests, and the Airflow connection that leads to it."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

if TYPE_CHECKING:
    from collections.abc import Iterator

CONN_ID = "storage_on_s3"


class QuietHandler(WSGIRequestHandler):
    """Logs no requests."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


@contextmanager
def serve_s3() -> Iterator[str]:
    """The address of a moto server that answers one request at a time.

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


def connection_to(s3_url: str, **extra: object) -> dict[str, str]:
    """The environment variable of the Airflow connection ``CONN_ID`` to a server."""
    connection = {
        "conn_type": "aws",
        "login": "an-access-key",
        "password": "a-secret-key",
        "extra": {
            "region_name": "us-east-1",
            "service_config": {"s3": {"endpoint_url": s3_url}},
            **extra,
        },
    }
    return {f"AIRFLOW_CONN_{CONN_ID.upper()}": json.dumps(connection)}
