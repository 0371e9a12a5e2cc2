"""Claims over HTTP: a helpdesk outside takes the right to deliver a reply, delivers it, and says so.

POST /v1/claims/{ticket_id}           200 with the reply: deliver it now, within the lease; 409 with why not
POST /v1/claims/{ticket_id}/settle    it was delivered (or not): nobody else will deliver it (or: it is free again)
"""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from processors.outside import delivered
from processors.ports import OutsideClaims
from schemas.resolution import Sentence
from streams.ingress.doors import Authenticated, InDoors, bodied, body_of, parsed, problems, publish_act
from streams.ingress.problem import Refused

MAX_BYTES = 64 * 1024

routes = APIRouter(prefix="/v1/claims", tags=["claims"])


class ClaimBody(BaseModel):
    """How long the helpdesk needs to deliver."""

    lease: float = Field(30.0, ge=1, le=300, description="Seconds. Past it, only a person can say what happened.")


class Claimed(BaseModel):
    """The reply, and until when to have delivered it."""

    ticket_id: UUID
    conversation: str
    revision: int
    key: str = Field(description="The idempotency key of the reply: give it to your mail server or provider.")
    text: str
    sentences: tuple[Sentence, ...]
    to: str | None
    subject: str
    lease_until: datetime
    expires_at: datetime


class SettleBody(BaseModel):
    """What came of it."""

    sent: bool = Field(description="Whether the customer has it. If you do not know, do not settle: a person looks.")
    delivery: str = Field("", max_length=200, description="Your own reference of the message.")
    text: str | None = Field(None, min_length=1, max_length=20_000, description="What went out, if it was reworded.")


class Settled(BaseModel):
    """It is noted: what was said first, where it was said before."""

    ticket_id: UUID
    sent: bool
    delivery: str | None = Field(None, description="The reference that is kept, where it was sent.")
    text: str | None = Field(None, description="The text that is kept, where it was sent.")


def claims_of(doors: InDoors, key: Authenticated) -> OutsideClaims:
    """The claims, for a key that may speak for its account.

    Raises:
        Refused: 403, the key's scope is another; 404, no channel is claimed from outside.
    """
    if key.scope != "service":
        raise Refused(403, "replies are claimed by keys of scope service only", field="Authorization")
    if doors.claims is None:
        raise Refused(404, "no channel is claimed from outside: set SLUICE_OUTSIDE_CHANNELS")
    return doors.claims


Claims = Annotated[OutsideClaims, Depends(claims_of)]


@routes.post(
    "/{ticket_id}", responses=problems(400, 401, 403, 404, 409, 413, 415, 422, 503), openapi_extra=bodied(ClaimBody)
)
async def claim(ticket_id: UUID, request: Request, claims: Claims, key: Authenticated) -> Claimed:
    """Take the right to deliver the reply to a ticket. It is granted once; 409 names the reason where it is not."""
    asked = parsed(ClaimBody, await body_of(request, "application/json", MAX_BYTES))
    answer = await claims.claim(ticket_id, key.account, asked.lease)
    if answer.status == "unknown":
        raise Refused(404, "no reply to this ticket waits for this account", field="ticket_id")
    if answer.approved is None or answer.lease_until is None:
        raise Refused(409, f"{answer.status}: {answer.detail}" if answer.detail else answer.status, field="ticket_id")
    approved = answer.approved
    return Claimed(
        ticket_id=ticket_id,
        conversation=approved.ticket.conversation,
        revision=approved.admission.revision,
        key=approved.idempotency_key,
        text=approved.draft.text,
        sentences=approved.draft.sentences,
        to=approved.ticket.sender,
        subject=approved.ticket.subject,
        lease_until=answer.lease_until,
        expires_at=approved.expires_at,
    )


@routes.post(
    "/{ticket_id}/settle", responses=problems(400, 401, 403, 404, 413, 415, 422, 503), openapi_extra=bodied(SettleBody)
)
async def settle(ticket_id: UUID, request: Request, claims: Claims, doors: InDoors, key: Authenticated) -> Settled:
    """Say what came of a claim. Saying it again is harmless, also after a 503: what was said first stands."""
    told = parsed(SettleBody, await body_of(request, "application/json", MAX_BYTES))
    try:
        if told.sent:
            kept = await claims.settle(ticket_id, key.account, delivery=told.delivery, text=told.text)
            if not kept.told:
                await publish_act(delivered(kept, actor=key.account, clock=doors.clock), kept.traceparent, doors)
            return Settled(ticket_id=ticket_id, sent=True, delivery=kept.delivery, text=kept.text)
        await claims.release(ticket_id, key.account)
    except LookupError:
        raise Refused(404, "this account has no claim on this ticket", field="ticket_id") from None
    return Settled(ticket_id=ticket_id, sent=False)
