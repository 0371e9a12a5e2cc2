"""The wire format: round trips, damage, and compatibility with every released schema."""

import contextlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.schema import parse
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import EVENTS, HEADER_BYTES, MARKER, RELEASED, Undecodable, decode, encode, fingerprint, schema_of
from schemas.control import Scope, SwitchSet, SwitchState
from schemas.event import Event
from schemas.gate import Disposition
from schemas.ingress import Channel, Proof, TicketReceived, ticket_id
from schemas.outcome import Outcome
from schemas.router import Author, Band

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)


def ticket(**changes: Any) -> TicketReceived:
    values: dict[str, Any] = {
        "ticket_id": ticket_id("api", "shop", "1"),
        "conversation": "c1",
        "channel": Channel.API,
        "provider": "api",
        "account": "shop",
        "provider_message_id": "1",
        "body": "Where is my parcel?",
        "body_full": "Where is my parcel?",
        "received_at": NOW,
    }
    return TicketReceived(**(values | changes))


def test_the_fingerprint_is_the_specification_s_for_a_known_schema() -> None:
    # Avro's own vector for the schema "int": 0x7275d51a3f395c8f, little-endian on the wire.
    assert fingerprint("int").hex() == "8f5c393f1ad57572"  # type: ignore[arg-type]


@given(body=st.text(max_size=200), subject=st.text(max_size=50), at=st.datetimes(timezones=st.just(UTC)))
def test_a_ticket_survives_the_round_trip(body: str, subject: str, at: datetime) -> None:
    sent = ticket(body=body.replace("\ud800", ""), subject=subject, received_at=at)
    assert decode(TicketReceived, encode(sent)) == sent


def test_a_producer_may_publish_a_ticket_as_json() -> None:
    assert decode(TicketReceived, ticket().model_dump_json().encode()) == ticket()


def test_json_is_accepted_for_inbound_tickets_only() -> None:
    record = SwitchSet(scope=Scope(), state=SwitchState.OFF, why="test", actor="ops", set_at=NOW)
    with pytest.raises(Undecodable, match="wrong marker"):
        decode(SwitchSet, record.model_dump_json().encode())


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (None, "empty"),
        (b"", "empty"),
        (b"hello", "marker"),
        (MARKER + b"\x00" * 8, "fingerprint"),
        (encode(ticket())[:-5], "damaged|missing"),
        (encode(ticket())[:HEADER_BYTES] + b"\xff" * 40, "damaged"),
        (encode(ticket()) + b"\x00", "bytes after"),
        (b'{"subject": "no id"}', "ticket_id: missing"),
        (b"{not json", "json_invalid"),
    ],
)
def test_damaged_messages_are_refused_by_name(data: bytes | None, fault: str) -> None:
    with pytest.raises(Undecodable, match=fault):
        decode(TicketReceived, data)


@given(st.binary(max_size=300))
def test_no_bytes_at_all_raise_anything_but_undecodable(data: bytes) -> None:
    for candidate in (data, encode(ticket())[:HEADER_BYTES] + data):
        with contextlib.suppress(Undecodable):
            decode(TicketReceived, candidate)


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        ticket(received_at=datetime(2026, 1, 1))  # noqa: DTZ001


def test_what_a_fault_message_says_never_repeats_the_text() -> None:
    with pytest.raises(Undecodable) as fault:
        decode(TicketReceived, json.dumps({"body": "secret-canary", "channel": "secret-canary"}).encode())
    assert "secret-canary" not in str(fault.value)


@pytest.mark.parametrize(
    ("enumeration", "safest"),
    [
        (Band, Band.ESCALATE),
        (Disposition, Disposition.HANDOFF),
        (SwitchState, SwitchState.OFF),
        (Proof, Proof.NONE),
        (Channel, Channel.UNKNOWN),
        (Outcome, Outcome.DEAD),
        (Author, Author.PERSON),
    ],
)
def test_an_unknown_member_from_a_newer_writer_reads_as_the_safest(enumeration: Any, safest: Any) -> None:
    assert next(iter(enumeration)) is safest


def released() -> list[Path]:
    return sorted(RELEASED.glob("*.avsc"))


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
def test_the_current_schema_is_the_newest_release(event: type[Event]) -> None:
    newest = max(RELEASED.glob(f"{event.__name__}.v*.avsc"), key=lambda path: int(path.stem.rpartition(".v")[2]))
    assert json.loads(newest.read_text()) == schema_of(event), "release it: sluice schemas release"


@pytest.mark.parametrize("path", released(), ids=lambda path: path.stem)
def test_every_release_reads_the_current_schema_and_is_read_by_it(path: Path) -> None:
    event = next(event for event in EVENTS if event.__name__ == path.stem.partition(".")[0])
    current, old = parse(json.dumps(schema_of(event))), parse(path.read_text())
    for reader, writer in ((current, old), (old, current)):
        verdict = ReaderWriterCompatibilityChecker().get_compatibility(reader, writer)
        assert verdict.compatibility is SchemaCompatibilityType.compatible, verdict.messages


def test_a_field_without_a_default_would_break_compatibility() -> None:
    old = schema_of(TicketReceived)
    new = {**old, "fields": [*old["fields"], {"name": "added", "type": "string"}]}
    verdict = ReaderWriterCompatibilityChecker().get_compatibility(parse(json.dumps(new)), parse(json.dumps(old)))
    assert verdict.compatibility is SchemaCompatibilityType.incompatible


def test_an_event_written_with_a_released_schema_is_still_read() -> None:
    assert decode(TicketReceived, encode(ticket(subject=str(uuid4())))).account == "shop"
