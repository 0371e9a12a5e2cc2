"""The integrators' other example runs as it is documented: it claims a reply, delivers it, and says so."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import httpx

from infra.clock import SystemClock
from infra.kafka.producer import Producer
from infra.kafka.reader import Reader
from infra.postgres.conversations import PostgresConversations
from infra.postgres.outside import PostgresOutsideClaims
from infra.postgres.pool import open_pool
from infra.postgres.switch import PostgresSwitchTable
from infra.settings import as_role
from processors.ingress.api import ApiKey
from processors.ingress.email import Mailbox
from processors.outside import leave
from processors.policy import Email
from schemas.codec import decode
from schemas.control import Scope, Stop, SwitchSet, SwitchState
from schemas.gate import ReplyApproved
from schemas.ingress import Channel, Identity
from schemas.outcome import Outcome, TicketSettled
from schemas.topics import Topic
from streams.ingress.serve import EdgeOptions, serve_edge
from tests.unit.test_outcome import APPROVED

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "deliver_replies.py"


@dataclass(frozen=True)
class Parts:
    """What the edge needs of the database."""

    outside: PostgresOutsideClaims


@asynccontextmanager
async def edge(bootstrap: str, database: str) -> AsyncIterator[str]:
    """An edge with claims; its address."""

    @asynccontextmanager
    async def open_parts() -> AsyncIterator[Parts]:
        pool = await open_pool(as_role(database, "sluice_outcome"), size=2, wait=False)
        yield Parts(PostgresOutsideClaims(pool))
        await pool.close()

    keys = [("s", ApiKey("shop", "service")), ("c", ApiKey("shop", "customer")), ("o", ApiKey("other", "service"))]
    options = EdgeOptions(bootstrap, keys, Mailbox("support@shop.example"), port=0, claims=True)
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(
        serve_edge(options, SystemClock(), listening=address.set_result, open_parts=open_parts)  # type: ignore[arg-type]
    )
    yield await address
    signal.raise_signal(signal.SIGTERM)
    assert await asyncio.wait_for(serving, 20) == 0


async def left(bootstrap: str, database: str) -> ReplyApproved:
    """A reply that waits for the helpdesk, as the outcome stage leaves it: in the database and on the topic."""
    now = datetime.now(UTC)
    pools = [await open_pool(as_role(database, f"sluice_{role}"), size=1) for role in ("router", "outcome", "people")]
    router, outcome, people = pools
    arming = SwitchSet(scope=Scope(), state=SwitchState.AUTO, why="test", actor="test", set_at=now, lifts=Stop())
    await PostgresSwitchTable(people).set(arming, offset=None)
    ticket = APPROVED.ticket.model_copy(update={"ticket_id": uuid4(), "identity": Identity()})
    admission = await PostgresConversations(router).admit(ticket)
    changes = {"ticket": ticket, "admission": admission, "idempotency_key": f"{ticket.ticket_id}:1"}
    approved = APPROVED.model_copy(update={**changes, "expires_at": now + timedelta(minutes=5)})
    settlement = await leave(approved, conversations=PostgresConversations(outcome), clock=SystemClock(), email=Email())
    async with Producer(bootstrap) as producer:
        await producer.publish(Topic.OUTCOME, ticket.conversation, settlement.settled, ())
    for pool in pools:
        await pool.close()
    return approved


def outcomes(bootstrap: str) -> list[TicketSettled]:
    with Reader(bootstrap, [Topic.OUTCOME.value]) as reader:
        return [decode(TicketSettled, record.value) for record in reader.until_end()]


async def test_the_example_claims_delivers_and_settles(kafka_topics: str, database: str) -> None:
    approved = await left(kafka_topics, database)
    ticket = approved.ticket.ticket_id
    async with edge(kafka_topics, database) as address:
        command = [sys.executable, str(EXAMPLE), kafka_topics, address, "s", "--once"]
        ran = await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, stdout=asyncio.subprocess.PIPE
        )
        said, _ = await asyncio.wait_for(ran.communicate(), 60)
        async with httpx.AsyncClient(base_url=address, headers={"Authorization": "Bearer s"}) as client:
            again = await client.post(f"/v1/claims/{ticket}", json={})
            other = {"sent": True, "delivery": "other", "text": "Other words."}
            settled = await client.post(f"/v1/claims/{ticket}/settle", json=other)
    assert ran.returncode == 0
    assert approved.draft.text in said.decode()
    assert (again.status_code, again.json()["detail"]) == (409, "sent")
    assert (settled.status_code, settled.json()["text"]) == (200, approved.draft.text)
    first, sent = outcomes(kafka_topics)[-2:]
    assert sent == first
    assert (sent.outcome, sent.actor, sent.delivery) == (Outcome.SENT, "shop", f"sent-{approved.idempotency_key}")


async def test_the_example_delivers_what_a_person_answered_and_not_what_they_found_sent(
    kafka_topics: str, database: str
) -> None:
    answer = TicketSettled(
        ticket_id=APPROVED.ticket.ticket_id,
        conversation=APPROVED.ticket.conversation,
        revision=1,
        channel=Channel.EMAIL,
        outcome=Outcome.EDITED,
        actor="mia",
        text="My own words.",
        settled_at=datetime.now(UTC),
    )
    found = {"outcome": Outcome.APPROVED, "reason": "it had been sent", "text": "Found."}
    elsewhere = {"channel": Channel.CHAT, "text": "By chat."}
    async with Producer(kafka_topics) as producer:
        for changes in (found, elsewhere, {}):
            await producer.publish(Topic.OUTCOME, answer.conversation, answer.model_copy(update=changes), ())
    command = [sys.executable, str(EXAMPLE), kafka_topics, "http://127.0.0.1:1", "s", "--once", "--people", "email"]
    ran = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await asyncio.wait_for(ran.communicate(), 60)
    assert said.decode().splitlines() == [f"{answer.ticket_id}:1 to the customer: My own words."]


REFUSED = [
    ("c", "", "{}", 403),
    ("o", "", "{}", 404),
    ("s", "", '{"lease": 0}', 422),
    ("s", "", "{", 400),
    ("s", "/settle", '{"sent": true}', 404),
    ("o", "/settle", '{"sent": true}', 404),
    ("s", "/settle", "{}", 422),
]


async def test_what_may_not_be_claimed_is_refused_and_stays_free(kafka_topics: str, database: str) -> None:
    ticket = (await left(kafka_topics, database)).ticket.ticket_id
    headers = {"Content-Type": "application/json"}
    async with edge(kafka_topics, database) as address, httpx.AsyncClient(base_url=address, headers=headers) as client:
        for key, path, body, status in REFUSED:
            by = {"Authorization": f"Bearer {key}"}
            answer = await client.post(f"/v1/claims/{ticket}{path}", content=body, headers=by)
            assert answer.status_code == status, (key, path, body, answer.text)
        free = await client.post(f"/v1/claims/{ticket}", content="{}", headers={"Authorization": "Bearer s"})
    assert free.status_code == 200
