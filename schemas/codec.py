"""Avro in single-object encoding: two marker bytes, the schema's CRC-64-AVRO fingerprint, the record.

Source: Apache Avro 1.12 specification, "Single-object encoding". A reader needs no registry: it holds the current
schema of each event and every released one under `schemas/avro/`, found by fingerprint. `tickets.inbound` also
accepts JSON (first byte `{`), so that any producer can publish without Avro.
"""

import io
import json
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import fastavro
import py_avro_schema
from pydantic import ValidationError

from schemas.control import SwitchSet
from schemas.event import Event
from schemas.gate import ReplyApproved, TicketEscalated
from schemas.ingress import TicketReceived
from schemas.outcome import TicketSettled
from schemas.resolution import ReplyDrafted
from schemas.retrieval import EvidenceFound
from schemas.router import TicketRouted
from schemas.topics import Topic

EVENT_ON: dict[Topic, type[Event]] = {
    Topic.INBOUND: TicketReceived,
    Topic.ROUTER: TicketRouted,
    Topic.RETRIEVAL: EvidenceFound,
    Topic.RESOLUTION: ReplyDrafted,
    Topic.AUTO_SEND: ReplyApproved,
    Topic.ESCALATION: TicketEscalated,
    Topic.OUTCOME: TicketSettled,
    Topic.SWITCH: SwitchSet,
}
EVENTS = tuple(EVENT_ON.values())
RELEASED = Path(__file__).parent / "avro"
NAMESPACE = "sluice"  # part of the wire contract
MARKER = b"\xc3\x01"
HEADER_BYTES = 10

E = TypeVar("E", bound=Event)
Schema = dict[str, Any]


class Undecodable(ValueError):
    """The bytes are no event of the expected kind. The message says what is wrong, never what they hold."""


@cache
def schema_of(event: type[Event]) -> Schema:
    """The Avro schema of an event, derived from its model."""
    options = py_avro_schema.Option.NO_DOC | py_avro_schema.Option.NO_AUTO_NAMESPACE
    return cast(Schema, json.loads(py_avro_schema.generate(event, namespace=NAMESPACE, options=options)))


def fingerprint(schema: Schema) -> bytes:
    """CRC-64-AVRO of the schema's parsing canonical form, little-endian as it stands on the wire."""
    canonical = fastavro.schema.to_parsing_canonical_form(schema)
    return bytes.fromhex(fastavro.schema.fingerprint(canonical, "CRC-64-AVRO"))


@cache
def _parsed(event: type[Event]) -> Any:  # noqa: ANN401  fastavro's own parsed form
    return fastavro.parse_schema(schema_of(event))


@cache
def _writers(event: type[Event]) -> dict[bytes, Any]:
    """Every schema this event was ever written with, by fingerprint."""
    released = (json.loads(path.read_text()) for path in sorted(RELEASED.glob(f"{event.__name__}.v*.avsc")))
    schemas = [*released, schema_of(event)]
    return {fingerprint(schema): fastavro.parse_schema(schema) for schema in schemas}


@cache
def _header(event: type[Event]) -> bytes:
    return MARKER + fingerprint(schema_of(event))


def encode(event: Event) -> bytes:
    """An event as single-object Avro."""
    buffer = io.BytesIO(_header(type(event)))
    buffer.seek(HEADER_BYTES)
    fastavro.schemaless_writer(buffer, _parsed(type(event)), event.model_dump(mode="python"))
    return buffer.getvalue()


def decode(event: type[E], data: bytes | None) -> E:
    """Read an event.

    Raises:
        Undecodable: no bytes, an unknown marker or fingerprint, a truncated record, or values the model refuses.
    """
    if not data:
        raise Undecodable("empty message")
    if event is TicketReceived and data.lstrip()[:1] == b"{":
        return _from_json(event, data)
    if data[:2] != MARKER:
        raise Undecodable("not single-object Avro: wrong marker")
    writer = _writers(event).get(data[2:HEADER_BYTES])
    if writer is None:
        raise Undecodable(f"no {event.__name__} schema has this fingerprint")
    return _from_avro(event, writer, data)


def _from_json(event: type[E], data: bytes) -> E:
    try:
        return event.model_validate_json(data)
    except ValidationError as error:
        raise Undecodable(f"{event.__name__}: {_faults(error)}") from None


def _from_avro(event: type[E], writer: Any, data: bytes) -> E:  # noqa: ANN401
    buffer = io.BytesIO(data)
    buffer.seek(HEADER_BYTES)
    try:
        record = fastavro.schemaless_reader(buffer, writer, _parsed(event))
    except (EOFError, IndexError, KeyError, OverflowError, TypeError, ValueError, MemoryError) as error:
        raise Undecodable(f"{event.__name__}: damaged record ({type(error).__name__})") from None
    if buffer.read(1):
        raise Undecodable(f"{event.__name__}: bytes after the record")
    try:
        return event.model_validate(record)
    except ValidationError as error:
        raise Undecodable(f"{event.__name__}: {_faults(error)}") from None


def _faults(error: ValidationError) -> str:
    """The faulty fields by name, without their values: the text may be a customer's."""
    return "; ".join(
        f"{'.'.join(str(part) for part in fault['loc'])}: {fault['type']}"
        for fault in error.errors(include_input=False)
    )
