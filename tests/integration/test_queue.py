"""The people's queue on real Postgres and Kafka: races for an item, a reply approved by command, takers over HTTP."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest

from infra.clock import SystemClock
from infra.kafka.reader import Reader
from infra.postgres.conversations import PostgresConversations
from infra.postgres.pool import open_pool
from infra.postgres.queue import PostgresQueue
from infra.postgres.switch import PostgresSwitchTable
from infra.settings import as_role, load_settings
from infra.wiring import open_adapters
from processors.ingress.api import ApiKey
from processors.ingress.email import Mailbox
from processors.ports import ClaimRequest, ClaimStatus, Hold, Item, ItemKind
from schemas.codec import decode
from schemas.control import Scope, Stop, SwitchSet, SwitchState
from schemas.gate import Disposition, TicketEscalated
from schemas.ingress import Channel, TicketReceived, ticket_id
from schemas.outcome import Outcome, TicketSettled
from schemas.router import Admission
from schemas.topics import Topic
from streams.ingress.serve import EdgeOptions, serve_edge
from tests.unit.test_outcome import TICKET, escalated

ROOT = Path(__file__).parents[2]
ROUNDS = 20
PEOPLE = ("mia", "ben", "eva", "jon")


@dataclass(frozen=True)
class Office:
    """The queue as people's processes see it, each over a pool of its own, and the stages that fill it."""

    router: PostgresConversations
    outcome: PostgresConversations
    switch: PostgresSwitchTable
    desks: tuple[PostgresQueue, PostgresQueue]

    async def open(self, number: int = 1, conversation: str = "k") -> UUID:
        """Put a suggestion on the queue."""
        ticket = ticket_of(number, conversation)
        admission = await self.router.admit(ticket)
        event = event_of(ticket, admission.revision)
        key = f"{ticket.ticket_id}:{admission.revision}"
        due = datetime.now(UTC) + timedelta(hours=1)
        item = Item(
            key,
            ItemKind.SUGGEST,
            conversation,
            ticket.ticket_id,
            admission.revision,
            None,
            "why",
            event.model_dump_json(),
            due,
        )
        return await self.outcome.open_item(item)

    async def bot_claims(self, number: int = 1, conversation: str = "k", revision: int = 1) -> ClaimStatus:
        """What the bot is told when it wants to answer."""
        name = ticket_of(number, conversation).ticket_id
        key = f"{name}:{revision}"
        request = ClaimRequest(name, conversation, revision, "bot", Channel.API, "returns", None, key, 30.0)
        return (await self.outcome.claim(request)).status


@pytest.fixture
async def office(database: str) -> AsyncIterator[Office]:
    async with AsyncExitStack() as stack:
        roles = ("router", "outcome", "people", "people")
        pools = [
            await stack.enter_async_context(await open_pool(as_role(database, f"sluice_{role}"), size=4))
            for role in roles
        ]
        switch = PostgresSwitchTable(pools[2])
        arming = SwitchSet(
            scope=Scope(), state=SwitchState.AUTO, why="drill", actor="ops", set_at=datetime.now(UTC), lifts=Stop()
        )
        await switch.set(arming, offset=None)
        router, outcome = PostgresConversations(pools[0]), PostgresConversations(pools[1])
        yield Office(router, outcome, switch, (PostgresQueue(pools[2]), PostgresQueue(pools[3])))


def ticket_of(number: int, conversation: str) -> TicketReceived:
    name = f"{conversation} {number}"
    changed = {"ticket_id": ticket_id("api", "shop", name), "conversation": conversation, "provider_message_id": name}
    return TICKET.model_copy(update=changed)


def event_of(ticket: TicketReceived, revision: int) -> TicketEscalated:
    admission = Admission(revision=revision, owner="bot")
    return escalated(Disposition.SUGGEST).model_copy(update={"ticket": ticket, "admission": admission})


def act(person: str, outcome: Outcome = Outcome.TAKEN_OVER) -> TicketSettled:
    return TicketSettled(
        ticket_id=TICKET.ticket_id,
        conversation="k",
        revision=1,
        outcome=outcome,
        actor=person,
        settled_at=datetime.now(UTC),
    )


# -- races


async def test_of_many_takers_one_has_the_item(office: Office) -> None:
    for number in range(ROUNDS):
        item = await office.open(1, f"k{number}")
        answers = await asyncio.gather(
            *(office.desks[place % 2].take(item, act(person)) for place, person in enumerate(PEOPLE))
        )
        assert sorted(answer.hold.value for answer in answers) == ["done", "held", "held", "held"]
        (holder,) = {answer.detail for answer in answers if answer.hold is Hold.HELD}
        assert answers[PEOPLE.index(holder)].hold is Hold.DONE
        assert len(await office.desks[0].unpublished(item)) == 1


