"""A trace tells names and numbers of a ticket's way, and no word that somebody wrote."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NoOpTracer
from prometheus_client import CollectorRegistry, generate_latest

from infra.otlp import ALLOWED, Redacting, tracer_of
from schemas.event import Stage
from schemas.gate import Disposition
from schemas.ingress import Identity, Proof, TicketReceived
from schemas.outcome import Outcome, TicketSettled
from schemas.topics import Header
from streams.metrics import Metrics
from streams.spans import act_span, attributes_of, count, failed, place_of, stage_span, trace_headers
from tests.unit.test_outcome import APPROVED, escalated

CANARY = "canary-7f3a@example.com +1 555 0100"
PARENT = f"00-{'1' * 32}-{'2' * 16}-01".encode()
NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)


@pytest.fixture
def exported() -> Iterator[tuple[TracerProvider, InMemorySpanExporter]]:
    memory, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(Redacting(memory)))
    yield provider, memory
    provider.shutdown()


def canary_ticket() -> TicketReceived:
    return APPROVED.ticket.model_copy(
        update={
            "conversation": f"email:{CANARY}",
            "identity": Identity(claimed=CANARY, proof=Proof.DMARC, value=CANARY),
            "sender": CANARY,
            "subject": CANARY,
            "body": CANARY,
            "body_full": CANARY,
            "provider_message_id": CANARY,
        }
    )


def spoken(event: object) -> str:
    return repr(attributes_of(event))


def test_no_event_puts_a_written_word_or_an_address_into_its_attributes() -> None:
    ticket = canary_ticket()
    decision = APPROVED.decision.model_copy(update={"reasons": (CANARY,)})
    settled = TicketSettled(
        ticket_id=ticket.ticket_id,
        conversation=ticket.conversation,
        revision=1,
        outcome=Outcome.SENT,
        reason=CANARY,
        text=CANARY,
        diff=CANARY,
        actor=CANARY,
        delivery=CANARY,
        settled_at=NOW,
    )
    approved = APPROVED.model_copy(update={"ticket": ticket, "decision": decision})
    over = escalated(Disposition.HANDOFF).model_copy(update={"ticket": ticket, "summary": CANARY, "decision": decision})
    for event in (ticket, approved, over, settled):
        assert "canary" not in spoken(event)
        assert str(ticket.ticket_id) in spoken(event)


def test_every_attribute_of_an_event_may_leave() -> None:
    place = place_of("tickets.inbound", 1, 2)
    for event in (APPROVED.ticket, APPROVED, escalated(Disposition.SUGGEST)):
        assert set(attributes_of(event)) | set(place) <= ALLOWED


def test_what_is_not_listed_is_dropped_on_its_way_out(exported: tuple[TracerProvider, InMemorySpanExporter]) -> None:
    provider, memory = exported
    with tracer_of(provider).start_as_current_span("router") as span:
        span.set_attribute("customer.text", CANARY)
        span.set_attribute("sluice.stage", "router")
        span.set_attribute("sluice.route.intent", "x" * 1000)
        span.add_event("said", {"text": CANARY})
        span.record_exception(ValueError(CANARY))
    (left,) = memory.get_finished_spans()
    assert "canary" not in left.to_json()
    assert dict(left.attributes or {}) == {"sluice.stage": "router", "sluice.route.intent": "x" * 128}


def test_a_stage_s_span_goes_on_where_the_message_came_from(
    exported: tuple[TracerProvider, InMemorySpanExporter],
) -> None:
    provider, memory = exported
    with stage_span(tracer_of(provider), Stage.ROUTER, ((Header.TRACEPARENT.value, PARENT),), {}):
        passed_on = trace_headers()
    (span,) = memory.get_finished_spans()
    assert span.parent is not None
    assert format(span.parent.span_id, "016x") == "2" * 16
    assert passed_on == ((Header.TRACEPARENT.value, _parent_of(span)),)


def _parent_of(span: ReadableSpan) -> bytes:
    assert span.context is not None
    return f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-01".encode()


@pytest.mark.parametrize("parent", [b"", b"\xff\xfe", b"00-0-0-00", b"00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-01"])
def test_a_broken_traceparent_begins_a_trace_of_its_own(
    exported: tuple[TracerProvider, InMemorySpanExporter], parent: bytes
) -> None:
    provider, memory = exported
    with stage_span(tracer_of(provider), Stage.ROUTER, ((Header.TRACEPARENT.value, parent),), {}):
        pass
    (span,) = memory.get_finished_spans()
    assert span.parent is None


def test_without_a_receiver_the_sender_s_trace_still_travels() -> None:
    with stage_span(NoOpTracer(), Stage.ROUTER, ((Header.TRACEPARENT.value, PARENT),), {}):
        assert trace_headers() == ((Header.TRACEPARENT.value, PARENT),)
    assert trace_headers() == ()


def test_an_error_is_told_by_its_type(exported: tuple[TracerProvider, InMemorySpanExporter]) -> None:
    provider, memory = exported
    with stage_span(tracer_of(provider), Stage.GATE, (), {}) as span:
        failed(span, ValueError(CANARY))
    (left,) = memory.get_finished_spans()
    assert (left.attributes or {})["error.type"] == "ValueError"
    assert not left.status.is_ok
    assert "canary" not in left.to_json()


def test_what_is_decided_is_counted_without_a_written_word() -> None:
    metrics = Metrics(CollectorRegistry())
    ticket = canary_ticket()
    settled = TicketSettled(
        ticket_id=UUID(int=1),
        conversation=ticket.conversation,
        revision=1,
        channel=ticket.channel,
        outcome=Outcome.SENT,
        reason=CANARY,
        received_at=NOW,
        settled_at=NOW + timedelta(seconds=2),
    )
    for event in (APPROVED.model_copy(update={"ticket": ticket}), settled):
        count(event, metrics)
    told = generate_latest(metrics.registry).decode()
    assert 'sluice_decided_total{disposition="auto",rule="supported"} 1.0' in told
    assert 'sluice_settled_total{channel="api",outcome="sent"} 1.0' in told
    assert 'sluice_end_to_end_seconds_sum{outcome="sent"} 2.0' in told
    assert "canary" not in told


def test_a_person_s_act_is_a_span_of_the_ticket_s_trace_and_tells_nobody_s_name(
    exported: tuple[TracerProvider, InMemorySpanExporter],
) -> None:
    provider, memory = exported
    settled = TicketSettled(
        ticket_id=APPROVED.ticket.ticket_id,
        conversation=CANARY,
        revision=1,
        outcome=Outcome.EDITED,
        actor=CANARY,
        text=CANARY,
        diff=CANARY,
        settled_at=NOW,
    )
    with act_span(tracer_of(provider), settled, PARENT.decode()) as headers:
        pass
    (span,) = memory.get_finished_spans()
    assert (span.name, format(span.parent.span_id, "016x")) == ("people.edited", "2" * 16)  # type: ignore[union-attr]
    assert span.attributes["sluice.outcome"] == "edited"  # type: ignore[index]
    assert CANARY not in span.to_json()
    assert headers == ((Header.TRACEPARENT.value, f"00-{'1' * 32}-{span.context.span_id:016x}-01".encode()),)


def test_without_a_receiver_an_act_s_event_keeps_its_ticket_s_trace() -> None:
    settled = TicketSettled(
        ticket_id=APPROVED.ticket.ticket_id, conversation="k", revision=1, outcome=Outcome.APPROVED, settled_at=NOW
    )
    with act_span(NoOpTracer(), settled, PARENT.decode()) as headers:
        assert headers == ((Header.TRACEPARENT.value, PARENT),)
