"""An answer whose customer comes back counts against it; thanks, machines and first messages do not."""

from datetime import timedelta

import pytest

from infra.scripted.conversations import ScriptedConversations
from infra.scripted.switch import ScriptedSwitchTable
from processors.guard import signal
from processors.ports import ClaimRequest
from processors.reopened import came_back, only_thanks
from schemas.control import Scope, Stop, SwitchSet, SwitchState
from schemas.gate import Disposition
from schemas.ingress import Channel, Marks, TicketReceived, ticket_id
from schemas.outcome import Outcome, TicketSettled
from schemas.router import Band
from tests.unit.test_outcome import NOW, FakeClock, escalated

DAY = timedelta(days=1)


async def world() -> ScriptedConversations:
    """A conversation whose first message the bot has answered."""
    switch, clock = ScriptedSwitchTable(), FakeClock()
    await switch.set(
        SwitchSet(scope=Scope(), state=SwitchState.AUTO, why="w", actor="ops", set_at=NOW, lifts=Stop()), offset=None
    )
    held, first = ScriptedConversations(clock, switch), asked("Where is it?", 1)
    await held.admit(first)
    request = ClaimRequest(first.ticket_id, "k", 1, "bot", Channel.API, "order_status", None, "key", 30.0)
    await held.claim(request)
    await held.mark_sent("key", delivery="d", text="On its way.")
    return held


def asked(body: str, number: int, **changes: object) -> TicketReceived:
    base = escalated(Disposition.HANDOFF).ticket
    named = {"ticket_id": ticket_id("api", "shop", f"r{number}"), "conversation": "k", "channel": Channel.API}
    return base.model_copy(update={**named, "body": body, "body_full": body, "received_at": NOW, **changes})


async def later(
    body: str, within: timedelta = DAY, intent: str = "order_status", band: Band = Band.SUGGEST, **changes: object
) -> TicketSettled | None:
    """What a second message speaks against."""
    held, second = await world(), asked(body, 2, **changes)
    admission = await held.admit(second)
    event = escalated(Disposition.HANDOFF)
    route = event.route.model_copy(update={"intent": intent, "band": band})
    event = event.model_copy(update={"ticket": second, "admission": admission, "route": route})
    return await came_back(event, reopenings=held, clock=FakeClock(), within=within)


async def test_who_writes_again_speaks_against_the_answer_of_its_own_topic() -> None:
    act = await later("It never came.")
    assert act is not None
    assert (act.outcome, act.revision, act.ticket_id) == (Outcome.REOPENED, 1, ticket_id("api", "shop", "r1"))
    assert (act.actor, act.conversation, act.channel) == ("customer", "k", Channel.API)
    counted = signal(act)
    assert counted is not None
    assert (counted.intent, counted.bad, counted.answered_at) == ("order_status", True, NOW)


@pytest.mark.parametrize("changes", [{"marks": Marks(auto_reply=True)}, {"within": timedelta(0)}])
async def test_a_machine_s_message_or_a_policy_without_hours_reopens_nothing(changes: dict[str, object]) -> None:
    assert await later("It never came.", **changes) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("body", "intent", "band", "counted"),
    [
        ("And how long is it on the road?", "order_status", Band.AUTO, True),
        ("And what does a gift card cost?", "gift_card", Band.AUTO, False),
        ("That did not help. What does a gift card cost?", "gift_card", Band.AUTO, True),
        ("No, I meant the gift card", "gift_card", Band.AUTO, True),
        ("That is not what I asked, it is about the gift card", "gift_card", Band.SUGGEST, True),
        ("Let me talk to somebody", "unknown", Band.ESCALATE, True),
    ],
)
async def test_a_further_question_is_no_complaint(body: str, intent: str, band: Band, counted: bool) -> None:
    assert (await later(body, intent=intent, band=band) is not None) is counted


async def test_thanks_reopen_nothing() -> None:
    assert await later("Thanks a lot!") is None


@pytest.mark.parametrize(
    ("text", "thanks"),
    [
        ("Thanks!", True),
        ("Great, thank you very much, that worked.", True),
        ("Vielen Dank, hat geklappt", True),
        ("Thanks, but it is still not here", False),
        ("Thanks. Where is it?", False),
        ("thank you for nothing, it doesn't work", False),
        ("Where is it", False),
        ("Thanks " + "and one more thing to say " * 5, False),
        ("", False),
        ("!" * 50_000, False),
    ],
)
def test_only_bare_thanks_are_thanks(text: str, thanks: bool) -> None:
    assert only_thanks(text) is thanks
