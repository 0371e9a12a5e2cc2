"""Traces, where an address for them is configured.

What exports them takes a second to import, so it is imported only then.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.trace import NoOpTracer, Tracer

from infra.settings import Settings

LAST_WORDS_MS = 2000  # for the spans of the last seconds, at the end of a process


@contextmanager
def tracing(settings: Settings, process: str) -> Iterator[Tracer]:
    """A tracer for as long as a process runs; one that does nothing where OTEL_EXPORTER_OTLP_ENDPOINT is not set.

    `process` is what runs: edge, worker. What still waits at the end has a moment to leave.
    """
    if settings.otlp_endpoint is None:
        yield NoOpTracer()
        return
    from infra.otlp import provider_of, tracer_of

    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # a receiver that is away costs spans, not a log
    provider = provider_of(settings, settings.otlp_endpoint, process)
    try:
        yield tracer_of(provider)
    finally:
        provider.force_flush(LAST_WORDS_MS)
        provider.shutdown()
