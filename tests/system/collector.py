"""An OpenTelemetry collector for tests: takes OTLP over HTTP on a free port of 127.0.0.1 and keeps what it gets.

It answers everything with success. It proves nothing about what a real collector refuses.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Span:
    name: str
    span_id: bytes
    parent_id: bytes
    trace_id: bytes
    failed: bool
    attributes: dict[str, Any]


class Collector:
    """A context manager; :attr:`environment` has an Airflow send its metrics and traces here."""

    def __init__(self) -> None:
        self.received: list[tuple[str, bytes]] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                collector.received.append((self.path, body))
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Collector:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AIRFLOW__METRICS__OTEL_ON": "True",
            "AIRFLOW__TRACES__OTEL_ON": "True",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self._server.server_port}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_TRACES_EXPORTER": "otlp_proto_http",
            "OTEL_METRIC_EXPORT_INTERVAL": "1000",
            "OTEL_BSP_SCHEDULE_DELAY": "500",
        }

    def counted(self, name: str, **tags: str) -> float:
        """The sum of a counter, or how many values a timer took, over all processes and all tags but those given."""
        newest: dict[object, float] = {}
        for metric in self._metrics():
            if metric.name != f"airflow.{name}":
                continue
            kind = metric.WhichOneof("data")
            for point in getattr(metric, kind).data_points:
                found = _plain(point.attributes)
                if tags.items() <= found.items():
                    # Totals since their process began: a later one replaces an earlier one.
                    value = point.as_int or point.as_double if kind == "sum" else point.count
                    newest[point.start_time_unix_nano, *sorted(found.items())] = value
        return sum(newest.values())

    def tags(self, name: str) -> list[dict[str, Any]]:
        """The different sets of tags that a metric came with."""
        found: list[dict[str, Any]] = []
        for metric in self._metrics():
            if metric.name == f"airflow.{name}":
                for point in getattr(metric, metric.WhichOneof("data")).data_points:
                    if (tags := _plain(point.attributes)) not in found:
                        found.append(tags)
        return found

    def _metrics(self) -> Iterable[Any]:
        for body in self._bodies("/v1/metrics"):
            for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                for scope in resource.scope_metrics:
                    yield from scope.metrics

    def spans(self, name: str = "", **attributes: Any) -> list[Span]:
        """The spans with a name (all without one) whose attributes include those given, ``_`` for ``.``."""
        found = []
        for body in self._bodies("/v1/traces"):
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    found += [_span(span) for span in scope.spans]
        wanted = {key.replace("_", ".", 1): value for key, value in attributes.items()}
        return [
            span
            for span in found
            if (not name or span.name == name) and wanted.items() <= span.attributes.items()
        ]

    def _bodies(self, path: str) -> list[bytes]:
        return [body for found, body in list(self.received) if found == path]


def _span(span: Any) -> Span:
    return Span(
        name=span.name,
        span_id=span.span_id,
        parent_id=span.parent_span_id,
        trace_id=span.trace_id,
        failed=span.status.code == span.status.STATUS_CODE_ERROR,
        attributes=_plain(span.attributes),
    )


def _plain(attributes: Any) -> dict[str, Any]:
    return {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in attributes}
