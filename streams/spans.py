"""What a trace and the metrics learn of an event: names, numbers and identifiers, never a word that somebody wrote.

Attribute names: the GenAI semantic conventions of OpenTelemetry (https://opentelemetry.io/docs/specs/semconv/gen-ai/),
its messaging conventions for Kafka, and `sluice.*` for what neither has. They still move: this is the one place.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry.propagators.textmap import Getter
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from infra.trace_context import traceparent
from schemas.event import Event, Stage
from schemas.gate import ReplyApproved, TicketEscalated
from schemas.ingress import TicketReceived
from schemas.outcome import TicketSettled
from schemas.resolution import ReplyDrafted
from schemas.retrieval import EvidenceFound
from schemas.router import TicketRouted
from schemas.topics import Header
from streams.metrics import Metrics

Attribute = str | bool | int | float
Headers = tuple[tuple[str, bytes], ...]

_PROPAGATOR = TraceContextTextMapPropagator()


class _HeaderGetter(Getter[Headers]):
    def get(self, carrier: Headers, key: str) -> list[str] | None:
        found = [value.decode("ascii", "replace") for name, value in carrier if name == key]
        return found or None

    def keys(self, carrier: Headers) -> list[str]:
        return [name for name, _ in carrier]


_GETTER = _HeaderGetter()


@contextmanager
def stage_span(tracer: Tracer, stage: Stage, headers: Headers, place: Mapping[str, Attribute]) -> Iterator[Span]:
    """The span of one ticket in one stage, below the span that published it. An error is told by its type alone."""
    parent = _PROPAGATOR.extract(headers, getter=_GETTER)
    with tracer.start_as_current_span(
        stage.value,
        context=parent,
        kind=SpanKind.SERVER if stage is Stage.INGRESS else SpanKind.CONSUMER,
        attributes={"sluice.stage": stage.value, **place},
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        yield span


def failed(span: Span, error: BaseException) -> None:
    """Mark a span as failed."""
    span.set_attribute("error.type", type(error).__name__)
    span.set_status(Status(StatusCode.ERROR))


def trace_headers() -> Headers:
    """The headers that let the next stage go on with the current trace (W3C Trace Context); none outside of one."""
    return headers_of(traceparent())


def headers_of(parent: str | None) -> Headers:
    """The header of a `traceparent`; none without one."""
    return ((Header.TRACEPARENT.value, parent.encode()),) if parent else ()


@contextmanager
def act_span(tracer: Tracer, settled: TicketSettled, parent: str | None) -> Iterator[Headers]:
    """The span of what somebody did about a ticket, in the ticket's own trace; the headers its event travels with.

    Who it was is not told: a person's name is nobody's business outside.
    """
    with tracer.start_as_current_span(
        f"people.{settled.outcome.value}",
        context=_PROPAGATOR.extract(headers_of(parent), getter=_GETTER),
        kind=SpanKind.PRODUCER,
        attributes=attributes_of(settled),
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield trace_headers() or headers_of(parent)
        except Exception as error:
            failed(span, error)
            raise


def current_trace_id() -> str | None:
    """The current trace in hex, or None outside of one."""
    context = get_current_span().get_span_context()
    return format(context.trace_id, "032x") if context.is_valid else None


def place_of(topic: str, partition: int, offset: int) -> dict[str, Attribute]:
    """Where a message stands, by the messaging conventions."""
    return {
        "messaging.system": "kafka",
        "messaging.operation.type": "process",
        "messaging.destination.name": topic,
        "messaging.destination.partition.id": str(partition),
        "messaging.kafka.offset": offset,
    }


def attributes_of(event: object) -> dict[str, Attribute]:
    """What an event adds to the span of the stage that made it."""
    return {**_whose(event), **_what(event)}


def _whose(event: object) -> dict[str, Attribute]:
    ticket = event if isinstance(event, TicketReceived | TicketSettled) else getattr(event, "ticket", None)
    if not isinstance(ticket, TicketReceived | TicketSettled):
        return {}
    hashed = hashlib.sha256(ticket.conversation.encode("utf-8", "replace")).hexdigest()[:16]  # it may hold an address
    found: dict[str, Attribute] = {
        "sluice.ticket.id": str(ticket.ticket_id),
        "gen_ai.conversation.id": hashed,
        "langfuse.session.id": hashed,
    }
    return found if ticket.channel is None else {**found, "sluice.channel": ticket.channel.value}


def _what(event: object) -> dict[str, Attribute]:
    match event:
        case TicketRouted(route=route, admission=admission):
            return {
                "sluice.revision": admission.revision,
                "sluice.route.intent": route.intent,
                "sluice.route.band": route.band.value,
                "sluice.route.tier": route.tier.value,
                "sluice.route.confidence": route.confidence,
                "sluice.route.rule": route.rule or "",
                "gen_ai.request.model": route.model,
                "langfuse.observation.type": "span",
            }
        case EvidenceFound(evidence=evidence):
            return {
                "sluice.retrieval.passages": len(evidence.passages),
                "sluice.retrieval.facts": len(evidence.facts),
                "sluice.retrieval.best_score": evidence.best_score,
                "sluice.retrieval.failed": evidence.failure is not None,
                "langfuse.observation.type": "retriever",
            }
        case ReplyDrafted(draft=draft) if draft is not None:
            return {
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": draft.model.partition("/")[0],
                "gen_ai.request.model": draft.model.partition("/")[2],
                "gen_ai.response.model": draft.model.partition("/")[2],
                "gen_ai.usage.input_tokens": draft.tokens_in,
                "gen_ai.usage.output_tokens": draft.tokens_out,
                "gen_ai.usage.cost": draft.cost_usd,
                "sluice.draft.sentences": len(draft.sentences),
                "sluice.draft.prompt_hash": draft.prompt_hash,
                "langfuse.observation.type": "generation",
            }
        case ReplyDrafted():
            return {"sluice.draft.sentences": 0, "sluice.draft.failed": event.failure is not None}
        case ReplyApproved(decision=decision) | TicketEscalated(decision=decision):
            return {
                "sluice.gate.disposition": decision.disposition.value,
                "sluice.gate.rule": decision.rule,
                "sluice.gate.groundedness": decision.groundedness,
                "sluice.gate.floor": decision.floor,
                "sluice.switch.state": decision.switch_state,
                "sluice.switch.epoch": decision.switch_epoch,
                "langfuse.observation.type": "guardrail",
            }
        case TicketSettled():
            return {
                "sluice.outcome": event.outcome.value,
                "sluice.revision": event.revision,
                "gen_ai.usage.cost": event.cost_usd,
            }
    return {}


def count(event: Event, metrics: Metrics) -> None:
    """What an event adds to the metrics, once it is published."""
    match event:
        case TicketRouted(route=route):
            metrics.routed.labels(route.intent, route.band.value).inc()
        case ReplyDrafted(draft=draft) if draft is not None:
            metrics.tokens.labels(draft.model, "input").inc(draft.tokens_in)
            metrics.tokens.labels(draft.model, "output").inc(draft.tokens_out)
            metrics.cost.labels(draft.model).inc(draft.cost_usd)
        case ReplyApproved(decision=decision) | TicketEscalated(decision=decision):
            metrics.decided.labels(decision.disposition.value, decision.rule).inc()
        case TicketSettled():
            metrics.settled.labels(event.outcome.value, event.channel.value if event.channel else "unknown").inc()
            if event.received_at is not None:
                took = (event.settled_at - event.received_at).total_seconds()
                metrics.end_to_end.labels(event.outcome.value).observe(max(took, 0.0))
