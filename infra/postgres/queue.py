"""The people's queue in Postgres: every act is one call of one SQL function."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from infra.postgres.pool import Pool, fetch, storable, storable_json
from processors.ports import (
    Act,
    Answered,
    Handled,
    Hold,
    Holder,
    ItemKind,
    ItemState,
    QueueAnswer,
    QueueCount,
    Queued,
    QueueFilter,
    QueueItem,
    QueueStats,
)
from processors.queue import ITEM_NAME
from schemas.ingress import Channel
from schemas.outcome import Outcome, TicketSettled


class PostgresQueue:
    """The queue, by the login role people. Every method raises DependencyDown when Postgres does not answer."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def list(self, wanted: QueueFilter) -> tuple[Queued, ...]:
        """The items that match, those due first at the top."""
        parameters = {
            "kinds": [kind.value for kind in wanted.kinds],
            "states": [state.value for state in wanted.states],
            "person": wanted.person,
            "channel": wanted.channel and wanted.channel.value,
            "intent": wanted.intent and storable(wanted.intent),
            "limit": wanted.limit,
            "ticket": wanted.ticket_id,
            "after": wanted.after,
        }
        return tuple(_queued(row) for row in await fetch(self._pool, "queue_list", parameters))

    async def get(self, item_id: UUID) -> QueueItem | None:
        """An item with its event, or None."""
        rows = await fetch(self._pool, "queue_item", {"item": item_id})
        return _item(rows[0]) if rows else None

    async def named(self, prefix: str) -> tuple[UUID, ...]:
        """The items whose id begins so, two at most."""
        if not ITEM_NAME.fullmatch(prefix):
            return ()
        rows = await fetch(self._pool, "queue_named", {"prefix": prefix})
        return tuple(row["item_id"] for row in rows)

    async def stats(self) -> QueueStats:
        """The queue in figures."""
        counts = await fetch(self._pool, "queue_counts")
        holders = await fetch(self._pool, "queue_holders")
        return QueueStats(
            tuple(
                QueueCount(**{**row, "kind": ItemKind(row["kind"]), "state": ItemState(row["state"])}) for row in counts
            ),
            tuple(Holder(**row) for row in holders),
        )

    async def take(self, item_id: UUID, act: TicketSettled, *, from_person: str | None = None) -> QueueAnswer:
        """Make the item's conversation, with all its items, the actor's."""
        return await self._act("queue_take", item_id, act.actor, act, {"from": from_person})

    async def release(self, item_id: UUID, act: TicketSettled) -> QueueAnswer:
        """Put the item back; without another held item, the conversation is the bot's again."""
        return await self._act("queue_release", item_id, act.actor, act)

    async def close(self, item_id: UUID, act: TicketSettled, *, give_back: bool) -> QueueAnswer:
        """End an item the actor holds, or whose reply they sent."""
        return await self._act("queue_close", item_id, act.actor, act, {"give_back": give_back})

    async def unpark(self, item_id: UUID, person: str, act: TicketSettled | None) -> QueueAnswer:
        """Let the item's holder send, as the parked reply never went out."""
        return await self._act("queue_unpark", item_id, person, act)

    async def _act(
        self, name: str, item_id: UUID, person: str, act: TicketSettled | None, more: Mapping[str, object] | None = None
    ) -> QueueAnswer:
        parameters = {
            "item": item_id,
            "person": person,
            "act": act and act.outcome.value,
            "event": act and storable_json(act.model_dump_json()),
            **(more or {}),
        }
        (row,) = await fetch(self._pool, name, parameters)
        return QueueAnswer(Hold(row["status"]), row["detail"])

    async def unpublished(self, item_id: UUID) -> tuple[Act, ...]:
        """The acts whose event is not known to be published, in order."""
        rows = await fetch(self._pool, "queue_unpublished", {"item": item_id})
        return tuple(
            Act(row["act_id"], TicketSettled.model_validate_json(row["event"]), row["traceparent"]) for row in rows
        )

    async def published(self, act_id: int) -> None:
        """Note that an act was published."""
        await fetch(self._pool, "queue_published", {"act": act_id})

    async def handled(
        self, since: datetime, until: datetime, *, after: int = 0, limit: int = 200
    ) -> tuple[Handled, ...]:
        """What people did with the drafts they were shown, in order."""
        parameters = {"since": since, "until": until, "after": after, "limit": limit}
        return tuple(_handled(row) for row in await fetch(self._pool, "queue_handled", parameters))


def _handled(row: Mapping[str, Any]) -> Handled:
    return Handled(row["act_id"], TicketSettled.model_validate_json(row["act"]), row["event"])


def _queued(row: Mapping[str, Any]) -> Queued:
    known = row["channel"] in set(Channel)
    return Queued(
        item_id=row["item_id"],
        kind=ItemKind(row["kind"]),
        state=ItemState(row["state"]),
        conversation=row["conversation"],
        ticket_id=row["ticket_id"],
        revision=row["revision"],
        customer_id=row["customer_id"],
        channel=Channel(row["channel"]) if known else None,
        intent=row["intent"],
        subject=row["subject"] or "",
        reason=row["reason"],
        opened_at=row["opened_at"],
        due_at=row["due_at"],
        held_by=row["held_by"],
        person=row["person"],
        closed_at=row["closed_at"],
        closed_by=row["closed_by"],
        closed_as=Outcome(row["closed_as"]) if row["closed_as"] else None,
    )


def _item(row: Mapping[str, Any]) -> QueueItem:
    answered = Answered(row["claim"], row["actor"], row["delivery"], row["text"]) if row["claim"] else None
    return QueueItem(_queued(row), row["event"], row["current_revision"], answered)
