"""Audits draw each answer once, keep each verdict for good, and tell the guard which of them count."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from uuid import UUID

import psycopg
import pytest

from infra.clock import SystemClock
from infra.postgres.conversations import PostgresConversations
from infra.postgres.guard import PostgresGuardMemory
from infra.postgres.labels import PostgresLabels
from infra.postgres.pool import open_pool
from infra.postgres.switch import PostgresSwitchTable
from infra.scripted.conversations import ScriptedConversations
from infra.scripted.labels import ScriptedGuardMemory, ScriptedLabels
from infra.scripted.switch import ScriptedSwitchTable
from infra.settings import as_role
from processors.guard import Watch
from processors.ports import (
    AuditCounts,
    AuditorKind,
    CitedText,
    ClaimRequest,
    ClaimStatus,
    Conversations,
    GuardMemory,
    Labels,
    SwitchTable,
    Verdict,
)
from schemas.control import Scope, Stop, SwitchSet, SwitchState
from schemas.gate import Decision, Disposition, SourceUsed
from schemas.ingress import Channel, TicketReceived, ticket_id

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
EVER = datetime(2000, 1, 1, tzinfo=UTC)
PERSON, MACHINE = AuditorKind.PERSON, AuditorKind.MACHINE
GOOD, BAD, UNSURE = Verdict.GOOD, Verdict.BAD, Verdict.UNSURE
CITED = CitedText("returns#window", "Returns: Window", "Within 45 days.", 2)
DECISION = Decision(
    disposition=Disposition.AUTO,
    rule="all-clear",
    sources=(
        SourceUsed(article_id="returns", section_id="window", version=2),
        SourceUsed(article_id="returns", section_id="gone", version=2),
    ),
    floor=0.92,
    retrieval_threshold=0.3,
    verifier="v",
    policy_hash="p",
    config_hash="c",
    switch_state="auto",
    switch_epoch=3,
    decided_at=NOON,
)
SECTION = """
insert into kb_article (article_id, version, title, content_hash) values ('returns', 2, 'Returns', 'h');
insert into kb_section values
    ('returns', 2, 'window', 1, 'Window', 'Within 45 days.', 'public', 'h', array_fill(0.1, array[384])::vector, '');
"""


@dataclass(frozen=True)
class Room:
    """What has been sent, its audits, and the guard's memory of them."""

    router: Conversations
    outcome: Conversations
    switch: SwitchTable
    labels: Labels
    memory: GuardMemory

    async def send(self, *numbers: int, conversation: str | None = None) -> None:
        """Let the bot answer tickets by itself, each in a conversation of its own if none is named."""
        for number in numbers:
            asked = ticket(number, conversation or f"k{number}")
            admission = await self.router.admit(asked)
            key, name = f"{asked.ticket_id}:{admission.revision}", asked.conversation
            wish = ClaimRequest(
                asked.ticket_id, name, admission.revision, "bot", Channel.API, "return_policy", None, key, 30.0
            )
            assert (await self.outcome.claim(wish)).status is ClaimStatus.GRANTED
            await self.outcome.mark_sent(key, delivery="d", text=f"Answer {number}")
            await self.outcome.record_decision(asked.ticket_id, admission.revision, DECISION)

    async def judge(self, number: int, verdict: Verdict, auditor: str = "mia", kind: AuditorKind = PERSON) -> int:
        """Keep a verdict that can be kept."""
        kept = await self.labels.label(ident(number), 1, verdict, auditor=auditor, kind=kind)
        assert kept is not None
        return kept

    async def counted(self, *, machines: bool = False, after: int = 0) -> list[bool]:
        """What the guard is told, bad or not."""
        return [found.bad for found in (await self.memory.labels(after, machines=machines)).found]


@pytest.fixture(params=["scripted", "postgres"])
async def room(request: pytest.FixtureRequest) -> AsyncIterator[Room]:
    armed = SwitchSet(scope=Scope(), state=SwitchState.AUTO, why="w", actor="ops", set_at=NOON, lifts=Stop())
    if request.param == "scripted":
        switch = ScriptedSwitchTable()
        await switch.set(armed, offset=None)
        here = ScriptedConversations(SystemClock(), switch)
        labels = ScriptedLabels(here, [CITED])
        yield Room(here, here, switch, labels, ScriptedGuardMemory(labels))
        return
    database: str = request.getfixturevalue("database")
    with psycopg.connect(as_role(database, "sluice_owner")) as owner:
        owner.execute(SECTION)
    async with AsyncExitStack() as stack:
        roles = ("sluice_router", "sluice_outcome", "sluice_auditor", "sluice_guard")
        pools = [await stack.enter_async_context(await open_pool(as_role(database, role), size=2)) for role in roles]
        table = PostgresSwitchTable(pools[3])
        await table.set(armed, offset=None)
        router, outcome = map(PostgresConversations, pools[:2])
        yield Room(router, outcome, table, PostgresLabels(pools[2]), PostgresGuardMemory(pools[3]))


def ident(number: int) -> UUID:
    return ticket_id("api", "shop", str(number))


def ticket(number: int, conversation: str) -> TicketReceived:
    return TicketReceived(
        ticket_id=ident(number),
        conversation=conversation,
        channel=Channel.API,
        provider="api",
        account="shop",
        provider_message_id=str(number),
        subject=f"Subject {number}",
        body=f"Question {number}?",
        body_full="Hello?",
        received_at=NOON,
    )


