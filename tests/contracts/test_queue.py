"""The queue lists what waits, lets one person hold an item, and keeps every act to be published."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from opentelemetry.context import attach, detach
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from infra.clock import SystemClock
from infra.postgres.conversations import PostgresConversations
from infra.postgres.pool import open_pool
from infra.postgres.queue import PostgresQueue
from infra.scripted.conversations import ScriptedConversations
from infra.scripted.queue import ScriptedQueue
from infra.scripted.switch import ScriptedSwitchTable
from infra.settings import as_role
from processors.ports import (
    ClaimRequest,
    ClaimStatus,
    Conversations,
    Hold,
    Item,
    ItemKind,
    ItemState,
    Queue,
    QueueAnswer,
    QueueFilter,
)
from schemas.ingress import Channel, TicketReceived, ticket_id
from schemas.outcome import Outcome, TicketSettled

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
DONE = QueueAnswer(Hold.DONE)


@dataclass(frozen=True)
class Desk:
    """The same queue and conversations as each login role sees them."""

    router: Conversations
    outcome: Conversations
    people: Conversations
    queue: Queue

    async def open(
        self, number: int = 1, conversation: str = "k", kind: ItemKind = ItemKind.SUGGEST, hours: float | None = None
    ) -> UUID:
        """Admit a ticket, and put it on the queue, due so many hours from now."""
        admission = await self.router.admit(ticket(number, conversation))
        event = f'{{"ticket": {ticket(number, conversation).model_dump_json()}, "route": {{"intent": "gift_card"}}}}'
        due = None if hours is None else datetime.now(UTC) + timedelta(hours=hours)
        item = Item(
            f"item {number}",
            kind,
            conversation,
            ticket(number).ticket_id,
            admission.revision,
            None,
            "why",
            event.replace('"route"', '"source": "t/0/1", "route"'),
            due,
        )
        return await self.outcome.open_item(item)

    async def state(self, item: UUID) -> tuple[ItemState, str | None, str | None]:
        """Where an item is, who holds it, and whose its conversation is."""
        found = await self.queue.get(item)
        assert found is not None
        return found.queued.state, found.queued.held_by, found.queued.person

    async def claim(self, actor: str = "bot", number: int = 1, revision: int = 1, lease: float = 30.0) -> ClaimStatus:
        """Claim the reply to a ticket."""
        name = ticket(number).ticket_id
        request = ClaimRequest(name, "k", revision, actor, Channel.API, "gift_card", None, f"{name}:{revision}", lease)
        return (await (self.outcome if actor == "bot" else self.people).claim(request)).status


@pytest.fixture(params=["scripted", "postgres"])
async def desk(request: pytest.FixtureRequest) -> AsyncIterator[Desk]:
    if request.param == "scripted":
        here = ScriptedConversations(SystemClock(), ScriptedSwitchTable())
        yield Desk(here, here, here, ScriptedQueue(here))
        return
    database: str = request.getfixturevalue("database")
    async with AsyncExitStack() as stack:
        roles = ("sluice_router", "sluice_outcome", "sluice_people")
        pools = [await stack.enter_async_context(await open_pool(as_role(database, role), size=2)) for role in roles]
        router, outcome, people = map(PostgresConversations, pools)
        yield Desk(router, outcome, people, PostgresQueue(pools[2]))


def ticket(number: int = 1, conversation: str = "k") -> TicketReceived:
    return TicketReceived(
        ticket_id=ticket_id("api", "shop", str(number)),
        conversation=conversation,
        channel=Channel.API,
        provider="api",
        account="shop",
        provider_message_id=str(number),
        subject=f"Subject {number}",
        body="Hello?",
        body_full="Hello?",
        received_at=NOON,
    )


def act(outcome: Outcome, person: str = "mia", number: int = 1) -> TicketSettled:
    return TicketSettled(
        ticket_id=ticket(number).ticket_id,
        conversation="k",
        revision=1,
        outcome=outcome,
        actor=person,
        settled_at=NOON,
    )


TAKE, RELEASE, APPROVE, REOPEN = (
    act(outcome) for outcome in (Outcome.TAKEN_OVER, Outcome.RELEASED, Outcome.APPROVED, Outcome.REOPENED)
)


FILTERS = [
    (QueueFilter(kinds=(ItemKind.PARKED, ItemKind.DEAD)), {2}),
    (QueueFilter(states=(ItemState.HELD,)), {1}),
    (QueueFilter(states=(ItemState.CLOSED,)), {3}),
    (QueueFilter(states=()), {1, 2, 3}),
    (QueueFilter(person="mia"), {1}),
    (QueueFilter(person="ben"), set()),
    (QueueFilter(channel=Channel.EMAIL), set()),
    (QueueFilter(channel=Channel.API, intent="gift_card"), {1, 2}),
    (QueueFilter(intent="other"), set()),
    (QueueFilter(limit=1), {1}),
    (QueueFilter(ticket_id=ticket(2).ticket_id), {2}),
    (QueueFilter(after=UUID(int=0)), set()),
]


class TestLooking:
    async def test_an_item_is_listed_with_what_its_event_says(self, desk: Desk) -> None:
        item = await desk.open()
        (queued,) = await desk.queue.list(QueueFilter())
        assert (queued.item_id, queued.kind, queued.state) == (item, ItemKind.SUGGEST, ItemState.OPEN)
        assert (queued.channel, queued.intent, queued.subject) == (Channel.API, "gift_card", "Subject 1")
        assert (queued.conversation, queued.revision, queued.reason) == ("k", 1, "why")

    async def test_what_is_overdue_comes_first_and_what_has_no_clock_last(self, desk: Desk) -> None:
        hours = {1: None, 2: 5.0, 3: -2.0, 4: 1.0}
        items = {number: await desk.open(number, f"k{number}", hours=due) for number, due in hours.items()}
        listed = [queued.item_id for queued in await desk.queue.list(QueueFilter())]
        assert listed == [items[number] for number in (3, 4, 2, 1)]

    async def test_the_list_goes_on_after_an_item(self, desk: Desk) -> None:
        hours = {1: None, 2: 5.0, 3: -2.0, 4: 1.0, 5: None}
        items = {number: await desk.open(number, f"k{number}", hours=due) for number, due in hours.items()}
        listed: list[UUID] = []
        while page := await desk.queue.list(QueueFilter(limit=2, after=listed[-1] if listed else None)):
            listed += [queued.item_id for queued in page]
        assert listed == [items[number] for number in (3, 4, 2, 1, 5)]

    async def test_the_list_is_filtered(self, desk: Desk) -> None:
        kinds = {1: ItemKind.SUGGEST, 2: ItemKind.PARKED, 3: ItemKind.HANDOFF}
        items = {number: await desk.open(number, f"k{number}", kind) for number, kind in kinds.items()}
        await desk.queue.take(items[1], TAKE)
        await desk.queue.take(items[3], act(Outcome.TAKEN_OVER, "ben"))
        await desk.queue.close(items[3], act(Outcome.REJECTED, "ben"), give_back=True)
        numbers = {item: number for number, item in items.items()}
        found = [{numbers[queued.item_id] for queued in await desk.queue.list(wanted)} for wanted, _ in FILTERS]
        assert found == [numbers for _, numbers in FILTERS]

    async def test_an_item_tells_its_event_its_revision_and_its_claim(self, desk: Desk) -> None:
        item = await desk.open()
        await desk.router.admit(ticket(2))
        found = await desk.queue.get(item)
        assert found is not None
        assert '"Subject 1"' in found.event
        assert (found.queued.revision, found.current_revision, found.answered) == (1, 2, None)

    async def test_what_went_out_is_told_with_its_author(self, desk: Desk) -> None:
        item = await desk.open()
        await desk.queue.take(item, TAKE)
        assert await desk.claim("mia") is ClaimStatus.GRANTED
        await desk.people.mark_sent(f"{ticket().ticket_id}:1", delivery="d-1", text="It is on its way.")
        found = await desk.queue.get(item)
        assert found is not None
        assert found.answered is not None
        told = found.answered
        assert (told.state, told.actor, told.delivery, told.text) == ("sent", "mia", "d-1", "It is on its way.")

    async def test_an_item_nobody_opened_is_unknown(self, desk: Desk) -> None:
        assert await desk.queue.get(uuid4()) is None
        assert await desk.queue.take(uuid4(), TAKE) == QueueAnswer(Hold.UNKNOWN)
        assert await desk.queue.release(uuid4(), RELEASE) == QueueAnswer(Hold.UNKNOWN)
        assert await desk.queue.close(uuid4(), APPROVE, give_back=True) == QueueAnswer(Hold.UNKNOWN)

    async def test_an_item_is_found_by_the_beginning_of_its_id(self, desk: Desk) -> None:
        item = await desk.open()
        assert await desk.queue.named(str(item)[:8]) == (item,)
        assert await desk.queue.named(str(item)) == (item,)

    @pytest.mark.parametrize("name", ["", "%%", "%%%%", "____", "abc", "no such", "-", "--------"])
    async def test_what_is_no_beginning_of_an_id_names_nothing(self, desk: Desk, name: str) -> None:
        await desk.open()
        assert await desk.queue.named(name) == ()
        assert await desk.queue.named(name + str(await desk.open())[:3]) == ()

    async def test_the_figures_count_what_waits_and_who_has_it(self, desk: Desk) -> None:
        items = [await desk.open(number, f"k{number}", hours=number - 2.5) for number in (1, 2, 3)]
        await desk.queue.take(items[0], TAKE)
        stats = await desk.queue.stats()
        counted = {(count.kind, count.state): (count.items, count.overdue) for count in stats.counts}
        assert counted == {(ItemKind.SUGGEST, ItemState.HELD): (1, 1), (ItemKind.SUGGEST, ItemState.OPEN): (2, 1)}
        assert all(0 <= count.p50_seconds < 60 for count in stats.counts)
        assert [(had.person, had.items, had.conversations) for had in stats.holders] == [("mia", 1, 1)]


class TestTaking:
    async def test_a_taken_item_is_one_persons_and_so_is_its_conversation(self, desk: Desk) -> None:
        item = await desk.open()
        assert await desk.queue.take(item, TAKE) == DONE
        assert await desk.state(item) == (ItemState.HELD, "mia", "mia")
        assert await desk.queue.take(item, act(Outcome.TAKEN_OVER, "ben")) == QueueAnswer(Hold.HELD, "mia")
        assert await desk.claim() is ClaimStatus.TAKEN_OVER

    async def test_whoever_has_a_conversation_has_what_comes_later_in_it(self, desk: Desk) -> None:
        await desk.queue.take(await desk.open(), TAKE)
        later = await desk.open(2)
        assert await desk.queue.take(later, act(Outcome.TAKEN_OVER, "ben")) == QueueAnswer(Hold.HELD, "mia")
        assert await desk.queue.take(later, TAKE) == DONE

    async def test_an_item_passes_on_from_the_one_who_is_named(self, desk: Desk) -> None:
        item = await desk.open()
        await desk.queue.take(item, TAKE)
        ben = act(Outcome.TAKEN_OVER, "ben")
        assert await desk.queue.take(item, ben, from_person="eva") == QueueAnswer(Hold.HELD, "mia")
        assert await desk.queue.take(item, ben, from_person="mia") == DONE
        assert await desk.state(item) == (ItemState.HELD, "ben", "ben")

    async def test_nobody_takes_an_item_while_its_holder_sends(self, desk: Desk) -> None:
        item = await desk.open()
        await desk.queue.take(item, TAKE)
        assert await desk.claim("mia") is ClaimStatus.GRANTED
        ben = act(Outcome.TAKEN_OVER, "ben")
        assert await desk.queue.take(item, ben, from_person="mia") == QueueAnswer(Hold.SENDING, "mia")

    async def test_a_released_item_is_open_and_its_conversation_the_bots(self, desk: Desk) -> None:
        item = await desk.open()
        await desk.queue.take(item, TAKE)
        assert await desk.queue.release(item, RELEASE) == DONE
        assert await desk.state(item) == (ItemState.OPEN, None, None)
        assert await desk.queue.release(item, RELEASE) == DONE

    async def test_a_conversation_stays_theirs_while_another_item_of_it_is_held(self, desk: Desk) -> None:
        first, second = await desk.open(), await desk.open(2)
        await desk.queue.take(first, TAKE)
        await desk.queue.release(first, RELEASE)
        await desk.queue.take(second, TAKE)
        assert await desk.queue.release(first, RELEASE) == DONE
        assert await desk.state(first) == (ItemState.OPEN, None, "mia")
        assert await desk.queue.release(second, RELEASE) == DONE
        assert await desk.state(second) == (ItemState.OPEN, None, None)

    async def test_only_its_holder_releases_an_item(self, desk: Desk) -> None:
        item = await desk.open()
        assert await desk.queue.release(item, RELEASE) == QueueAnswer(Hold.NOT_HELD)
        await desk.queue.take(item, TAKE)
        assert await desk.queue.release(item, act(Outcome.RELEASED, "ben")) == QueueAnswer(Hold.HELD, "mia")

    async def test_what_was_never_admitted_can_be_taken_too(self, desk: Desk) -> None:
        dead = Item(
            "dead", ItemKind.DEAD, "nowhere", None, 0, None, "router gave up", '{"ticket": null, "source": "t"}'
        )
        item = await desk.outcome.open_item(dead)
        assert await desk.queue.take(item, TAKE) == DONE
        assert await desk.state(item) == (ItemState.HELD, "mia", "mia")

    async def test_an_event_nobody_can_read_is_listed_all_the_same(self, desk: Desk) -> None:
        item = await desk.outcome.open_item(Item("odd", ItemKind.DEAD, "c", None, 0, None, "why", "[1e999999, "))
        assert [queued.item_id for queued in await desk.queue.list(QueueFilter())] == [item]


class TestClosing:
    @pytest.mark.parametrize(("give_back", "person"), [(True, None), (False, "mia")])
    async def test_a_closed_item_leaves_its_conversation_where_it_is_told(
        self, desk: Desk, give_back: bool, person: str | None
    ) -> None:
        item = await desk.open()
        await desk.queue.take(item, TAKE)
        assert await desk.queue.close(item, APPROVE, give_back=give_back) == DONE
        assert await desk.state(item) == (ItemState.CLOSED, None, person)
        found = await desk.queue.get(item)
        assert found is not None
        assert (found.queued.closed_by, found.queued.closed_as) == ("mia", Outcome.APPROVED)

    async def test_a_closed_item_is_closed_for_everybody_but_its_own_act_again(self, desk: Desk) -> None:
        item = await desk.open()
        await desk.queue.take(item, TAKE)
        await desk.queue.close(item, APPROVE, give_back=True)
        assert await desk.queue.close(item, APPROVE, give_back=True) == DONE
        closed = QueueAnswer(Hold.CLOSED, "mia")
        assert await desk.queue.close(item, act(Outcome.REJECTED), give_back=True) == closed
        assert await desk.queue.close(item, act(Outcome.APPROVED, "ben"), give_back=True) == closed
        assert await desk.queue.take(item, TAKE) == closed

    async def test_the_conversation_of_a_closed_item_can_be_given_back(self, desk: Desk) -> None:
        item = await desk.open()
        await desk.queue.take(item, TAKE)
        await desk.queue.close(item, APPROVE, give_back=False)
        assert await desk.queue.release(item, act(Outcome.RELEASED, "ben")) == QueueAnswer(Hold.CLOSED, "mia")
        assert await desk.queue.release(item, RELEASE) == DONE
        assert await desk.state(item) == (ItemState.CLOSED, None, None)

    @pytest.mark.parametrize("kind", [ItemKind.SUGGEST, ItemKind.HANDOFF])
    async def test_a_dead_letter_whose_ticket_was_handed_over_after_all_is_closed(
        self, desk: Desk, kind: ItemKind
    ) -> None:
        dead = await desk.open(kind=ItemKind.DEAD)
        other = await desk.open(2, kind=ItemKind.DEAD)
        found = await desk.outcome.open_item(Item("later", kind, "k", ticket().ticket_id, 1, None, "why", "{}"))
        assert found not in (None, dead)
        assert [(await desk.state(item))[0] for item in (dead, other)] == [ItemState.CLOSED, ItemState.OPEN]

    async def test_a_dead_letter_that_was_overtaken_is_closed(self, desk: Desk) -> None:
        dead, newest = await desk.open(kind=ItemKind.DEAD), await desk.open(2, kind=ItemKind.DEAD)
        assert await desk.claim() is ClaimStatus.SUPERSEDED
        assert [(await desk.state(item))[0] for item in (dead, newest)] == [ItemState.CLOSED, ItemState.OPEN]

    async def test_a_dead_letter_that_a_person_has_taken_stays_theirs(self, desk: Desk) -> None:
        dead = await desk.open(kind=ItemKind.DEAD)
        await desk.queue.take(dead, TAKE)
        await desk.outcome.open_item(Item("later", ItemKind.HANDOFF, "k", ticket().ticket_id, 1, None, "why", "{}"))
        assert (await desk.state(dead))[:2] == (ItemState.HELD, "mia")

    async def test_only_its_holder_closes_an_item(self, desk: Desk) -> None:
        item = await desk.open()
        assert await desk.queue.close(item, APPROVE, give_back=True) == QueueAnswer(Hold.NOT_HELD)
        await desk.queue.take(item, act(Outcome.TAKEN_OVER, "ben"))
        assert await desk.queue.close(item, APPROVE, give_back=True) == QueueAnswer(Hold.HELD, "ben")

    async def test_whoever_sent_the_reply_closes_the_item_though_it_was_taken_from_them(self, desk: Desk) -> None:
        item = await desk.open()
        await desk.queue.take(item, TAKE)
        await desk.claim("mia")
        await desk.people.mark_sent(f"{ticket().ticket_id}:1", delivery="d-1", text="Sent.")
        await desk.queue.take(item, act(Outcome.TAKEN_OVER, "ben"), from_person="mia")
        assert await desk.queue.close(item, APPROVE, give_back=True) == DONE

    async def test_an_item_is_not_closed_while_its_reply_is_on_its_way(self, desk: Desk) -> None:
        item = await desk.open()
        await desk.queue.take(item, TAKE)
        await desk.claim("mia")
        sending = QueueAnswer(Hold.SENDING, "mia")
        assert await desk.queue.close(item, act(Outcome.REJECTED), give_back=True) == sending
        await desk.people.release_claim(f"{ticket().ticket_id}:1")
        assert await desk.queue.close(item, act(Outcome.REJECTED), give_back=True) == DONE

    @pytest.mark.parametrize("kind", ItemKind)
    async def test_what_was_answered_is_not_rejected(self, desk: Desk, kind: ItemKind) -> None:
        item = await desk.open(kind=kind)
        await desk.queue.take(item, TAKE)
        await desk.claim("mia")
        await desk.people.mark_sent(f"{ticket().ticket_id}:1", delivery="d-1", text="Sent.")
        about_another = kind in (ItemKind.CONFLICT, ItemKind.DEAD)
        expected = DONE if about_another else QueueAnswer(Hold.ANSWERED, "by mia: resolve it as sent")
        assert await desk.queue.close(item, act(Outcome.REJECTED), give_back=True) == expected
        if not about_another:
            assert await desk.queue.close(item, APPROVE, give_back=True) == DONE

    async def test_a_reply_that_was_certainly_not_sent_may_be_claimed_again(self, desk: Desk) -> None:
        item = await desk.open()
        await desk.queue.take(item, TAKE)
        await desk.claim("mia")
        assert await desk.queue.unpark(item, "mia", REOPEN) == QueueAnswer(Hold.NOT_PARKED, "claimed")
        await desk.people.park(f"{ticket().ticket_id}:1")
        assert await desk.queue.unpark(item, "ben", REOPEN) == QueueAnswer(Hold.HELD, "mia")
        assert await desk.claim("mia") is ClaimStatus.PARKED
        assert await desk.queue.unpark(item, "mia", REOPEN) == DONE
        assert await desk.queue.unpark(item, "mia", REOPEN) == DONE
        assert await desk.claim("mia") is ClaimStatus.GRANTED


class TestActs:
    async def test_an_act_waits_to_be_published_once_however_often_it_is_done(self, desk: Desk) -> None:
        item = await desk.open()
        for _ in range(2):
            await desk.queue.take(item, TAKE)
        await desk.queue.take(item, act(Outcome.TAKEN_OVER, "ben"))
        (waiting,) = await desk.queue.unpublished(item)
        assert waiting.settled == TAKE
        await desk.queue.published(waiting.act_id)
        assert await desk.queue.unpublished(item) == ()

    async def test_the_acts_on_an_item_are_told_in_their_order(self, desk: Desk) -> None:
        item, other = await desk.open(), await desk.open(2, "k2")
        await desk.queue.take(item, TAKE)
        await desk.queue.take(other, TAKE)
        await desk.queue.release(item, RELEASE)
        await desk.queue.take(item, TAKE)
        await desk.queue.close(item, APPROVE, give_back=True)
        told = [waiting.settled.outcome for waiting in await desk.queue.unpublished(item)]
        assert told == [Outcome.TAKEN_OVER, Outcome.RELEASED, Outcome.TAKEN_OVER, Outcome.APPROVED]

    async def test_how_people_ended_drafts_is_told_page_by_page_and_nothing_else_they_did(self, desk: Desk) -> None:
        begun = datetime.now(UTC) - timedelta(minutes=1)
        drafts = [await desk.open(number, f"k{number}") for number in (1, 2, 3)]
        handoff = await desk.open(4, "k4", kind=ItemKind.HANDOFF)
        ends = (Outcome.APPROVED, Outcome.EDITED, Outcome.REJECTED, Outcome.EDITED)
        for item, outcome in zip((*drafts, handoff), ends, strict=True):
            await desk.queue.take(item, act(Outcome.TAKEN_OVER))
            await desk.queue.close(item, act(outcome), give_back=True)
        found_sent = await desk.open(5, "k5")
        await desk.queue.take(found_sent, act(Outcome.TAKEN_OVER))
        sent = act(Outcome.APPROVED).model_copy(update={"reason": "it had been sent"})
        await desk.queue.close(found_sent, sent, give_back=True)
        now = datetime.now(UTC) + timedelta(minutes=1)
        first = await desk.queue.handled(begun, now, limit=2)
        rest = await desk.queue.handled(begun, now, after=first[-1].act_id)
        assert [each.act.outcome for each in (*first, *rest)] == list(ends[:3])
        assert "Subject 1" in first[0].event
        assert await desk.queue.handled(begun, begun) == ()

    async def test_an_act_joins_the_trace_its_item_was_opened_in(self, desk: Desk) -> None:
        parent = "00-" + "1" * 32 + "-" + "2" * 16 + "-01"
        token = attach(TraceContextTextMapPropagator().extract({"traceparent": parent}))
        item = await desk.open()
        detach(token)
        await desk.queue.take(item, TAKE)
        untraced = await desk.open(2, "k2")
        await desk.queue.take(untraced, TAKE)
        assert [act.traceparent for act in await desk.queue.unpublished(item)] == [parent]
        assert [act.traceparent for act in await desk.queue.unpublished(untraced)] == [None]
