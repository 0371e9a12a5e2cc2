"""People's acts: what is sent under whose claim, what each act publishes, and what is refused."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from infra.helpdesk.scripted import Fault as HelpdeskFault
from infra.helpdesk.scripted import ScriptedHelpdesk
from infra.scripted.conversations import ScriptedConversations
from infra.scripted.queue import ScriptedQueue
from infra.scripted.switch import ScriptedSwitchTable
from processors.errors import DependencyDown, TryLater, Undeliverable
from processors.outcome import BOT, DeadLetter, bury, hand_over, item_of
from processors.ports import Act, ClaimRequest, ClaimStatus, ItemKind, ItemState, Reply
from processors.queue import (
    Acted,
    Fault,
    PeopleDesk,
    Result,
    announce,
    approve,
    case_of,
    diff,
    edit,
    named_person,
    reject,
    release,
    resolve,
    take,
)
from schemas.control import Scope, Stop, SwitchSet, SwitchState
from schemas.gate import Disposition, TicketEscalated
from schemas.ingress import Channel, TicketReceived
from schemas.outcome import Outcome, TicketSettled
from schemas.router import Admission
from tests.unit.test_outcome import APPROVED, KEY, TICKET, escalated

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
DRAFT = "Thirty days."
OWN = "Thirty days.\nFrom the day it arrived."


@dataclass
class Clock:
    at: datetime = NOW
    passed: float = 0.0  # seconds

    def now(self) -> datetime:
        return self.at + timedelta(seconds=self.passed)

    def monotonic(self) -> float:
        return self.passed


@dataclass
class Room:
    """A desk with one item on its queue."""

    clock: Clock = field(default_factory=Clock)
    helpdesk: ScriptedHelpdesk = field(default_factory=ScriptedHelpdesk)

    def __post_init__(self) -> None:
        self.switch = ScriptedSwitchTable()
        self.bot = ScriptedConversations(self.clock, self.switch)
        self.queue = ScriptedQueue(self.bot)
        self.desk = PeopleDesk(self.bot.another(), self.helpdesk, self.clock, 30.0, 10.0, self.queue)

    async def open(self, disposition: Disposition = Disposition.SUGGEST, *, draft: bool = True) -> UUID:
        await self.bot.admit(TICKET)
        event = unproved(escalated(disposition)) if draft else without_draft(escalated(disposition))
        settlement = await hand_over(
            event, conversations=self.bot, helpdesk=ScriptedHelpdesk(), clock=self.clock, deadline=10.0
        )
        assert settlement.settled is not None
        assert settlement.settled.item_id is not None
        return settlement.settled.item_id

    async def taken(self, person: str = "mia", *, draft: bool = True) -> UUID:
        item = await self.open(draft=draft)
        assert (await take(item, person, self.desk)).result is Result.DONE
        return item

    async def parked(self) -> UUID:
        """An item of a reply of the bot that may have been sent, held by mia."""
        await self.bot.admit(TICKET)
        approved = APPROVED.model_copy(update={"admission": UNPROVED})
        item = await self.bot.open_item(item_of(approved, ItemKind.PARKED, f"{KEY}:parked", "may have been sent"))
        await self.claimed_by_the_bot()
        await self.bot.park(KEY)
        await take(item, "mia", self.desk)
        return item

    async def claimed_by_the_bot(self) -> None:
        arming = SwitchSet(scope=Scope(), state=SwitchState.AUTO, why="drill", actor="ops", set_at=NOW, lifts=Stop())
        await self.switch.set(arming, offset=None)
        request = ClaimRequest(TICKET.ticket_id, TICKET.conversation, 1, BOT, Channel.API, "returns", None, KEY, 30.0)
        assert (await self.bot.claim(request)).status is ClaimStatus.GRANTED

    async def acts(self, item: UUID) -> list[TicketSettled]:
        return [act.settled for act in await self.queue.unpublished(item)]

    def sent(self) -> list[tuple[str, str]]:
        return [(delivery.key, delivery.payload["text"]) for delivery in self.helpdesk.deliveries]


THE_BOTS = Reply(KEY, TICKET, DRAFT, ())
UNPROVED = Admission(revision=1, owner="bot")


def unproved(event: TicketEscalated) -> TicketEscalated:
    return event.model_copy(update={"admission": UNPROVED})


def without_draft(event: TicketEscalated) -> TicketEscalated:
    return unproved(event).model_copy(update={"draft": None})


class Signed(ScriptedHelpdesk):
    """Notes who wrote each reply."""

    def __init__(self) -> None:
        super().__init__()
        self.authors: list[str] = []

    async def reply(self, reply: Reply, deadline: float) -> str:
        self.authors.append(reply.actor)
        return await super().reply(reply, deadline)


@pytest.fixture
def room() -> Room:
    return Room()


# -- approving and editing


async def test_an_approved_draft_goes_out_once_with_its_sentences(room: Room) -> None:
    item = await room.taken()
    acted = await approve(item, "mia", room.desk)
    assert (acted.result, room.sent()) == (Result.DONE, [(KEY, DRAFT)])
    settled = (await room.acts(item))[-1]
    assert (settled.outcome, settled.actor, settled.item_id) == (Outcome.APPROVED, "mia", item)
    assert (settled.text, settled.delivery, settled.diff) == (DRAFT, "scripted-1", None)
    assert [sentence.text for sentence in settled.sentences] == [DRAFT]
    assert (settled.ticket_id, settled.revision, settled.intent) == (TICKET.ticket_id, 1, "returns")


async def test_an_edit_goes_out_as_it_is_written_and_keeps_its_diff(room: Room) -> None:
    item = await room.taken()
    await edit(item, "mia", f"  {OWN}\n", room.desk)
    assert room.sent() == [(KEY, OWN)]
    settled = (await room.acts(item))[-1]
    assert (settled.outcome, settled.text, settled.sentences) == (Outcome.EDITED, OWN, ())
    assert settled.diff == "--- draft\n+++ sent\n@@ -1 +1,2 @@\n Thirty days.\n+From the day it arrived."


async def test_a_person_may_say_what_was_wrong_with_the_draft_they_edit(room: Room) -> None:
    item = await room.taken()
    await edit(item, "mia", OWN, room.desk, fault=Fault.TONE)
    assert (await room.acts(item))[-1].reason == "tone"


async def test_a_hand_over_without_a_draft_is_answered_by_writing(room: Room) -> None:
    item = await room.taken(draft=False)
    assert (await approve(item, "mia", room.desk)).result is Result.NO_DRAFT
    assert (await edit(item, "mia", OWN, room.desk)).result is Result.DONE
    assert room.sent() == [(KEY, OWN)]


async def test_a_reply_carries_its_author() -> None:
    helpdesk = Signed()
    room = Room(helpdesk=helpdesk)
    await approve(await room.taken(), "mia", room.desk)
    assert helpdesk.authors == ["mia"]


async def test_an_act_done_again_sends_nothing_and_is_told_again(room: Room) -> None:
    item = await room.taken()
    first, again = [await approve(item, "mia", room.desk) for _ in range(2)]
    assert (first.result, again.result) == (Result.DONE, Result.DONE)
    assert len(room.sent()) == 1
    assert [settled.outcome for settled in await room.acts(item)] == [Outcome.TAKEN_OVER, Outcome.APPROVED]


async def test_the_switch_does_not_stop_a_person(room: Room) -> None:
    item = await room.taken()  # and nobody has armed this deployment
    assert (await approve(item, "mia", room.desk)).result is Result.DONE


@pytest.mark.parametrize(("keep", "person"), [(False, None), (True, "mia")])
async def test_after_an_approval_the_conversation_is_the_bots_unless_it_is_kept(
    room: Room, keep: bool, person: str | None
) -> None:
    item = await room.taken()
    await approve(item, "mia", room.desk, keep=keep)
    found = await room.queue.get(item)
    assert found is not None
    assert (found.queued.state, found.queued.person) == (ItemState.CLOSED, person)


async def test_whoever_wrote_an_answer_has_the_conversation_until_they_release_it(room: Room) -> None:
    item = await room.taken()
    await edit(item, "mia", OWN, room.desk)
    assert room.bot.state.places[TICKET.conversation].person == "mia"
    assert (await release(item, "mia", room.desk)).result is Result.DONE
    assert room.bot.state.places[TICKET.conversation].person is None


@pytest.mark.parametrize("text", ["", " \n ", "x" * 20_001])
async def test_a_reply_has_words_and_not_too_many(room: Room, text: str) -> None:
    item = await room.taken()
    with pytest.raises(ValueError, match="characters"):
        await edit(item, "mia", text, room.desk)


# -- who may


async def test_nobody_answers_what_they_do_not_hold(room: Room) -> None:
    item = await room.open()
    assert (await approve(item, "mia", room.desk)).result is Result.NOT_HELD
    await take(item, "ben", room.desk)
    acted = await approve(item, "mia", room.desk)
    assert (acted.result, acted.detail) == (Result.HELD, "ben")
    assert (await edit(item, "mia", OWN, room.desk)).result is Result.HELD
    assert (await resolve(item, "mia", room.desk, sent=True)).result is Result.HELD
    assert room.sent() == []


async def test_a_closed_item_is_answered_by_nobody_else(room: Room) -> None:
    item = await room.taken()
    await reject(item, "mia", Fault.FACT, room.desk)
    acted = await approve(item, "mia", room.desk)
    assert (acted.result, acted.detail) == (Result.CLOSED, "mia")
    assert room.sent() == []


async def test_a_superseded_draft_is_not_sent(room: Room) -> None:
    item = await room.taken()
    await room.bot.admit(TICKET.model_copy(update={"ticket_id": uuid4()}))
    assert (await approve(item, "mia", room.desk)).result is Result.SUPERSEDED
    assert room.sent() == []


@pytest.mark.parametrize("act", [take, approve, release])
async def test_what_nobody_opened_is_unknown(
    room: Room, act: Callable[[UUID, str, PeopleDesk], Awaitable[Acted]]
) -> None:
    assert (await act(uuid4(), "mia", room.desk)).result is Result.UNKNOWN


@pytest.mark.parametrize("name", ["", "  ", "bot", "Bot", "x" * 81, "a\x1b[31m"])
def test_a_name_that_is_no_persons_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        named_person(name)


def test_a_name_is_tidied() -> None:
    assert named_person("  Mia   Díaz ") == "Mia Díaz"


# -- failures of the send


async def test_a_refused_reply_leaves_the_item_with_its_holder(room: Room) -> None:
    item = await room.taken()
    room.helpdesk.fail(HelpdeskFault(Undeliverable("no such address")))
    acted = await approve(item, "mia", room.desk)
    assert (acted.result, "no such address" in acted.detail) == (Result.REFUSED, True)
    assert (await approve(item, "mia", room.desk)).result is Result.DONE


async def test_a_lost_answer_is_found_and_not_sent_again(room: Room) -> None:
    item = await room.taken()
    room.helpdesk.fail(HelpdeskFault(DependencyDown("helpdesk", "the answer was lost"), done=True))
    with pytest.raises(DependencyDown):
        await approve(item, "mia", room.desk)
    with pytest.raises(TryLater):
        await approve(item, "mia", room.desk)
    room.clock.passed = 31.0
    assert (await approve(item, "mia", room.desk)).result is Result.DONE
    assert room.sent() == [(KEY, DRAFT)]


async def test_a_reply_sent_before_it_could_be_closed_is_closed_by_the_same_act(room: Room) -> None:
    item = await room.taken()
    room.helpdesk.fail(HelpdeskFault(DependencyDown("helpdesk", "lost"), done=True))
    with pytest.raises(DependencyDown):
        await edit(item, "mia", OWN, room.desk)
    await room.desk.conversations.mark_sent(KEY, delivery="scripted-1", text=OWN)
    acted = await edit(item, "mia", "Something else.", room.desk)
    assert acted.result is Result.DONE
    assert (await room.acts(item))[-1].text == OWN
    assert room.sent() == [(KEY, OWN)]


async def test_what_cannot_be_asked_is_parked_and_waits_for_a_look_into_the_helpdesk() -> None:
    room = Room(helpdesk=ScriptedHelpdesk(can_be_asked=False))
    item = await room.taken()
    room.helpdesk.fail(HelpdeskFault(DependencyDown("helpdesk", "lost")))
    with pytest.raises(DependencyDown):
        await approve(item, "mia", room.desk)
    room.clock.passed = 31.0
    assert [(await approve(item, "mia", room.desk)).result for _ in range(2)] == [Result.PARKED] * 2
    assert (await resolve(item, "mia", room.desk, sent=False)).result is Result.DONE
    assert (await approve(item, "mia", room.desk)).result is Result.DONE
    assert [settled.outcome for settled in await room.acts(item)][1:] == [Outcome.REOPENED, Outcome.APPROVED]


# -- parked replies of the bot


async def test_a_parked_reply_that_the_helpdesk_knows_is_settled_without_a_send(room: Room) -> None:
    item = await room.parked()
    await room.helpdesk.reply(THE_BOTS, 10.0)
    assert (await approve(item, "mia", room.desk)).result is Result.DONE
    assert room.sent() == [(KEY, DRAFT)]


async def test_an_edit_does_not_pass_for_the_reply_that_the_bot_had_sent(room: Room) -> None:
    item = await room.parked()
    await room.helpdesk.reply(THE_BOTS, 10.0)
    acted = await edit(item, "mia", OWN, room.desk)
    assert (acted.result, acted.detail.startswith("bot answered it before")) == (Result.ANSWERED, True)
    assert (await resolve(item, "mia", room.desk, sent=True)).result is Result.DONE
    assert (await room.acts(item))[-1].text == DRAFT


async def test_a_parked_reply_that_the_helpdesk_does_not_know_goes_out(room: Room) -> None:
    item = await room.parked()
    assert (await edit(item, "mia", OWN, room.desk)).result is Result.DONE
    assert room.sent() == [(KEY, OWN)]


async def test_a_parked_reply_is_resolved_as_sent_with_its_reference() -> None:
    room = Room(helpdesk=ScriptedHelpdesk(can_be_asked=False))
    item = await room.parked()
    assert (await approve(item, "mia", room.desk)).result is Result.PARKED
    await resolve(item, "mia", room.desk, sent=True, delivery="msg-9")
    settled = (await room.acts(item))[-1]
    assert (settled.outcome, settled.delivery, settled.text) == (Outcome.APPROVED, "msg-9", DRAFT)
    assert room.sent() == []


@pytest.mark.parametrize("sent", [True, False])
async def test_what_was_never_tried_cannot_be_resolved(room: Room, sent: bool) -> None:
    item = await room.taken()
    assert (await resolve(item, "mia", room.desk, sent=sent)).result is Result.NOT_PARKED


# -- rejecting, and what cannot be answered


async def test_a_rejected_draft_is_closed_with_its_fault_and_nothing_is_sent(room: Room) -> None:
    item = await room.taken()
    await reject(item, "mia", Fault.POLICY, room.desk, note="we never promise dates")
    settled = (await room.acts(item))[-1]
    assert (settled.outcome, settled.reason, settled.text) == (
        Outcome.REJECTED,
        "policy: we never promise dates",
        DRAFT,
    )
    assert room.sent() == []


@pytest.mark.parametrize("ticket", [None, TICKET])
async def test_a_dead_letter_cannot_be_answered_but_closed(room: Room, ticket: TicketReceived | None) -> None:
    letter = DeadLetter("router", "Undecodable", "tickets.inbound/3/41", "c", b"\xff", ticket=ticket)
    buried = (await bury(letter, conversations=room.bot, clock=room.clock)).settled
    assert buried is not None
    assert buried.item_id is not None
    await take(buried.item_id, "mia", room.desk)
    assert (await edit(buried.item_id, "mia", OWN, room.desk)).result is Result.NO_TICKET
    assert (await reject(buried.item_id, "mia", Fault.OTHER, room.desk)).result is Result.DONE
    assert {settled.ticket_id for settled in await room.acts(buried.item_id)} == {buried.ticket_id}


# -- telling


async def test_acts_are_published_once_in_their_order(room: Room) -> None:
    item = await room.taken()
    await approve(item, "mia", room.desk)
    told: list[Outcome] = []

    async def publish(act: Act) -> None:
        told.append(act.settled.outcome)

    assert [await announce(item, room.queue, publish) for _ in range(2)] == [2, 0]
    assert told == [Outcome.TAKEN_OVER, Outcome.APPROVED]


async def test_an_act_that_could_not_be_published_is_published_by_the_next_one_who_tries(room: Room) -> None:
    item = await room.taken()

    async def down(act: Act) -> None:
        raise DependencyDown("Kafka")

    with pytest.raises(DependencyDown):
        await announce(item, room.queue, down)
    assert len(await room.acts(item)) == 1
    assert await room.queue.unpublished(uuid4()) == ()
    room.clock.passed = 61.0
    assert len(await room.queue.unpublished(uuid4())) == 1


# -- reading events


@pytest.mark.parametrize(
    ("event", "draft", "ticket"),
    [
        (unproved(escalated(Disposition.SUGGEST)).model_dump_json(), DRAFT, True),
        (without_draft(escalated(Disposition.HANDOFF)).model_dump_json(), None, True),
        (APPROVED.model_dump_json(), DRAFT, True),
        (json.dumps({"ticket": TICKET.model_dump(mode="json"), "source": "t/0/1"}), None, True),
        (json.dumps({"ticket": None, "source": "t/0/1", "raw_base64": ""}), None, False),
        ("{", None, False),
        ("[]", None, False),
        ('"admission"', None, False),
        ('{"admission": 1}', None, False),
        ('{"ticket": {}, "source": 1}', None, False),
    ],
)
def test_an_event_is_read_as_far_as_it_can_be(event: str, draft: str | None, ticket: bool) -> None:
    case = case_of(event)
    assert (case.draft, case.ticket is not None) == (draft, ticket)


def test_the_same_text_is_no_edit() -> None:
    assert diff(DRAFT, DRAFT) == ""
