"""The HTTP edge: takes tickets and raw mail, answers 202 once Kafka has them, and tells what became of them.

POST /v1/tickets        a message as JSON
POST /v1/email          a raw message (RFC 5322), by a key of scope service: whoever may post mail vouches for it
GET  /v1/tickets/{id}   the state of a ticket, for the account that sent it; public keys see public keys' tickets only
A ticket was reopened: reopened.py
Web chat: chat.py, and widget/ for the script that a page loads
WhatsApp: whatsapp.py
The people's queue: queue.py
GET  /livez, /readyz; /metrics has a port of its own (serve.py)
"""

import asyncio
import logging
import os
import traceback
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal
from uuid import UUID, uuid4

from fastapi import FastAPI, Header, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, Field
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from processors.errors import DependencyDown, Rejected, TryLater
from processors.ingress import Malformed, NotAllowed, TooLarge
from processors.ingress.api import TicketRequest, receive_api
from processors.ingress.chat import ChatMessage, SessionRequest
from processors.ingress.email import receive_email
from schemas.outcome import Outcome
from streams.ingress import chat, claims, queue, reopened, whatsapp, widget
from streams.ingress.chat import ChatCors
from streams.ingress.doors import (
    Accepted,
    Authenticated,
    Doors,
    InDoors,
    accept,
    body_of,
    doors_of,
    may_read,
    parsed,
    place_of,
    posting,
    problems,
)
from streams.ingress.outcomes import SILENT
from streams.ingress.problem import Problem, Refused
from streams.metrics import Metrics

RETRY_AFTER = "5"  # seconds
STATUS: Mapping[type[Exception], int] = {Malformed: 422, NotAllowed: 403, TooLarge: 413}

logger = logging.getLogger(__name__)


class TicketState(BaseModel):
    """What is known of a ticket."""

    ticket_id: UUID
    conversation: str
    state: Literal["pending", "settled"]
    outcome: Outcome | None = Field(None, description="How it ended, or what was done since; null while pending.")
    revision: int | None = None
    reason: str | None = Field(None, description="Why, in words. For keys of scope service only.")
    text: str | None = Field(None, description="The reply the customer got. Drafts are not shown here.")
    settled_at: datetime | None = None


def create_edge(
    doors: Doors,
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]] | None = None,
    *,
    docs: bool = False,
) -> FastAPI:
    """The ASGI app. `lifespan` starts and stops what runs beside it; `docs` adds /docs, a page that asks a CDN."""
    summary, page = "Support tickets in, outcomes out.", "/docs" if docs else None
    app = FastAPI(title="Sluice", version="1", summary=summary, lifespan=lifespan, docs_url=page, redoc_url=None)
    app.state.doors = doors
    app.add_middleware(LastResort, metrics=doors.metrics)
    if doors.chat is not None:
        app.add_middleware(ChatCors, origins=doors.chat.origins)
    app.post("/v1/tickets", **posting(TicketRequest, "application/json"))(post_ticket)
    app.post("/v1/email", **posting(None, "message/rfc822"))(post_email)
    app.get("/v1/tickets/{ticket_id}", responses=problems(401, 404, 422), tags=["tickets"])(get_ticket)
    app.include_router(claims.routes)
    app.include_router(reopened.routes)
    app.include_router(chat.routes)
    app.include_router(widget.routes)
    app.include_router(whatsapp.routes)
    app.include_router(queue.routes)
    app.get("/livez", tags=["operations"])(livez)
    app.get("/readyz", responses=problems(503), tags=["operations"])(readyz)
    for kind in (Refused, DependencyDown, TryLater, Rejected, RequestValidationError, HTTPException, ClientDisconnect):
        app.add_exception_handler(kind, refuse)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]  # FastAPI's own way to extend it
    return app


# -- what they ask


async def post_ticket(
    request: Request,
    doors: InDoors,
    key: Authenticated,
    idempotency_key: Annotated[
        str | None, Header(description="Names the message: sent again with the same body, it is the same ticket.")
    ] = None,
) -> Accepted:
    """Take a customer's message. Without an Idempotency-Key or a message_id, a retry makes a second ticket."""
    raw = await body_of(request, "application/json", doors.limits.ticket_bytes)
    posted = parsed(TicketRequest, raw)
    received_at, began = doors.clock.now(), doors.clock.monotonic()
    ticket = await asyncio.to_thread(
        receive_api,
        posted,
        key=key,
        idempotency_key=idempotency_key,
        random_id=uuid4(),
        received_at=received_at,
        language=doors.language,
    )
    return await accept(ticket, began, request, doors)


