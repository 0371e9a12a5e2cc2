"""What every door of the edge shares: who asks, how a body is read, and how a ticket is accepted.

A door is a file of its own with `routes`, an APIRouter that `create_edge` includes. What it needs beside this is one
optional field of `Doors`.
"""

import asyncio
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated, Any, TypeVar
from uuid import UUID

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from opentelemetry.trace import NoOpTracer, Tracer
from pydantic import BaseModel, ValidationError

from infra.sessions import SignedSessions
from processors.errors import DependencyDown
from processors.ingress import LanguageOf, TooLarge
from processors.ingress.api import ApiKey, is_public
from processors.ingress.email import MAX_MAIL_BYTES, Mailbox
from processors.ingress.whatsapp import MetaApp
from processors.ports import Clock, OutsideClaims, Reopenings
from processors.queue import PeopleDesk
from schemas.event import Stage, Step
from schemas.ingress import MAX_MESSAGE_BYTES, Channel, TicketReceived
from schemas.outcome import TicketSettled
from schemas.topics import Header, Topic
from streams.ingress.feed import ChatFeed
from streams.ingress.outcomes import Known, OutcomeView
from streams.ingress.problem import MEDIA_TYPE, Refused
from streams.metrics import Metrics
from streams.spans import act_span, attributes_of, failed, stage_span, trace_headers
from streams.step import Publish

M = TypeVar("M", bound=BaseModel)
K = TypeVar("K")
BODY_WITHIN = 30.0  # seconds
TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(frozen=True)
class EdgeLimits:
    """How much the edge takes, and how long it waits."""

    ticket_bytes: int = MAX_MESSAGE_BYTES
    mail_bytes: int = MAX_MAIL_BYTES
    publish_within: float = 10.0  # seconds for Kafka's acknowledgement


@dataclass(frozen=True)
class ChatDoor:
    """What web chat works with."""

    sessions: SignedSessions
    feed: ChatFeed
    origins: tuple[str, ...] = ()  # pages that may use it, beside the edge's own
    lasts: timedelta = timedelta(hours=8)  # a session
    demo: bool = False  # whether the demo page is served, where anybody may chat
    heartbeat: float = 15.0  # seconds between events, at most
    send_within: float = 10.0  # seconds a reader has to take an event
    retry_ms: int = 2000  # until a reader that lost its stream comes back


@dataclass(frozen=True)
class PeopleDoor:
    """What the people's queue works with."""

    desk: PeopleDesk
    keys: Mapping[str, str]  # the person's name by the SHA-256 of their key, hex


@dataclass(frozen=True)
class Doors:
    """What the edge works with."""

    publish: Publish  # raises DependencyDown where Kafka does not acknowledge
    keys: Mapping[str, ApiKey]  # by the SHA-256 of the key, hex: `keys_of`
    mailbox: Mailbox
    outcomes: OutcomeView
    clock: Clock
    metrics: Metrics
    language: LanguageOf | None = None
    limits: EdgeLimits = EdgeLimits()
    tracer: Tracer = field(default_factory=NoOpTracer)
    claims: OutsideClaims | None = None
    reopenings: Reopenings | None = None
    chat: ChatDoor | None = None
    whatsapp: MetaApp | None = None
    people: PeopleDoor | None = None


def keys_of(keys: Iterable[tuple[str, K]]) -> dict[str, K]:
    """Keys as the edge holds them: hashed, so that a look-up takes no longer for a key that is almost right."""
    return {digest(secret): key for secret, key in keys}


class Accepted(BaseModel):
    """Kafka has the ticket: it is settled sooner or later, whatever happens."""

    ticket_id: UUID
    conversation: str


def doors_of(request: Request) -> Doors:
    """The doors of the app that serves this request."""
    doors: Doors = request.app.state.doors
    return doors


InDoors = Annotated[Doors, Depends(doors_of)]


# -- who asks

_bearer = HTTPBearer(auto_error=False, description="The API key.")
_header = APIKeyHeader(name="X-API-Key", auto_error=False, description="The API key, where Authorization is taken.")


def given_key(
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    header: Annotated[str | None, Security(_header)],
) -> str:
    """The digest of the key that came with the request.

    Raises:
        Refused: 401, there is none.
    """
    given = bearer.credentials if bearer else header
    if not given:
        raise unauthorised("send an API key as Authorization: Bearer KEY or as X-API-Key")
    return digest(given)


GivenKey = Annotated[str, Depends(given_key)]


def authenticate(doors: InDoors, given: GivenKey) -> ApiKey:
    """The key that came with the request, before anything of its body is read.

    Raises:
        Refused: 401, there is none or it is unknown.
    """
    key = doors.keys.get(given)
    if key is None:
        raise unauthorised("this API key is unknown")
    return key


