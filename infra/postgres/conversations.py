"""Admission, claims and the people's queue in Postgres: every method is one call of one SQL function."""

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

from infra.postgres.pool import Pool, fetch, fetch_value, storable, storable_json
from infra.trace_context import traceparent
from processors.errors import Conflict, TryLater
from processors.ports import (
    AcknowledgeAnswer,
    AcknowledgeRequest,
    Claim,
    ClaimRequest,
    ClaimStatus,
    Item,
    MailRequest,
    Reopened,
    Told,
)
from schemas.gate import Decision
from schemas.ingress import Channel, Proof, TicketReceived
from schemas.router import Admission

ACKNOWLEDGE_EVERY = timedelta(days=1)
_NAMED_BY = {Proof.SESSION: Proof.API_KEY}  # both carry a customer id; Postgres looks it up in one way


class PostgresConversations:
    """The conversations as one login role may see them: router admits, outcome delivers, people take over.

    Every method raises DependencyDown when Postgres does not answer, and TryLater when it could not do this one call.
    """

    def __init__(self, pool: Pool, holder: UUID | None = None) -> None:
        self._pool = pool
        self._holder = holder or uuid4()  # this worker process, as the owner of its claims

    async def admit(self, ticket: TicketReceived) -> Admission:
        """Give the ticket its revision, or find the one it has.

        Raises:
            Conflict: the same id was admitted with another body.
        """
        parameters = {
            "ticket": ticket.ticket_id,
            "conversation": storable(ticket.conversation),
            "proof": _NAMED_BY.get(ticket.identity.proof, ticket.identity.proof).value,
            "proved": ticket.identity.value and storable(ticket.identity.value),
            "channel": ticket.channel.value,
            "subject": storable(ticket.subject),
            "text": storable(ticket.body),
            "hash": body_hash(ticket),
            "at": ticket.received_at,
        }
        (row,) = await fetch(self._pool, "admit", parameters)
        if row["status"] == "conflict":
            raise Conflict(f"ticket {ticket.ticket_id} was admitted before with another body")
        return Admission(
            revision=row["revision"],
            customer_id=row["customer_id"],
            owner=row["owner"],
            redelivered=row["status"] == "redelivered",
            transcript=row["transcript"] or (),
            earlier_tickets=row["earlier"] or (),
        )

    async def claim(self, request: ClaimRequest) -> Claim:
        """Ask for the right to send the one reply to a revision."""
        parameters = {
            "ticket": request.ticket_id,
            "conversation": storable(request.conversation),
            "revision": request.revision,
            "actor": request.actor,
            "channel": request.channel.value,
            "intent": request.intent,
            "customer": request.customer_id,
            "key": request.key,
            "lease": float(request.lease),
            "holder": self._holder,
        }
        (row,) = await fetch(self._pool, "claim", parameters)
        return Claim(ClaimStatus(row["status"]), row["detail"], row["delivery"])

    async def mark_sent(self, key: str, *, delivery: str, text: str) -> None:
        """Note that a claimed reply went out, and add it to the transcript. Marking it twice is harmless.

        Raises:
            LookupError: nobody claimed under this key.
        """
        parameters = {"key": key, "delivery": storable(delivery), "text": storable(text)}
        if not await fetch_value(self._pool, "mark_sent", parameters):
            raise LookupError(f"no claim {key}")

    async def release_claim(self, key: str) -> None:
        """End a claim under which nothing was sent; the revision may be claimed anew. Raises as `park` does."""
        await self._end(key, "released")

    async def park(self, key: str) -> None:
        """End a claim under which something may have been sent; the revision can never be claimed again.

        Raises:
            TryLater: another worker was granted the claim and is within its lease.
            LookupError: nobody holds a claim under this key.
        """
        await self._end(key, "parked")

    async def _end(self, key: str, state: str) -> None:
        parameters = {"key": key, "state": state, "holder": self._holder}
        match await fetch_value(self._pool, "end_claim", parameters):
            case "held":
                raise TryLater(f"claim {key} is another worker's")
            case "none":
                raise LookupError(f"no claim {key} to end as {state}")

    async def came_back(
        self, conversation: str, revision: int, *, within: timedelta, topic: str | None = None
    ) -> Reopened | None:
        """The bot's answer that this later revision comes back on, marked as such."""
        named = {"conversation": storable(conversation), "revision": revision, "by": returning(revision)}
        return _reopened(await fetch(self._pool, "came_back", {**named, "within": within, "topic": topic}))

    async def reopen(self, ticket_id: UUID, *, by: str) -> Reopened | None:
        """The bot's answer to a ticket, marked as reopened."""
        return _reopened(await fetch(self._pool, "reopen_ticket", {"ticket": ticket_id, "by": storable(by)}))

    async def take_over(self, conversation: str, person: str) -> None:
        """Make a conversation a person's, with its open items; the bot claims nothing in it any more."""
        await fetch(self._pool, "take_over", {"conversation": conversation, "person": person})

    async def give_back(self, conversation: str) -> None:
        """Make a conversation the bot's again."""
        await fetch(self._pool, "give_back", {"conversation": conversation})

    async def may_acknowledge(self, request: AcknowledgeRequest) -> AcknowledgeAnswer:
        """Take the right to say that a person will answer, once a day and conversation; or what is known of it."""
        parameters = {**_told(request), "intent": request.intent, "period": ACKNOWLEDGE_EVERY}
        (row,) = await fetch(self._pool, "ask_acknowledgement", parameters)
        return AcknowledgeAnswer(Told(row["status"]), row["text"], row["delivery"])

    async def acknowledged(self, request: AcknowledgeRequest, *, delivery: str, text: str) -> None:
        """Note once that the acknowledgement went out, and add it to the transcript."""
        parameters = {**_told(request), "delivery": storable(delivery), "text": storable(text)}
        await fetch(self._pool, "acknowledged", parameters)

    async def may_mail(self, request: MailRequest) -> bool:
        """Take the right to one more automatic mail to an address. The same key takes it once and keeps it."""
        address = sha256(request.address.encode("utf-8", "replace")).hexdigest()
        parameters = {"address": address, "key": request.key, "most": request.most, "period": request.within}
        granted: bool = await fetch_value(self._pool, "may_mail", parameters)
        return granted

    async def open_item(self, item: Item) -> UUID | None:
        """Put something on the people's queue, with the current trace, once; None where its revision has ended."""
        parameters = {
            "key": item.key,
            "kind": item.kind.value,
            "conversation": storable(item.conversation),
            "ticket": item.ticket_id,
            "revision": item.revision,
            "customer": item.customer_id,
            "reason": storable(item.reason),
            "event": storable_json(item.event),
            "due": item.due_at,
            "intent": intent_of(item.event),
            "traceparent": traceparent(),
        }
        opened: UUID | None = await fetch_value(self._pool, "open_item", parameters)
        return opened

    async def record_decision(self, ticket_id: UUID, revision: int, decision: Decision) -> None:
        """Keep the gate's decision; the first one of a revision stays."""
        parameters = {
            "ticket": ticket_id,
            "revision": revision,
            "disposition": decision.disposition.value,
            "rule": decision.rule,
            "record": storable_json(decision.model_dump_json()),
            "at": decision.decided_at,
        }
        await fetch(self._pool, "record_decision", parameters)


def returning(revision: int) -> str:
    """How a later revision of a conversation is named as what reopened an answer."""
    return f"revision {revision}"


def _reopened(rows: Sequence[Mapping[str, Any]]) -> Reopened | None:
    return Reopened(**{**rows[0], "channel": Channel(rows[0]["channel"])}) if rows else None


def _told(request: AcknowledgeRequest) -> dict[str, object]:
    conversation = storable(request.conversation)
    channel, customer = request.channel.value, request.customer_id
    return {"conversation": conversation, "key": request.key, "customer": customer, "channel": channel}


def body_hash(ticket: TicketReceived) -> str:
    """SHA-256 of what makes two deliveries the same message: who wrote what, where."""
    identity = ticket.identity
    parts = (ticket.conversation, identity.proof.value, identity.value or "", ticket.subject, ticket.body_full)
    return sha256("\x1f".join(parts).encode("utf-8", "replace")).hexdigest()


def intent_of(event: str) -> str | None:
    """The routed intent in an event's JSON; None where it never got so far, or cannot be read."""
    try:
        intent = json.loads(event)["route"]["intent"]
    except (ValueError, KeyError, TypeError):
        return None
    return str(intent)
