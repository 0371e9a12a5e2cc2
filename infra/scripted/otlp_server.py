"""A receiver of traces as a server: takes OTLP over HTTP, remembers the spans, fails and dawdles on demand.

POST /v1/traces   protobuf, as the OpenTelemetry SDK sends it
GET  /spans       everything received, as JSON
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


@dataclass
class Spans:
    """What the server remembers, and how it behaves."""

    spans: list[dict[str, Any]] = field(default_factory=list)
    status: int = 200
    delay: float = 0.0  # seconds


def create_receiver(delay: float = 0.0) -> Starlette:
    """The ASGI app; `app.state.received` is what it remembers."""
    received = Spans(delay=delay)

    async def traces(request: Request) -> Response:
        await asyncio.sleep(received.delay)
        if received.status != 200:
            return Response(status_code=received.status)
        try:
            told = ExportTraceServiceRequest.FromString(await request.body())
        except DecodeError:
            return Response(status_code=400)
        received.spans.extend(_spans(told))
        return Response(ExportTraceServiceResponse().SerializeToString(), media_type="application/x-protobuf")

    async def spans(_: Request) -> Response:
        return JSONResponse(received.spans)

    app = Starlette(routes=[Route("/v1/traces", traces, methods=["POST"]), Route("/spans", spans)])
    app.state.received = received
    return app


def _spans(told: ExportTraceServiceRequest) -> list[dict[str, Any]]:
    return [
        {
            "process": _attributes(block.resource.attributes).get("service.instance.id"),
            "name": span.name,
            "trace": span.trace_id.hex(),
            "span": span.span_id.hex(),
            "parent": span.parent_span_id.hex() or None,
            "took_ms": (span.end_time_unix_nano - span.start_time_unix_nano) / 1e6,
            "error": span.status.code == 2,
            "attributes": _attributes(span.attributes),
        }
        for block in told.resource_spans
        for scope in block.scope_spans
        for span in scope.spans
    ]


def _attributes(pairs: Any) -> dict[str, Any]:  # noqa: ANN401 - a repeated field of generated code
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value") or "string_value") for pair in pairs}
