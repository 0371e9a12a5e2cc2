"""Claims of a helpdesk outside, on conversations in memory."""

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

from infra.scripted.conversations import Claimed, ScriptedConversations
from processors.ports import ClaimRequest, ClaimStatus, Clock, Item, OutsideClaim, OutsideSettled
from schemas.gate import ReplyApproved
from schemas.outcome import Outcome


class ScriptedOutsideClaims:
    """The rules of the ones in Postgres."""

    def __init__(self, conversations: ScriptedConversations, clock: Clock) -> None:
        self._conversations, self._clock = conversations, clock

    async def claim(self, ticket_id: UUID, account: str, lease: float) -> OutsideClaim:
        """Ask for the right to deliver the reply to a ticket; `lease` is in seconds."""
        item = self._left(ticket_id, account)
        if item is None:
            return OutsideClaim("unknown", "no reply to this ticket waits for this account")
        claimed = self._claimed(item)
        obstacle = self._theirs(item) if claimed is None or claimed.state == "released" else None
        if obstacle is not None:
            return obstacle
        approved = ReplyApproved.model_validate_json(item.event)
        request = ClaimRequest(
            ticket_id=ticket_id,
            conversation=item.conversation,
            revision=item.revision,
            actor="bot",
            channel=approved.ticket.channel,
            intent=approved.route.intent,
            customer_id=item.customer_id,
            key=approved.idempotency_key,
            lease=lease,
        )
        answer = self._conversations.claim_outside(request)
        if answer.status is not ClaimStatus.GRANTED:
            return OutsideClaim(answer.status.value, answer.detail)
        return OutsideClaim(answer.status.value, "", approved, self._clock.now() + timedelta(seconds=lease))

    async def settle(self, ticket_id: UUID, account: str, *, delivery: str, text: str | None) -> OutsideSettled:
        """Note that it was delivered; what was kept the first time.

        Raises:
            LookupError: this account has no claim on this ticket.
        """
        item, approved = self._own(ticket_id, account)
        said = approved.draft.text if text is None else text
        await self._conversations.mark_sent(approved.idempotency_key, delivery=delivery, text=said)
        self._conversations.close_left(item)
        kept = self._claimed(item)
        assert kept is not None
        told = self._conversations.state.closed[item.key][1] is Outcome.APPROVED
        said = self._conversations.said_under(kept)
        at, trace = kept.settled_at or self._clock.now(), self._conversations.state.traces[item.key]
        return OutsideSettled(approved, kept.delivery or "", said, at, told, trace)

    async def release(self, ticket_id: UUID, account: str) -> None:
        """Give a claim back under which nothing was delivered.

        Raises:
            LookupError: this account has no claim on this ticket.
        """
        await self._conversations.release_claim(self._own(ticket_id, account)[1].idempotency_key)

    def _theirs(self, item: Item) -> OutsideClaim | None:
        """Why a reply that nobody has claimed is a person's by now."""
        state = self._conversations.state
        if item.key in state.closed:
            person, outcome, _ = state.closed[item.key]
            return OutsideClaim("rejected" if outcome is Outcome.REJECTED else "closed", f"by {person}")
        if item.key in state.held:
            return OutsideClaim("taken_over", state.held[item.key])
        if item.due_at is not None and item.due_at <= self._clock.now():
            return OutsideClaim("expired", "a person looks at it now")
        return None

    def _claimed(self, item: Item) -> Claimed | None:
        return self._conversations.state.claims.get((item.conversation, item.revision))

    def _own(self, ticket_id: UUID, account: str) -> tuple[Item, ReplyApproved]:
        """The item and its reply, where this account's helpdesk has claimed it."""
        item = self._left(ticket_id, account)
        claimed = self._claimed(item) if item else None
        if item is None or claimed is None or not claimed.outside:
            raise LookupError(f"no claim on ticket {ticket_id}")
        return item, ReplyApproved.model_validate_json(item.event)

    def _left(self, ticket_id: UUID, account: str) -> Item | None:
        return next(
            (
                item
                for item in self._conversations.items
                if item.key == f"{ticket_id}:{item.revision}:outside" and _account(item) == account
            ),
            None,
        )


def _account(item: Item) -> str | None:
    event: dict[str, Any] = json.loads(item.event)
    account: str | None = event["ticket"]["account"]
    return account
