"""The people's queue in memory, on scripted conversations, with the rules of the one in Postgres."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from statistics import median
from uuid import UUID

from infra.postgres.conversations import intent_of
from infra.scripted.conversations import Claimed, Place, ScriptedConversations
from processors.ports import (
    Act,
    Answered,
    Handled,
    Hold,
    Holder,
    Item,
    ItemKind,
    ItemState,
    QueueAnswer,
    QueueCount,
    Queued,
    QueueFilter,
    QueueItem,
    QueueStats,
)
from processors.queue import ITEM_NAME, OUTSIDE, case_of
from schemas.outcome import Outcome, TicketSettled

LEFT_AFTER = timedelta(minutes=1)
DONE = QueueAnswer(Hold.DONE)


class ScriptedQueue:
    """The queue of these conversations."""

    def __init__(self, conversations: ScriptedConversations) -> None:
        self._conversations = conversations
        self._state = conversations.state
        self._clock = conversations.clock
        self._acts: list[tuple[UUID, datetime, Act]] = []
        self._published: set[int] = set()

    # -- looking

    async def list(self, wanted: QueueFilter) -> tuple[Queued, ...]:
        """The items that match, those due first at the top."""
        everything = sorted(self._all(), key=_place)
        last = next((_place(queued) for queued in everything if queued.item_id == wanted.after), None)
        if wanted.after is not None and last is None:
            return ()
        found = [q for q in everything if _matches(q, wanted) and (last is None or _place(q) > last)]
        return tuple(found[: wanted.limit])

    async def get(self, item_id: UUID) -> QueueItem | None:
        """An item with its event, or None."""
        item = self._item(item_id)
        if item is None:
            return None
        claimed = self._state.claims.get((item.conversation, item.revision))
        return QueueItem(self._queued(item_id, item), item.event, self._place(item).revision, self._answered(claimed))

    async def named(self, prefix: str) -> tuple[UUID, ...]:
        """The items whose id begins so, two at most."""
        named = bool(ITEM_NAME.fullmatch(prefix))
        return tuple(found for found, _ in self._state.items.values() if named and str(found).startswith(prefix))[:2]

    async def stats(self) -> QueueStats:
        """The queue in figures."""
        waiting = [queued for queued in self._all() if queued.state is not ItemState.CLOSED]
        groups = sorted({(queued.kind, queued.state) for queued in waiting})
        counts = [self._count([q for q in waiting if (q.kind, q.state) == group]) for group in groups]
        people = {place.person for place in self._state.places.values()} | set(self._state.held.values())
        return QueueStats(tuple(counts), tuple(self._holder(person) for person in sorted(filter(None, people))))

    def _count(self, group: Sequence[Queued]) -> QueueCount:
        now = self._clock.now()
        return QueueCount(
            kind=group[0].kind,
            state=group[0].state,
            items=len(group),
            overdue=sum(queued.due_at is not None and queued.due_at < now for queued in group),
            p50_seconds=median((now - queued.opened_at).total_seconds() for queued in group),
            oldest_at=min(queued.opened_at for queued in group),
        )

    def _holder(self, person: str) -> Holder:
        conversations = sum(place.person == person for place in self._state.places.values())
        return Holder(person, sum(holder == person for holder in self._state.held.values()), conversations)

    # -- acting

    async def take(self, item_id: UUID, act: TicketSettled, *, from_person: str | None = None) -> QueueAnswer:
        """Make the item's conversation, with all its items, the actor's."""
        item, person = self._item(item_id), act.actor
        if item is None:
            return QueueAnswer(Hold.UNKNOWN)
        if item.key in self._state.closed:
            return QueueAnswer(Hold.CLOSED, self._state.closed[item.key][0] or "")
        if self._state.held.get(item.key) == person:
            return DONE
        holder = self._state.held.get(item.key) or self._place(item).person
        if holder not in (None, person):
            if holder != from_person:
                return QueueAnswer(Hold.HELD, holder or "")
            if self._sending(item, holder):
                return QueueAnswer(Hold.SENDING, holder or "")
        await self._conversations.take_over(item.conversation, person)
        return self._noted(item_id, act)

    async def release(self, item_id: UUID, act: TicketSettled) -> QueueAnswer:
        """Put the item back; without another held item, the conversation is the bot's again."""
        item = self._item(item_id)
        last = [kept.settled for found, _, kept in self._acts if found == item_id][-1:]
        mine = item is not None and self._state.held.get(item.key) == act.actor
        if not mine and last and (last[0].outcome, last[0].actor) == (act.outcome, act.actor):
            return DONE
        obstacle = self._not_theirs(item, act.actor)
        if item is None or (obstacle and (obstacle.hold is not Hold.CLOSED or self._place(item).person != act.actor)):
            return obstacle or QueueAnswer(Hold.UNKNOWN)
        self._state.held.pop(item.key, None)
        await self._give_back(item, act.actor)
        return self._noted(item_id, act)

    async def close(self, item_id: UUID, act: TicketSettled, *, give_back: bool) -> QueueAnswer:
        """End an item the actor holds, or whose reply they sent."""
        item = self._item(item_id)
        closed = self._state.closed.get(item.key) if item else None
        if closed and closed[:2] == (act.actor, act.outcome):
            return DONE
        obstacle = self._not_theirs(item, act.actor)
        sent = item is not None and self._sent_by(item, act.actor)
        if item is None or (obstacle and not (sent and obstacle.hold in (Hold.HELD, Hold.NOT_HELD))):
            return obstacle or QueueAnswer(Hold.UNKNOWN)
        if (answering := self._answering(item, act.outcome)) is not None:
            return answering
        self._state.held.pop(item.key, None)
        self._state.closed[item.key] = (act.actor, act.outcome, self._clock.now())
        if give_back:
            await self._give_back(item, act.actor)
        return self._noted(item_id, act)

    async def unpark(self, item_id: UUID, person: str, act: TicketSettled | None) -> QueueAnswer:
        """Let the item's holder send, as the parked reply never went out."""
        item = self._item(item_id)
        obstacle = self._not_theirs(item, person)
        if item is None or obstacle is not None:
            return obstacle or QueueAnswer(Hold.UNKNOWN)
        claimed = self._state.claims.get((item.conversation, item.revision))
        state = self._state_of(claimed)
        if claimed is None or state not in ("parked", "released"):
            return QueueAnswer(Hold.NOT_PARKED, state)
        if state == "released":
            return DONE
        if claimed.outside and act is None:
            return QueueAnswer(Hold.NOT_PARKED, OUTSIDE)
        self._conversations.end_claim(claimed, "released")
        return self._noted(item_id, act) if act else DONE

    async def unpublished(self, item_id: UUID) -> tuple[Act, ...]:
        """The acts whose event is not known to be published, in order."""
        left = self._clock.now() - LEFT_AFTER
        waiting = [kept for kept in self._acts if kept[2].act_id not in self._published]
        return tuple(act for found, at, act in waiting if found == item_id or at < left)

    async def published(self, act_id: int) -> None:
        """Note that an act was published."""
        self._published.add(act_id)

    async def handled(
        self, since: datetime, until: datetime, *, after: int = 0, limit: int = 200
    ) -> tuple[Handled, ...]:
        """What people did with the drafts they were shown, in order."""
        found = []
        for item_id, at, kept in self._acts:
            item = self._item(item_id)
            if item is not None and item.kind is ItemKind.SUGGEST and since <= at < until and kept.act_id > after:
                found += [Handled(kept.act_id, kept.settled, item.event)] if _ends_a_draft(kept.settled) else []
        return tuple(found[:limit])

    # -- the rules

    def _noted(self, item_id: UUID, act: TicketSettled) -> QueueAnswer:
        state = self._conversations.state
        trace = next((state.traces[key] for key, (opened, _) in state.items.items() if opened == item_id), None)
        self._acts.append((item_id, self._clock.now(), Act(len(self._acts) + 1, act, trace)))
        return DONE

    async def _give_back(self, item: Item, person: str) -> None:
        others = (other.key for other in self._conversations.items if other.conversation == item.conversation)
        if self._place(item).person == person and not any(key in self._state.held for key in others):
            await self._conversations.give_back(item.conversation)

    def _not_theirs(self, item: Item | None, person: str) -> QueueAnswer | None:
        if item is None:
            return QueueAnswer(Hold.UNKNOWN)
        if item.key in self._state.closed:
            return QueueAnswer(Hold.CLOSED, self._state.closed[item.key][0] or "")
        holder = self._state.held.get(item.key)
        if holder is None:
            return QueueAnswer(Hold.NOT_HELD)
        return None if holder == person else QueueAnswer(Hold.HELD, holder)

    def _sent_by(self, item: Item, person: str) -> bool:
        claimed = self._state.claims.get((item.conversation, item.revision))
        return claimed is not None and (claimed.state, claimed.request.actor) == ("sent", person)

    def _answering(self, item: Item, outcome: Outcome) -> QueueAnswer | None:
        """Why its reply keeps an item from being closed so."""
        claimed = self._state.claims.get((item.conversation, item.revision))
        if claimed is None:
            return None
        actor = claimed.request.actor
        if claimed.state == "claimed" and claimed.until > self._clock.monotonic():
            return QueueAnswer(Hold.SENDING, "the helpdesk" if claimed.outside else actor)
        about_another = item.kind in (ItemKind.CONFLICT, ItemKind.DEAD)
        if claimed.state == "sent" and outcome is Outcome.REJECTED and not about_another:
            return QueueAnswer(Hold.ANSWERED, f"by {actor}: resolve it as sent")
        return None

    def _state_of(self, claimed: Claimed | None) -> str:
        """A claim's state; one of a helpdesk outside is as good as parked past its lease."""
        if claimed is None:
            return ""
        late = claimed.state == "claimed" and claimed.outside and claimed.until <= self._clock.monotonic()
        return "parked" if late else claimed.state

    def _sending(self, item: Item, holder: str | None) -> bool:
        now = self._clock.monotonic()
        return any(
            claimed.request.actor == holder and claimed.state == "claimed" and claimed.until > now
            for (conversation, _), claimed in self._state.claims.items()
            if conversation == item.conversation
        )

    # -- what is kept

    def _item(self, item_id: UUID) -> Item | None:
        return next((item for found, item in self._state.items.values() if found == item_id), None)

    def _all(self) -> tuple[Queued, ...]:
        return tuple(self._queued(item_id, item) for item_id, item in self._state.items.values())

    def _place(self, item: Item) -> Place:
        return self._state.places.get(item.conversation, Place())

    def _queued(self, item_id: UUID, item: Item) -> Queued:
        ticket = case_of(item.event).ticket
        closed = self._state.closed.get(item.key)
        holder = self._state.held.get(item.key)
        state = ItemState.CLOSED if closed else ItemState.HELD if holder else ItemState.OPEN
        return Queued(
            item_id=item_id,
            kind=item.kind,
            state=state,
            conversation=item.conversation,
            ticket_id=item.ticket_id,
            revision=item.revision,
            customer_id=item.customer_id,
            channel=ticket.channel if ticket else None,
            intent=intent_of(item.event),
            subject=ticket.subject if ticket else "",
            reason=item.reason,
            opened_at=self._state.opened[item.key],
            due_at=item.due_at,
            held_by=holder,
            person=self._place(item).person,
            closed_by=closed[0] if closed else None,
            closed_as=closed[1] if closed else None,
            closed_at=closed[2] if closed else None,
        )

    def _answered(self, claimed: Claimed | None) -> Answered | None:
        if claimed is None:
            return None
        actor = claimed.request.actor
        text = self._conversations.said_under(claimed) if claimed.state == "sent" else None
        return Answered(self._state_of(claimed), actor, claimed.delivery, text)


def _ends_a_draft(act: TicketSettled) -> bool:
    found_sent = act.outcome is Outcome.APPROVED and act.reason is not None
    return act.outcome in (Outcome.APPROVED, Outcome.EDITED, Outcome.REJECTED) and not found_sent


def _place(queued: Queued) -> tuple[bool, datetime, datetime, UUID]:
    """Where it stands in the list."""
    return queued.due_at is None, queued.due_at or queued.opened_at, queued.opened_at, queued.item_id


def _matches(queued: Queued, wanted: QueueFilter) -> bool:
    theirs = queued.held_by == wanted.person or (
        queued.state is not ItemState.CLOSED and queued.person == wanted.person
    )
    return (
        (not wanted.kinds or queued.kind in wanted.kinds)
        and (not wanted.states or queued.state in wanted.states)
        and (wanted.person is None or theirs)
        and wanted.channel in (None, queued.channel)
        and wanted.intent in (None, queued.intent)
        and wanted.ticket_id in (None, queued.ticket_id)
    )
