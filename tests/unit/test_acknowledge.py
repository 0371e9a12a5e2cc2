"""A customer is told once that a person will answer, and a machine never."""

from typing import Any

import pytest

from infra.clock import SystemClock
from infra.helpdesk.scripted import Fault, ScriptedHelpdesk
from processors.acknowledge import Acknowledged, acknowledge
from processors.errors import DependencyDown, TryLater, Undeliverable
from processors.policy import Email
from processors.ports import AcknowledgeAnswer, AcknowledgeRequest, MailRequest, SwitchView, Told
from schemas.control import Scope, SwitchState
from schemas.gate import Disposition, TicketEscalated
from schemas.ingress import Channel, Marks
from schemas.outcome import Outcome
from tests.unit.test_outcome import escalated

WORDS = "A colleague will answer you here."
HANDED_OVER = escalated(Disposition.HANDOFF)


class Once:
    """Conversations that let one acknowledgement out."""

    def __init__(self, *, mails: bool = True) -> None:
        self.answer = AcknowledgeAnswer(Told.GRANTED)
        self.mails = mails
        self.asked = 0  # for the right to one more mail, which is taken for good
        self.said: list[str] = []

    async def may_mail(self, request: MailRequest) -> bool:
        self.asked += 1
        return self.mails

    async def may_acknowledge(self, request: AcknowledgeRequest) -> AcknowledgeAnswer:
        answer = self.answer
        if answer.told is Told.GRANTED:
            self.answer = AcknowledgeAnswer(Told.UNKNOWN)
        return answer

    async def acknowledged(self, request: AcknowledgeRequest, *, delivery: str, text: str) -> None:
        self.said.append(text)
        self.answer = AcknowledgeAnswer(Told.SENT, text, delivery)


class At:
    def __init__(self, state: SwitchState) -> None:
        self.state = state

    def view(self, **_: Any) -> SwitchView:
        return SwitchView(self.state, 3, Scope(), "test")


async def told(
    event: TicketEscalated = HANDED_OVER,
    *,
    words: str | None = WORDS,
    once: Once | None = None,
    desk: ScriptedHelpdesk | None = None,
    state: SwitchState = SwitchState.AUTO,
) -> Acknowledged:
    return await acknowledge(
        event,
        words,
        conversations=once or Once(),  # type: ignore[arg-type]
        helpdesk=desk or ScriptedHelpdesk(),
        switch=At(state),
        clock=SystemClock(),
        deadline=1,
        email=Email(),
    )


async def test_a_hand_over_is_acknowledged_once_with_the_policys_words() -> None:
    once, desk = Once(), ScriptedHelpdesk()
    first = await told(once=once, desk=desk)
    again = await told(once=once, desk=desk)
    assert first.settled is not None
    assert (first.settled.outcome, first.settled.text) == (Outcome.ACKNOWLEDGED, WORDS)
    assert again.result == "told again"
    assert again.settled is not None
    assert (again.settled.text, again.settled.delivery) == (WORDS, first.settled.delivery)
    assert [delivery.payload["text"] for delivery in desk.deliveries] == once.said == [WORDS]


BY_A_MACHINE = HANDED_OVER.model_copy(
    update={"ticket": HANDED_OVER.ticket.model_copy(update={"marks": Marks(auto_reply=True)})}
)


@pytest.mark.parametrize(
    ("event", "words", "state", "result"),
    [
        (HANDED_OVER, None, SwitchState.AUTO, "no words"),
        (escalated(Disposition.SUGGEST), WORDS, SwitchState.AUTO, "a draft waits"),
        (BY_A_MACHINE, WORDS, SwitchState.AUTO, "from a machine"),
        (HANDED_OVER, WORDS, SwitchState.SUGGEST, "stopped"),
        (HANDED_OVER, WORDS, SwitchState.OFF, "stopped"),
    ],
)
async def test_nothing_is_said(event: TicketEscalated, words: str | None, state: SwitchState, result: str) -> None:
    once, desk = Once(), ScriptedHelpdesk()
    assert await told(event, words=words, once=once, desk=desk, state=state) == Acknowledged(None, result)
    assert once.answer.told is Told.GRANTED
    assert desk.deliveries == []


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (TryLater("busy"), "TryLater"),
        (Undeliverable("no"), "Undeliverable"),
        (DependencyDown("mail"), "DependencyDown"),
        (ValueError("bug"), "a fault"),
    ],
)
async def test_a_failed_note_holds_nothing_up(error: Exception, result: str) -> None:
    once, desk = Once(), ScriptedHelpdesk()
    desk.fail(Fault(error))
    assert await told(once=once, desk=desk) == Acknowledged(None, result)
    assert once.said == []


async def test_a_note_whose_worker_died_before_the_call_is_sent() -> None:
    once, desk = Once(), ScriptedHelpdesk()
    once.answer = AcknowledgeAnswer(Told.UNKNOWN)
    assert (await told(once=once, desk=desk)).result == "sent"
    assert len(desk.deliveries) == 1


async def test_a_note_whose_worker_died_after_the_call_is_told_and_not_sent_again() -> None:
    once, desk = Once(), ScriptedHelpdesk()
    first = await told(once=once, desk=desk)
    once.answer = AcknowledgeAnswer(Told.UNKNOWN)  # nobody noted it
    again = await told(once=once, desk=desk)
    assert again.settled is not None
    assert first.settled is not None
    assert again.settled.delivery == first.settled.delivery
    assert len(desk.deliveries) == 1


async def test_a_note_nobody_can_ask_about_is_not_sent_again() -> None:
    once, desk = Once(), ScriptedHelpdesk(can_be_asked=False)
    once.answer = AcknowledgeAnswer(Told.UNKNOWN)
    assert await told(once=once, desk=desk) == Acknowledged(None, "maybe sent")
    assert desk.deliveries == []


MAILED = HANDED_OVER.model_copy(
    update={"ticket": HANDED_OVER.ticket.model_copy(update={"channel": Channel.EMAIL, "sender": "a@example.com"})}
)


@pytest.mark.parametrize("told_before", [Told.SENT, Told.REFUSED])
async def test_a_note_that_is_not_sent_takes_no_mail_from_its_address(told_before: Told) -> None:
    once, desk = Once(), ScriptedHelpdesk()
    once.answer = AcknowledgeAnswer(told_before, WORDS, "d")
    await told(MAILED, once=once, desk=desk)
    assert (once.asked, desk.deliveries) == (0, [])


async def test_an_address_that_has_had_its_mail_gets_no_note() -> None:
    once, desk = Once(mails=False), ScriptedHelpdesk()
    assert await told(MAILED, once=once, desk=desk) == Acknowledged(None, "too much mail")
    assert desk.deliveries == []
