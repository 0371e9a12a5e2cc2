"""Spans on their way out by OTLP: nothing leaves that is not on a list.

Spans wait in a bounded queue and leave from a thread of their own: a receiver that is slow or gone costs the path
nothing but the spans (OpenTelemetry's batch processor drops what does not fit).
"""

from collections.abc import Sequence

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Status, Tracer

from infra.settings import Settings

NAME = "sluice"
EXPORT_WITHIN = 5.0  # seconds, of one batch
WAITING = 4096  # spans
LONGEST_VALUE = 128  # characters

# Keys that may leave. Everything else is dropped, whoever set it.
ALLOWED = frozenset(
    {
        "error.type",
        "gen_ai.conversation.id",
        "gen_ai.operation.name",
        "gen_ai.provider.name",
        "gen_ai.request.model",
        "gen_ai.response.model",
        "gen_ai.usage.cost",
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.output_tokens",
        "langfuse.observation.type",
        "langfuse.session.id",
        "messaging.destination.name",
        "messaging.destination.partition.id",
        "messaging.kafka.offset",
        "messaging.operation.type",
        "messaging.system",
        "sluice.channel",
        "sluice.draft.failed",
        "sluice.draft.prompt_hash",
        "sluice.draft.sentences",
        "sluice.gate.disposition",
        "sluice.gate.floor",
        "sluice.gate.groundedness",
        "sluice.gate.rule",
        "sluice.outcome",
        "sluice.retrieval.best_score",
        "sluice.retrieval.facts",
        "sluice.retrieval.failed",
        "sluice.retrieval.passages",
        "sluice.revision",
        "sluice.route.band",
        "sluice.route.confidence",
        "sluice.route.intent",
        "sluice.route.rule",
        "sluice.route.tier",
        "sluice.stage",
        "sluice.switch.epoch",
        "sluice.switch.state",
        "sluice.ticket.id",
        "sluice.try",
    }
)


class Redacting(SpanExporter):
    """Lets only listed attributes through: no events, no links, no descriptions, no long values."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export what may leave."""
        return self._exporter.export([redacted(span) for span in spans])

    def shutdown(self) -> None:
        """Close the exporter."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Wait for what is under way."""
        return self._exporter.force_flush(timeout_millis)


def redacted(span: ReadableSpan) -> ReadableSpan:
    """A span with nothing but its times, its name, its place in the trace and its listed attributes."""
    attributes = {
        key: value[:LONGEST_VALUE] if isinstance(value, str) else value
        for key, value in (span.attributes or {}).items()
        if key in ALLOWED
    }
    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=attributes,
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def provider_of(settings: Settings, endpoint: str, process: str) -> TracerProvider:
    """Where spans wait for the receiver at `endpoint`; `process` is what runs: edge, worker."""
    exporter = OTLPSpanExporter(
        endpoint=f"{endpoint.rstrip('/')}/v1/traces", headers=settings.otlp_header_pairs, timeout=EXPORT_WITHIN
    )
    provider = TracerProvider(
        sampler=ParentBased(TraceIdRatioBased(settings.trace_ratio)),
        resource=Resource.create({"service.name": NAME, "service.instance.id": process}),
        shutdown_on_exit=False,
    )
    batch = BatchSpanProcessor(
        Redacting(exporter), max_queue_size=WAITING, schedule_delay_millis=1000, export_timeout_millis=5000
    )
    provider.add_span_processor(batch)
    return provider


def tracer_of(provider: TracerProvider) -> Tracer:
    """The product's tracer."""
    return provider.get_tracer(NAME)