class TestLabels:
    async def test_the_sample_is_the_seeds_alone(self, room: Room) -> None:
        await room.send(*range(9))
        assert await room.labels.draw(3, seed="s", since=EVER) == 3
        drawn = {found.ticket_id for found in await room.labels.waiting(PERSON, "mia")}
        hashed = sorted((sha256(f"s:{ident(n)}:1".encode()).digest(), ident(n)) for n in range(9))
        assert drawn == {found for _, found in hashed[:3]}

    async def test_an_answer_is_drawn_once(self, room: Room) -> None:
        await room.send(*range(5))
        drawn = [await room.labels.draw(3, seed=seed, since=EVER) for seed in "aba"]
        assert drawn == [3, 2, 0]
        assert await room.labels.counts(EVER) == AuditCounts(answers=5, drawn=5)

    async def test_what_went_out_before_is_not_drawn(self, room: Room) -> None:
        await room.send(1)
        later = datetime.now(UTC) + timedelta(hours=1)
        assert await room.labels.draw(3, seed="s", since=later) == 0
        assert await room.labels.counts(later) == AuditCounts(0, 0)

    async def test_an_answer_is_shown_with_what_was_asked_and_what_it_cites(self, room: Room) -> None:
        await room.send(1, 2, conversation="k")
        found = await room.labels.audited(ident(2), 2)
        assert found is not None
        assert (found.subject, found.body, found.answer) == ("Subject 2", "Question 2?", "Answer 2")
        assert [message.text for message in found.transcript] == ["Question 1?", "Answer 1"]
        assert (found.cited, found.lost) == ((CITED,), ("returns#gone",))
        assert (found.drawn.intent, found.drawn.drawn_at, found.decision) == ("return_policy", None, DECISION)

    async def test_what_did_not_go_out_by_itself_is_not_audited(self, room: Room) -> None:
        await room.router.admit(ticket(1, "k"))
        assert await room.labels.audited(ident(1), 1) is None
        assert await room.labels.label(ident(1), 1, GOOD, auditor="mia", kind=PERSON) is None

    async def test_a_verdict_is_kept_for_good(self, room: Room) -> None:
        await room.send(1)
        await room.labels.draw(1, seed="s", since=EVER)
        first = await room.labels.label(ident(1), 1, BAD, auditor="mia", kind=PERSON, reason="30 days, not 45")
        assert await room.labels.label(ident(1), 1, GOOD, auditor="mia", kind=PERSON) is None
        (kept,) = await room.labels.labels()
        assert (kept.label_id, kept.verdict, kept.reason, kept.drawn) == (first, BAD, "30 days, not 45", True)
        assert (kept.intent, kept.auditor, kept.kind) == ("return_policy", "mia", PERSON)

    async def test_a_machines_verdict_leaves_the_answer_to_people(self, room: Room) -> None:
        await room.send(1)
        await room.labels.draw(1, seed="s", since=EVER)
        await room.judge(1, GOOD, "m1", MACHINE)
        waits = {name: len(await room.labels.waiting(kind, name)) for kind, name in WHO}
        assert waits == {"mia": 1, "m1": 0, "m2": 1}
        await room.judge(1, GOOD, "ben")
        assert await room.labels.waiting(PERSON, "mia") == ()

    async def test_labels_are_read_on_from_a_number(self, room: Room) -> None:
        await room.send(1, 2, 3)
        numbers = [await room.judge(number, GOOD) for number in (1, 2, 3)]
        assert [label.label_id for label in await room.labels.labels(numbers[0], limit=1)] == [numbers[1]]

    async def test_the_first_clear_verdict_of_a_person_on_a_drawn_answer_counts(self, room: Room) -> None:
        await room.send(1, 2, 3)
        await room.labels.draw(3, seed="s", since=EVER)
        await room.send(4)  # picked by somebody, not drawn
        for number, verdict, who in ((1, UNSURE, "mia"), (1, BAD, "ben"), (1, GOOD, "eve"), (4, BAD, "mia")):
            await room.judge(number, verdict, who)
        await room.judge(2, BAD, "m1", MACHINE)
        await room.judge(2, GOOD)
        assert await room.counted() == [True, False]
        assert await room.counted(machines=True) == [True, True]

    async def test_what_was_read_before_still_decides_which_verdict_is_first(self, room: Room) -> None:
        await room.send(1)
        await room.labels.draw(1, seed="s", since=EVER)
        first = await room.judge(1, GOOD)
        last = await room.judge(1, BAD, "ben")
        told = await room.memory.labels(first, machines=False)
        assert (told.found, told.last) == ((), last)
        assert (await room.memory.labels(last, machines=False)).last == last


WHO = [(PERSON, "mia"), (MACHINE, "m1"), (MACHINE, "m2")]


class TestGuardMemory:
    async def test_it_knows_nothing_at_first(self, room: Room) -> None:
        found = await room.memory.load()
        assert (found.version, found.watch) == (0, Watch())

    async def test_it_keeps_what_was_saved(self, room: Room) -> None:
        watch = Watch(labels=7, offsets={3: 9})
        assert await room.memory.save(0, watch) == 1
        found = await room.memory.load()
        assert (found.version, found.watch) == (1, watch)

    async def test_of_two_guards_that_save_the_slower_one_is_refused(self, room: Room) -> None:
        assert await room.memory.save(0, Watch(labels=1)) == 1
        assert await room.memory.save(0, Watch(labels=2)) is None
        assert await room.memory.save(1, Watch(labels=3)) == 2
        assert await room.memory.save(1, Watch(labels=4)) is None
        assert (await room.memory.load()).watch == Watch(labels=3)