async def post_email(request: Request, doors: InDoors, key: Authenticated) -> Accepted:
    """Take a raw message from the mail server. What its topmost Authentication-Results says is believed."""
    if key.scope != "service":
        raise Refused(403, "mail is taken from keys of scope service only", field="Authorization")
    raw = await body_of(request, "message/rfc822", doors.limits.mail_bytes)
    received_at, began = doors.clock.now(), doors.clock.monotonic()
    ticket = await asyncio.to_thread(
        receive_email, raw, mailbox=doors.mailbox, received_at=received_at, language=doors.language
    )
    return await accept(ticket, began, request, doors)


async def get_ticket(ticket_id: UUID, doors: InDoors, key: Authenticated) -> TicketState:
    """Tell what became of a ticket. Known are the ones this edge took, and the ones settled of late."""
    known = doors.outcomes.get(ticket_id)
    if known is None or not may_read(key, known, doors.mailbox):
        raise Refused(404, "no such ticket of this account, or it was settled long ago", field="ticket_id")
    return TicketState(
        ticket_id=ticket_id,
        conversation=known.conversation,
        state="pending" if known.outcome is None else "settled",
        outcome=known.outcome,
        revision=known.revision,
        reason=known.reason if key.scope == "service" else None,
        text=known.text,
        settled_at=known.settled_at,
    )


async def livez() -> dict[str, str | int]:
    """The process answers, and says which one it is."""
    return {"status": "alive", "pid": os.getpid()}


async def readyz(doors: InDoors) -> dict[str, str]:
    """The edge has read the latest outcomes and Kafka answers it, so tickets are taken and every state can be told."""
    if not doors.outcomes.caught_up:
        raise Refused(503, "tickets.outcome is not read to its end yet", headers={"Retry-After": "1"})
    silent = doors.clock.monotonic() - doors.outcomes.answered_at
    if silent > SILENT:
        raise Refused(503, f"Kafka has not answered for {silent:.0f} s", headers={"Retry-After": RETRY_AFTER})
    return {"status": "ready"}


# -- refusals


async def refuse(request: Request, error: Exception) -> Response:
    """Any expected failure as a problem."""
    refused = _refused(error)
    doors_of(request).metrics.refused.labels(str(refused.status)).inc()
    return refused.response()


def _refused(error: Exception) -> Refused:
    match error:
        case Refused():
            return error
        case Malformed() | NotAllowed() | TooLarge():
            return Refused(STATUS[type(error)], str(error), field=error.field)
        case Rejected():
            return Refused(413, "the ticket is larger than its topic takes", field="body")
        case TryLater():
            return Refused(503, "busy: try again", headers={"Retry-After": RETRY_AFTER})
        case DependencyDown():
            unsafe = "the ticket is not safe yet: send it again, with the same Idempotency-Key"
            detail = unsafe if error.dependency == "Kafka" else f"{error.dependency} does not answer: try again"
            return Refused(503, detail, headers={"Retry-After": RETRY_AFTER})
        case RequestValidationError():
            fault = error.errors()[0]
            return Refused(422, fault["msg"], field=place_of(fault["loc"][1:]))
        case ClientDisconnect():
            return Refused(400, "the body ended too early", field="body")
        case HTTPException():
            return Refused(error.status_code, HTTPStatus(error.status_code).description, headers=error.headers)
    raise error


class LastResort:
    """Answers 500 where nothing else did, so that a bug is a problem document too, and shows no text of a ticket."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except Exception as error:
            if begun or scope["type"] != "http":
                raise
            _report(error)
            self._metrics.refused.labels("500").inc()
            await Refused(500, "a fault of ours; it is logged").response()(scope, receive, send)


def _report(error: Exception) -> None:
    """Log a bug by type and place: its text may be a customer's."""
    place = "".join(traceback.format_tb(error.__traceback__)[-3:])
    logger.error("%s at %s", type(error).__name__, place)


# -- the description of it all


DESCRIBED = (
    *(TicketRequest, SessionRequest, ChatMessage, Problem),
    *(claims.ClaimBody, claims.SettleBody),
    *(queue.TakeBody, queue.ApproveBody, queue.EditBody, queue.RejectBody, queue.ResolveBody),
)  # what no route's signature names, as its body is read by hand


def _openapi(app: FastAPI) -> dict[str, Any]:
    if not app.openapi_schema:
        described = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
        models: list[tuple[type[BaseModel], Literal["validation"]]] = [(model, "validation") for model in DESCRIBED]
        _, schemas = models_json_schema(models, ref_template="#/components/schemas/{model}")
        described["components"]["schemas"] |= schemas["$defs"]
        app.openapi_schema = described
    return app.openapi_schema
