"""A helpdesk says over HTTP that a ticket was reopened: the live guard counts it against the answer.

POST /v1/tickets/{ticket_id}/reopened    no body; a webhook of the helpdesk with its API key can send it
"""

from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, Field

from processors.reopened import reopened
from schemas.outcome import Outcome
from streams.ingress.doors import Authenticated, InDoors, may_read, problems, publish_act
from streams.ingress.problem import Refused

routes = APIRouter(prefix="/v1/tickets", tags=["tickets"])


class Reopening(BaseModel):
    """What came of it."""

    ticket_id: UUID
    counted: bool = Field(description="Whether it speaks against an automatic answer that nothing reopened before.")


@routes.post("/{ticket_id}/reopened", responses=problems(401, 403, 404, 422, 503))
async def reopen(ticket_id: UUID, doors: InDoors, key: Authenticated) -> Reopening:
    """Say that a ticket was reopened. Saying it again is harmless."""
    if key.scope != "service":
        raise Refused(403, "tickets are reopened by keys of scope service only", field="Authorization")
    if doors.reopenings is None:
        raise Refused(404, "no helpdesk is set: set HELPDESK=webhook or SLUICE_OUTSIDE_CHANNELS")
    known = doors.outcomes.get(ticket_id)
    if known is not None and not may_read(key, known, doors.mailbox):
        raise Refused(404, "no such ticket of this account", field="ticket_id")
    found = await doors.reopenings.reopen(ticket_id, by=f"account {key.account}")
    if found is not None and not (known and known.outcome is Outcome.REOPENED):
        account = known.account if known else key.account
        act = reopened(found, actor=key.account, reason=None, account=account, clock=doors.clock)
        await publish_act(act, None, doors)
    return Reopening(ticket_id=ticket_id, counted=found is not None)