def unauthorised(detail: str) -> Refused:
    """401: who asks is not known."""
    return Refused(401, detail, field="Authorization", headers={"WWW-Authenticate": "Bearer"})


def digest(secret: str) -> str:
    """A key as the edge holds it."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


Authenticated = Annotated[ApiKey, Depends(authenticate)]


def may_read(key: ApiKey, known: Known, mailbox: Mailbox) -> bool:
    """A key reads what its account sent; one of scope service also what came by the company's own doors.

    One of scope customer stands in a page, and ids can be guessed: it reads only what such keys sent, where nobody is
    proved.
    """
    own = known.account == key.account
    if key.scope != "service":
        return own and is_public(known.conversation)
    return own or known.account == mailbox.account or known.conversation.startswith(f"{Channel.WHATSAPP}:")


# -- reading and publishing


async def body_of(request: Request, media_type: str, limit: int) -> bytes:
    """The body, never more of it than the limit.

    Raises:
        Refused: 415, it is something else; 413, it is too large.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != media_type:
        raise Refused(415, f"send the body as {media_type}", field="Content-Type")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Refused(415, "send the body uncompressed", field="Content-Encoding")
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_WITHIN):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise TooLarge("body", limit)
    except TimeoutError:
        raise Refused(408, f"the body did not come within {BODY_WITHIN:.0f} seconds", field="body") from None
    return bytes(body)


def parsed(model: type[M], raw: bytes) -> M:
    """A body as what it should be.

    Raises:
        Refused: 400, it is no JSON; 422, it is something else.
    """
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        if fault["type"] == "json_invalid":
            raise Refused(400, f"the body is no JSON: {fault['msg']}", field="body") from None
        raise Refused(422, fault["msg"], field=place_of(fault["loc"])) from None


def place_of(loc: Iterable[int | str]) -> str:
    """Where in a body a fault lies."""
    return ".".join(str(part) for part in loc) or "body"


async def accept(ticket: TicketReceived, began: float, request: Request, doors: Doors) -> Accepted:
    """Publish, wait for the acknowledgement, and only then promise anything.

    Raises:
        DependencyDown: Kafka does not acknowledge; it may have the ticket all the same.
    """
    took_ms = (doors.clock.monotonic() - began) * 1000
    done = Step(stage=Stage.INGRESS, started_at=ticket.received_at, took_ms=took_ms)
    event = ticket.model_copy(update={"steps": (done,)})
    published = doors.clock.monotonic()
    with stage_span(doors.tracer, Stage.INGRESS, _trace(request), attributes_of(event)) as span:
        try:
            async with asyncio.timeout(doors.limits.publish_within):
                await doors.publish(Topic.INBOUND, ticket.conversation, event, trace_headers())
        except TimeoutError as error:
            failed(span, error)
            raise DependencyDown("Kafka", "no acknowledgement in time") from None
    doors.metrics.publish_seconds.observe(doors.clock.monotonic() - published)
    doors.metrics.accepted.labels(ticket.channel.value).inc()
    doors.outcomes.accept(ticket)
    return Accepted(ticket_id=ticket.ticket_id, conversation=ticket.conversation)


async def publish_act(settled: TicketSettled, parent: str | None, doors: Doors) -> None:
    """Tell Kafka what was done about a ticket, in the ticket's own trace.

    Raises:
        DependencyDown: Kafka does not acknowledge.
    """
    with act_span(doors.tracer, settled, parent) as headers:
        try:
            async with asyncio.timeout(doors.limits.publish_within):
                await doors.publish(Topic.OUTCOME, settled.conversation, settled, headers)
        except TimeoutError:
            raise DependencyDown("Kafka", "no acknowledgement in time") from None


def _trace(request: Request) -> tuple[tuple[str, bytes], ...]:
    """The caller's trace goes on with the ticket (W3C Trace Context)."""
    parent = request.headers.get("traceparent", "")
    return ((Header.TRACEPARENT.value, parent.encode()),) if TRACEPARENT.fullmatch(parent) else ()


# -- how a route is described


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The refusals of a route."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


def posting(body: type[BaseModel] | None, media_type: str) -> dict[str, Any]:
    """How a route that takes a body is described: its body is read by hand, after the key is checked."""
    return {
        "status_code": 202,
        "tags": ["tickets"],
        "responses": problems(400, 401, 403, 413, 415, 422, 500, 503),
        "openapi_extra": bodied(body, media_type),
    }


def bodied(
    body: type[BaseModel] | None, media_type: str = "application/json", *, required: bool = True
) -> dict[str, Any]:
    """The body of a route, as the description of it all names it."""
    schema = {"$ref": f"#/components/schemas/{body.__name__}"} if body else {"type": "string", "format": "binary"}
    return {"requestBody": {"required": required, "content": {media_type: {"schema": schema}}}}
