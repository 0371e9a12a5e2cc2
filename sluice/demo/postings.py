"""A labelled ticket as its sender posts it, at the door of its channel."""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import uuid4

import httpx

from evals.dataset import LabelledTicket, Suite, as_chat, as_request, as_webhook
from loadtest.traffic import Posting, Refused, renewed
from processors.ingress.whatsapp import PROVIDER as WHATSAPP
from schemas.ingress import ticket_id
from sluice.demo.stack import Stack
from sluice.reach import api_keys, edge_url

JSON = {"Content-Type": "application/json"}
NUMBERS = 10**15  # the phone number ids of the demo begin here


@dataclass(frozen=True)
class Senders:
    """All who write to the demo: customers, the shop's own backend, Meta."""

    suite: Suite
    edge: str  # its address
    key: str = field(repr=False)  # of scope service
    app_secret: str = field(repr=False)  # shared with Meta
    run: str  # in all ids and conversations, so that a second run sends new tickets

    async def postings(self, tickets: Sequence[LabelledTicket]) -> list[Posting]:
        """The tickets, each as its sender posts it; opens the sessions of the chats among them.

        Raises:
            Refused: the edge opened no session.
        """
        headers = {"Authorization": f"Bearer {self.key}"}
        async with httpx.AsyncClient(base_url=self.edge, headers=headers, timeout=30) as client:
            return [await self._posting(ticket, client) for ticket in tickets]

    async def _posting(self, ticket: LabelledTicket, client: httpx.AsyncClient) -> Posting:
        if ticket.channel == "chat":
            return await self._chat(ticket, client)
        if ticket.payload is not None:
            return self.webhook(ticket)
        return posting_of(ticket, self.suite, self.run)

    async def _chat(self, ticket: LabelledTicket, client: httpx.AsyncClient) -> Posting:
        """The shop's backend opens the session, the customer writes in it. The same conversation goes on in a later."""
        entry = as_chat(ticket)
        asked = entry.session.model_copy(update={"conversation": f"{self.run}-{entry.session.conversation}"})
        body = asked.model_dump_json(exclude_none=True)
        opened = await client.post("/v1/chat/sessions", content=body, headers=JSON)
        if opened.status_code != httpx.codes.CREATED:
            raise Refused(f"{ticket.id}: no chat session: {opened.status_code} {opened.text}")
        headers = {**JSON, "Authorization": f"Bearer {opened.json()['session']}"}
        content = entry.message.model_dump_json().encode()
        return Posting(ticket.id, "/v1/chat/messages", content, headers, _lane(ticket))

    def webhook(self, ticket: LabelledTicket) -> Posting:
        """Meta's webhook, signed. It says nothing of tickets, but a message's id makes its ticket's."""
        number = str(NUMBERS + int(self.run, 16))  # one of this run: a customer's messages to it are a new conversation
        entry = as_webhook(ticket, self.suite, at=datetime.now(UTC), run=self.run, account=number)
        digest = hmac.new(self.app_secret.encode(), entry.raw, hashlib.sha256).hexdigest()
        headers = {**JSON, "X-Hub-Signature-256": f"sha256={digest}"}
        made = ticket_id(WHATSAPP, entry.account, entry.message_id)
        return Posting(ticket.id, "/v1/whatsapp", entry.raw, headers, _lane(ticket), made)


def posting_of(ticket: LabelledTicket, suite: Suite, run: str) -> Posting:
    """A labelled ticket as a mail, or else as a call of the API, also where it came by another channel."""
    lane = _lane(ticket)
    if ticket.eml is not None:
        raw = renewed((suite.path / ticket.eml).read_bytes(), run)
        return Posting(ticket.id, "/v1/email", raw, {"Content-Type": "message/rfc822"}, lane)
    entry = as_request(ticket)
    claimed = entry.request if entry.scope == "service" else entry.request.model_copy(update={"customer_id": None})
    request = claimed.model_copy(update={"message_id": None, "conversation": f"{run}-{lane}"})
    headers = {**JSON, "Idempotency-Key": f"{run}-{ticket.id}"}
    return Posting(ticket.id, "/v1/tickets", request.model_dump_json(exclude_none=True).encode(), headers, lane)


def senders_of(stack: Stack, suite: Suite) -> Senders:
    """The senders of one run against a running demo."""
    app_secret = stack.settings.whatsapp_app_secret
    return Senders(
        suite=suite,
        edge=edge_url(stack.settings),
        key=api_keys(stack.settings)[0].key.get_secret_value(),
        app_secret=app_secret.get_secret_value() if app_secret else "",
        run=uuid4().hex[:8],
    )


def waves(tickets: Sequence[LabelledTicket]) -> list[list[LabelledTicket]]:
    """The tickets by how many come before them in their conversation: each wave continues what is settled."""
    depths: dict[str, int] = {}
    for ticket in tickets:
        depths[ticket.id] = depths.get(ticket.follows, -1) + 1 if ticket.follows is not None else 0
    deepest = max(depths.values(), default=-1)
    return [[ticket for ticket in tickets if depths[ticket.id] == depth] for depth in range(deepest + 1)]


def _lane(ticket: LabelledTicket) -> str:
    return ticket.conversation or ticket.id