async def test_of_takers_of_two_items_of_one_conversation_one_has_both(office: Office) -> None:
    for number in range(ROUNDS):
        items = [await office.open(which, f"k{number}") for which in (1, 2)]
        answers = await asyncio.gather(
            *(office.desks[place].take(item, act(PEOPLE[place])) for place, item in enumerate(items))
        )
        assert sorted(answer.hold.value for answer in answers) == ["done", "held"]
        listed = [await office.desks[0].get(item) for item in items]
        assert len({found.queued.held_by for found in listed if found}) == 1


async def test_of_a_taker_and_the_bot_only_one_answers(office: Office) -> None:
    for number in range(ROUNDS):
        conversation = f"k{number}"
        item = await office.open(1, conversation)
        taken, claimed = await asyncio.gather(
            office.desks[0].take(item, act("mia")), office.bot_claims(1, conversation)
        )
        assert taken.hold is Hold.DONE
        assert claimed in (ClaimStatus.GRANTED, ClaimStatus.TAKEN_OVER)
        again = await office.bot_claims(1, conversation)
        assert again is (ClaimStatus.LEASED if claimed is ClaimStatus.GRANTED else ClaimStatus.TAKEN_OVER)


async def test_an_item_is_released_and_taken_at_once_by_two_without_harm(office: Office) -> None:
    for number in range(ROUNDS):
        item = await office.open(1, f"k{number}")
        await office.desks[0].take(item, act("mia"))
        released, taken = await asyncio.gather(
            office.desks[0].release(item, act("mia", Outcome.RELEASED)), office.desks[1].take(item, act("ben"))
        )
        assert released.hold is Hold.DONE
        found = await office.desks[0].get(item)
        assert found is not None
        assert (found.queued.held_by, found.queued.person) == (
            ("ben", "ben") if taken.hold is Hold.DONE else (None, None)
        )


async def test_the_bot_is_silent_on_what_comes_later_until_the_conversation_is_given_back(office: Office) -> None:
    item = await office.open()
    await office.desks[0].take(item, act("mia"))
    later = await office.router.admit(ticket_of(2, "k"))
    assert later.owner == "person"
    assert await office.bot_claims(2, revision=2) is ClaimStatus.TAKEN_OVER
    await office.desks[0].release(item, act("mia", Outcome.RELEASED))
    assert await office.bot_claims(2, revision=2) is ClaimStatus.GRANTED


# -- by command


