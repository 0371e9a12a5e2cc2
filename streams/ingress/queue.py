"""The people's queue over HTTP: what `sluice queue` does, for a tool of your own; every act carries its key's name.

GET  /v1/queue                      what waits, overdue first
GET  /v1/queue/stats                how many, how old, who has what
GET  /v1/queue/{item_id}            one item with its event: transcript, draft, sources, decision
POST /v1/queue/{item_id}/take       approve, edit, reject, resolve and release likewise
"""

from collections.abc import Awaitable
from datetime import datetime
from typing import Annotated, Any, TypeVar
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field

from processors.errors import DependencyDown
from processors.ports import ItemKind, ItemState, Queued, QueueFilter
from processors.queue import (
    MAX_REPLY,
    Acted,
    Fault,
    PeopleDesk,
    Result,
    announce,
    approve,
    case_of,
    edit,
    reject,
    release,
    resolve,
    take,
)
from schemas.gate import ReplyApproved, TicketEscalated
from schemas.ingress import Channel
from schemas.outcome import Outcome
from streams.ingress.doors import (
    Doors,
    GivenKey,
    InDoors,
    bodied,
    body_of,
    parsed,
    problems,
    publish_act,
    unauthorised,
)
from streams.ingress.problem import Refused

MAX_BYTES = 128 * 1024

B = TypeVar("B", bound=BaseModel)

routes = APIRouter(prefix="/v1/queue", tags=["queue"])


class ItemLine(BaseModel):
    """An item as the list shows it."""

    item_id: UUID
    kind: ItemKind
    state: ItemState
    conversation: str
    ticket_id: UUID | None
    revision: int
    customer_id: str | None
    channel: Channel | None
    intent: str | None
    subject: str
    reason: str
    opened_at: datetime
    due_at: datetime | None
    overdue: bool
    held_by: str | None
    person: str | None = Field(description="Whose the conversation is; null: the bot's.")
    closed_at: datetime | None
    closed_by: str | None
    closed_as: Outcome | None


class ItemDocument(ItemLine):
    """An item in full."""

    current_revision: int = Field(description="Above `revision`: the customer has written again.")
    draft: str | None
    event: TicketEscalated | ReplyApproved | None = Field(description="Null where the message could not be read.")
    answered_by: str | None = Field(description="Who claimed its reply, and how that ended: sent, parked, ...")
    answered_as: str | None


class ListQuery(BaseModel):
    """Which items to list."""

    kind: tuple[ItemKind, ...] = ()
    state: tuple[ItemState, ...] = ()
    mine: bool = False
    channel: Channel | None = None
    intent: str | None = None
    ticket: UUID | None = None
    limit: int = Field(50, ge=1, le=1000)
    after: UUID | None = Field(None, description="The last item of the page before.")


class Count(BaseModel):
    """How many wait, of one kind and state."""

    kind: ItemKind
    state: ItemState
    items: int
    overdue: int
    p50_seconds: float = Field(description="Median age.")
    oldest_at: datetime


class Had(BaseModel):
    """What a person has."""

    person: str
    items: int
    conversations: int


class Figures(BaseModel):
    """The queue in figures."""

    counts: tuple[Count, ...]
    holders: tuple[Had, ...]


class TakeBody(BaseModel):
    """How to take."""

    from_person: str | None = Field(None, description="Take it over from this colleague, if it is theirs by now.")


class ApproveBody(BaseModel):
    """How to approve."""

    keep: bool = Field(False, description="Keep the conversation; else it is the bot's again.")


class EditBody(BaseModel):
    """What to send."""

    text: str = Field(min_length=1, max_length=MAX_REPLY)
    keep: bool = Field(True, description="Keep the conversation; else it is the bot's again.")
    reason: Fault | None = Field(None, description="What was wrong with the draft.")


class RejectBody(BaseModel):
    """Why no reply is sent."""

    reason: Fault
    note: str = Field("", max_length=2000)
    keep: bool = False


class ResolveBody(BaseModel):
    """What became of a reply that may have been sent."""

    sent: bool
    delivery: str | None = Field(None, max_length=200, description="The helpdesk's own reference of it.")


class Done(BaseModel):
    """The act is done, and Kafka was told."""

    item_id: UUID
    actor: str
    detail: str


# -- who asks


def desk_of(doors: InDoors) -> PeopleDesk:
    """The desk.

    Raises:
        Refused: 404, the edge has none.
    """
    if doors.people is None:
        raise Refused(404, "the people's queue is not served here: set SLUICE_STAFF_KEYS")
    return doors.people.desk


def person_of(doors: InDoors, _: Annotated[PeopleDesk, Depends(desk_of)], given: GivenKey) -> str:
    """The person whose key came with the request.

    Raises:
        Refused: 401, the key is nobody's.
    """
    person = doors.people.keys.get(given) if doors.people else None
    if person is None:
        raise unauthorised("this is no staff key")
    return person


Desk = Annotated[PeopleDesk, Depends(desk_of)]
Person = Annotated[str, Depends(person_of)]
REFUSALS = problems(400, 401, 404, 409, 413, 415, 422, 503)


# -- looking


