"""A customer is told once that a person will answer, and a machine never."""

from typing import Any

import pytest

from infra.clock import SystemClock
from infra.helpdesk.scripted import Fault, ScriptedHelpdesk
from processors.acknowledge import Acknowledged, acknowledge
from processors.errors import DependencyDown, TryLater, Undeliverable
from processors.policy import Email
from processors.ports import AcknowledgeRequest, SwitchView
from schemas.control import Scope, SwitchState
from schemas.gate import Disposition, TicketEscalated
from schemas.ingress import Marks
from schemas.outcome import Outcome
from tests.unit.test_outcome import escalated

WORDS = "A colleague will answer you here."
HANDED_OVER = escalated(Disposition.HANDOFF)


class Once:
    """Conversations that let one acknowledgement out."""

    def __init__(self, granted: bool = True) -> None:
        self.granted = granted
        self.said: list[str] = []

    async def may_acknowledge(self, request: AcknowledgeRequest) -> bool:
        granted, self.granted = self.granted, False
        return granted

    async def acknowledged(self, request: AcknowledgeRequest, text: str) -> None:
        self.said.append(text)


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
    assert again == Acknowledged(None, "not again")
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
    assert once.granted
    assert desk.deliveries == []


@pytest.mark.parametrize("error", [TryLater("busy"), Undeliverable("no"), DependencyDown("mail"), ValueError("bug")])
async def test_a_failed_note_is_not_sent_again_and_holds_nothing_up(error: Exception) -> None:
    once, desk = Once(), ScriptedHelpdesk()
    desk.fail(Fault(error))
    assert await told(once=once, desk=desk) == Acknowledged(None, type(error).__name__)
    assert await told(once=once, desk=desk) == Acknowledged(None, "not again")
    assert once.said == []