def command(environ: dict[str, str], *arguments: str, text: str = "", expect: int = 0) -> Any:
    """Run `sluice queue` and read what it printed."""
    run = subprocess.run(
        [sys.executable, "-m", "sluice.main", "queue", *arguments, "--json"],
        cwd=ROOT,
        env=environ,
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
    assert run.returncode == expect, f"{run.stdout}\n{run.stderr}"
    return json.loads(run.stdout)


def replies(database: str) -> list[tuple[str, str]]:
    with psycopg.connect(database) as connection:
        return connection.execute("select key, text from helpdesk_delivery where act = 'reply'").fetchall()


def outcomes(bootstrap: str) -> list[TicketSettled]:
    with Reader(bootstrap, [Topic.OUTCOME]) as reader:
        return [decode(TicketSettled, record.value) for record in reader.until_end()]


async def test_a_suggestion_is_taken_and_approved_by_command(
    office: Office, environ: dict[str, str], database: str, kafka_topics: str
) -> None:
    item = str(await office.open())
    (listed,) = command(environ, "list")
    assert (listed["item_id"], listed["state"]) == (item, "open")
    command(environ, "take", item[:8], "--as", "mia")
    assert command(environ, "take", item[:8], "--as", "ben", expect=4)["detail"] == "mia"
    command(environ, "approve", item[:8], "--as", "mia")
    command(environ, "approve", item[:8], "--as", "mia")
    name = ticket_of(1, "k").ticket_id
    assert replies(database) == [(f"{name}:1", "Thirty days.")]
    told = outcomes(kafka_topics)
    assert [(settled.outcome.value, settled.actor) for settled in told] == [("taken_over", "mia"), ("approved", "mia")]
    assert {str(settled.item_id) for settled in told} == {item}


async def test_an_answer_is_edited_by_command_from_standard_input(
    office: Office, environ: dict[str, str], database: str, kafka_topics: str
) -> None:
    item = str(await office.open())
    environ = {**environ, "SLUICE_AGENT": "mia"}
    command(environ, "take", item)
    command(environ, "edit", item, "--file", "-", text="Thirty days from delivery.\n")
    assert [text for _, text in replies(database)] == ["Thirty days from delivery."]
    assert (
        outcomes(kafka_topics)[-1].diff
        == "--- draft\n+++ sent\n@@ -1 +1 @@\n-Thirty days.\n+Thirty days from delivery."
    )


async def test_an_act_stands_while_kafka_is_away_and_is_told_when_it_is_back(
    office: Office, environ: dict[str, str], kafka_topics: str
) -> None:
    item = str(await office.open())
    away = {**environ, "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    assert command(away, "take", item, "--as", "mia", expect=3)["published"] is False
    assert command(environ, "take", item, "--as", "mia")["published"] is True
    assert [settled.outcome for settled in outcomes(kafka_topics)] == [Outcome.TAKEN_OVER]


# -- over HTTP


@asynccontextmanager
async def edge(bootstrap: str, database: str) -> AsyncIterator[httpx.AsyncClient]:
    settings = load_settings({"DATABASE_URL": database})
    options = EdgeOptions(
        bootstrap=bootstrap,
        keys=[("s", ApiKey("shop", "service"))],
        mailbox=Mailbox("support@shop.example"),
        port=0,
        staff=[(f"key-{person}", person) for person in PEOPLE],
    )
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(
        serve_edge(
            options,
            SystemClock(),
            listening=address.set_result,
            open_parts=lambda: open_adapters(settings, database, ["people"], wait=False),
        )
    )
    async with httpx.AsyncClient(base_url=await address, timeout=20) as client:
        yield client
    signal.raise_signal(signal.SIGTERM)
    assert await asyncio.wait_for(serving, 20) == 0


def key_of(person: str) -> dict[str, str]:
    return {"X-API-Key": f"key-{person}"}


async def test_of_agents_who_take_at_once_over_http_one_wins_and_answers(
    office: Office, database: str, kafka_topics: str
) -> None:
    item = await office.open()
    async with edge(kafka_topics, database) as client:
        path = f"/v1/queue/{item}"
        answers = await asyncio.gather(*(client.post(f"{path}/take", headers=key_of(person)) for person in PEOPLE))
        assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
        winner = next(answer.json()["actor"] for answer in answers if answer.status_code == 200)
        sent = await client.post(f"{path}/edit", headers=key_of(winner), json={"text": "Thirty days, Ada."})
        assert sent.status_code == 200, sent.text
    assert [text for _, text in replies(database)] == ["Thirty days, Ada."]
    told = [(settled.outcome.value, settled.actor) for settled in outcomes(kafka_topics)]
    assert told == [("taken_over", winner), ("edited", winner)]


async def test_the_list_is_read_by_ticket_and_by_page_over_http(
    office: Office, database: str, kafka_topics: str
) -> None:
    items = [str(await office.open(number, "k")) for number in (1, 2, 3)]
    async with edge(kafka_topics, database) as client:
        for asked, found in [
            ({"ticket": str(ticket_of(2, "k").ticket_id)}, items[1:2]),
            ({"limit": "2"}, items[:2]),
            ({"limit": "2", "after": items[1]}, items[2:]),
            ({"after": str(ticket_of(1, "k").ticket_id)}, []),
        ]:
            answer = await client.get("/v1/queue", params=asked, headers=key_of("mia"))
            assert [line["item_id"] for line in answer.json()] == found, (asked, answer.text)


async def test_of_an_answer_and_a_rejection_at_once_only_one_ends_the_item(
    office: Office, database: str, kafka_topics: str
) -> None:
    async with edge(kafka_topics, database) as client:
        for number in range(5):
            path = f"/v1/queue/{await office.open(1, f'k{number}')}"
            await client.post(f"{path}/take", headers=key_of("mia"))
            acts: dict[str, dict[str, str]] = {"approve": {}, "reject": {"reason": "fact"}}
            answers = await asyncio.gather(
                *(client.post(f"{path}/{name}", headers=key_of("mia"), json=body) for name, body in acts.items())
            )
            ended = dict(zip(acts, (answer.status_code == 200 for answer in answers), strict=True))
            assert sorted(ended.values()) == [False, True], [answer.text for answer in answers]
            told = (await client.get(path, headers=key_of("mia"))).json()
            kept = (told["answered_as"], told["closed_as"])
            assert kept == (("sent", "approved") if ended["approve"] else (None, "rejected"))


async def test_tickets_are_taken_while_the_queues_database_is_away(kafka_topics: str) -> None:
    async with edge(kafka_topics, "postgresql://nobody@127.0.0.1:1/sluice") as client:
        taken = await client.post("/v1/tickets", json={"body": "Where is it?"}, headers={"X-API-Key": "s"})
        assert taken.status_code == 202
        answer = await client.get("/v1/queue", headers=key_of("mia"))
        assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
