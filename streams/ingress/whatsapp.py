"""WhatsApp's webhook: Meta's handshake, and signed batches of messages, each a ticket before the batch is answered.

GET  /v1/whatsapp    the handshake: echoes the challenge of whoever knows the agreed token
POST /v1/whatsapp    messages and statuses, signed over the raw bytes

Meta sends a batch again, for days, until it is answered with 200. So a batch of which one ticket could not be published
is answered with 503: the tickets that are safe already come again and are the same tickets.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel

from processors.ingress.whatsapp import MAX_WEBHOOK_BYTES, Delivery, Failure, MetaApp, receive_whatsapp
from schemas.ingress import Channel
from streams.ingress.doors import Doors, InDoors, accept, body_of, problems
from streams.ingress.problem import Refused

SIGNATURE = "X-Hub-Signature-256"
SHOWN = 5  # failed replies that the log names

logger = logging.getLogger(__name__)
routes = APIRouter(prefix="/v1/whatsapp", tags=["whatsapp"])


class Taken(BaseModel):
    """Kafka has every ticket of the batch."""

    tickets: int
    others: int  # statuses, reactions and the like, which are counted


def app_of(doors: InDoors) -> MetaApp:
    """What is shared with Meta.

    Raises:
        Refused: 404, WhatsApp is not set up.
    """
    if doors.whatsapp is None:
        raise Refused(404, "WhatsApp is not set up: set WHATSAPP_APP_SECRET and WHATSAPP_VERIFY_TOKEN")
    return doors.whatsapp


App = Annotated[MetaApp, Depends(app_of)]


@routes.get("", response_class=PlainTextResponse, responses=problems(403, 404, 422))
async def shake_hands(
    doors: InDoors,
    app: App,
    mode: Annotated[str, Query(alias="hub.mode")] = "",
    token: Annotated[str, Query(alias="hub.verify_token")] = "",
    challenge: Annotated[str, Query(alias="hub.challenge", max_length=1000)] = "",
) -> Response:
    """Answer Meta's handshake with its challenge, as it stands."""
    if mode != "subscribe" or not app.knows(token):
        raise _refused(doors, "verify-token", Refused(403, "hub.verify_token is not WHATSAPP_VERIFY_TOKEN"))
    return PlainTextResponse(challenge, headers={"X-Content-Type-Options": "nosniff"})


@routes.post("", responses=problems(400, 401, 404, 413, 415, 422, 503))
async def take_webhook(
    request: Request,
    doors: InDoors,
    app: App,
    signature: Annotated[str, Header(alias=SIGNATURE, description="sha256=, and the HMAC of the body.")] = "",
) -> Taken:
    """Take a batch. The signature is checked over the bytes as they came, before anything of them is read."""
    raw = await body_of(request, "application/json", MAX_WEBHOOK_BYTES)
    if not app.signed(raw, signature):
        reason = "forged" if signature else "unsigned"
        raise _refused(doors, reason, Refused(401, "the signature is not of these bytes", field=SIGNATURE))
    began, received_at = doors.clock.monotonic(), doors.clock.now()
    delivery = await asyncio.to_thread(receive_whatsapp, raw, received_at=received_at, language=doors.language)
    if delivery.stale:
        raise _refused(doors, "stale", Refused(400, "every message is older than Meta retries", field="timestamp"))
    _count(delivery, doors)
    for ticket in delivery.tickets:
        await accept(ticket, began, request, doors)
    return Taken(tickets=len(delivery.tickets), others=len(delivery.others))


def _refused(doors: Doors, reason: str, refused: Refused) -> Refused:
    doors.metrics.signatures_refused.labels(Channel.WHATSAPP.value, reason).inc()
    return refused


def _count(delivery: Delivery, doors: Doors) -> None:
    """Count what is no ticket, and the tickets that came before; tell the log of replies that did not arrive."""
    again = [ticket for ticket in delivery.tickets if doors.outcomes.get(ticket.ticket_id) is not None]
    for kind in (*delivery.others, *("redelivered" for _ in again)):
        doors.metrics.webhook_events.labels(Channel.WHATSAPP.value, kind).inc()
    if delivery.failures:
        logger.warning("WhatsApp did not deliver %s", _summary(delivery.failures))


def _summary(failures: Sequence[Failure]) -> str:
    """The failures of a batch in one line: a batch may hold thousands."""
    shown = ", ".join(f"{failure.message_id}: code {failure.code}" for failure in failures[:SHOWN])
    return f"{shown} and {len(failures) - SHOWN} more" if len(failures) > SHOWN else shown