@routes.get("", responses=problems(401, 404, 422, 503))
async def list_items(
    desk: Desk,
    doors: InDoors,
    person: Person,
    asked: Annotated[ListQuery, Query()],
) -> list[ItemLine]:
    """List what waits, overdue first. Without `state`, open and held items."""
    states = asked.state or QueueFilter.states
    mine = person if asked.mine else None
    wanted = QueueFilter(asked.kind, states, mine, asked.channel, asked.intent, asked.limit, asked.ticket, asked.after)
    now = doors.clock.now()
    return [ItemLine(**_line(queued, now)) for queued in await desk.queue.list(wanted)]


@routes.get("/stats", responses=problems(401, 404, 503))
async def get_stats(desk: Desk, person: Person) -> Figures:
    """Tell how many wait, how old they are, and who has what."""
    found = await desk.queue.stats()
    counts = tuple(Count(**vars(count)) for count in found.counts)
    return Figures(counts=counts, holders=tuple(Had(**vars(holder)) for holder in found.holders))


@routes.get("/{item_id}", responses=problems(401, 404, 422, 503))
async def get_item(item_id: UUID, desk: Desk, doors: InDoors, person: Person) -> ItemDocument:
    """Show one item with all that is needed to act on it."""
    item = await desk.queue.get(item_id)
    if item is None:
        raise Refused(404, "no such item", field="item_id")
    case = case_of(item.event)
    return ItemDocument(
        **_line(item.queued, doors.clock.now()),
        current_revision=item.current_revision,
        draft=case.draft,
        event=case.event,
        answered_by=item.answered.actor if item.answered else None,
        answered_as=item.answered.state if item.answered else None,
    )


def _line(queued: Queued, now: datetime) -> dict[str, Any]:
    waits = queued.state is not ItemState.CLOSED
    return {**vars(queued), "overdue": waits and queued.due_at is not None and queued.due_at < now}


# -- acting


@routes.post("/{item_id}/take", responses=REFUSALS, openapi_extra=bodied(TakeBody, required=False))
async def post_take(item_id: UUID, request: Request, desk: Desk, doors: InDoors, person: Person) -> Done:
    """Make the item yours, with its conversation; the bot is silent in it. 409 names who has it."""
    body = await _read(TakeBody, request)
    return await _done(item_id, person, take(item_id, person, desk, from_person=body.from_person), doors, desk)


@routes.post("/{item_id}/release", responses=REFUSALS)
async def post_release(item_id: UUID, desk: Desk, doors: InDoors, person: Person) -> Done:
    """Put the item back; without another one of yours in it, the conversation is the bot's again."""
    return await _done(item_id, person, release(item_id, person, desk), doors, desk)


@routes.post("/{item_id}/approve", responses=REFUSALS, openapi_extra=bodied(ApproveBody, required=False))
async def post_approve(item_id: UUID, request: Request, desk: Desk, doors: InDoors, person: Person) -> Done:
    """Send the draft as it is. Saying it again is harmless, also after a 503."""
    body = await _read(ApproveBody, request)
    return await _done(item_id, person, approve(item_id, person, desk, keep=body.keep), doors, desk)


@routes.post("/{item_id}/edit", responses=REFUSALS, openapi_extra=bodied(EditBody))
async def post_edit(item_id: UUID, request: Request, desk: Desk, doors: InDoors, person: Person) -> Done:
    """Send your own text, in the draft's place or where there is none."""
    body = await _read(EditBody, request)
    if not body.text.strip():
        raise Refused(422, "there is no text to send", field="text")
    acting = edit(item_id, person, body.text, desk, keep=body.keep, fault=body.reason)
    return await _done(item_id, person, acting, doors, desk)


@routes.post("/{item_id}/reject", responses=REFUSALS, openapi_extra=bodied(RejectBody))
async def post_reject(item_id: UUID, request: Request, desk: Desk, doors: InDoors, person: Person) -> Done:
    """Close the item without a reply."""
    body = await _read(RejectBody, request)
    acting = reject(item_id, person, body.reason, desk, note=body.note, keep=body.keep)
    return await _done(item_id, person, acting, doors, desk)


@routes.post("/{item_id}/resolve", responses=REFUSALS, openapi_extra=bodied(ResolveBody))
async def post_resolve(item_id: UUID, request: Request, desk: Desk, doors: InDoors, person: Person) -> Done:
    """Say what became of a reply that may have been sent: sent closes the item, not sent lets it be answered."""
    body = await _read(ResolveBody, request)
    acting = resolve(item_id, person, desk, sent=body.sent, delivery=body.delivery)
    return await _done(item_id, person, acting, doors, desk)


async def _read(body: type[B], request: Request) -> B:
    """The body; where there is none, what it says by default."""
    if "content-type" not in request.headers:
        return parsed(body, b"{}")
    return parsed(body, await body_of(request, "application/json", MAX_BYTES))


async def _done(item_id: UUID, person: str, acting: Awaitable[Acted], doors: Doors, desk: PeopleDesk) -> Done:
    """Act, tell Kafka, and only then say that it is done."""
    acted = await acting
    if acted.result is Result.UNKNOWN:
        raise Refused(404, "no such item", field="item_id")
    if acted.result is not Result.DONE:
        raise Refused(409, ": ".join(filter(None, (acted.result.value, acted.detail))), field="item_id")
    try:
        await announce(item_id, desk.queue, lambda act: publish_act(act.settled, act.traceparent, doors))
    except DependencyDown:
        again = "it is done, and not told to Kafka yet: send it again"
        raise Refused(503, again, headers={"Retry-After": "5"}) from None
    return Done(item_id=item_id, actor=person, detail=acted.detail)
