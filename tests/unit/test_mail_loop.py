"""Our mail path and an answering machine, back to back: they exchange one message, whatever the machine does."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from infra.helpdesk.smtp import SmtpReplies, SmtpServer
from infra.scripted.conversations import ScriptedConversations
from infra.scripted.smtp_server import MailServer, Manner, Taken, answer_of
from infra.scripted.switch import ScriptedSwitchTable
from processors.acknowledge import acknowledge
from processors.disclosure import Disclosure
from processors.gate import decide, leave
from processors.ingress.email import Mailbox, receive_email
from processors.mail_reply import Letterhead
from processors.mail_token import TokenKey
from processors.outcome import deliver, hand_over
from processors.policy import Policy
from schemas.control import Scope, Stop, SwitchSet, SwitchState
from schemas.gate import ReplyApproved
from schemas.outcome import Outcome
from tests.unit.test_gate import DRAFTED, OPEN, POLICY, supported
from tests.unit.test_ingress_email import MAILBOX, mail

WORDS = "A colleague will answer you here."
MOST = 12  # messages after which nobody can call it anything but a loop


@dataclass
class Wall:
    """A clock that goes on by `step` whenever a mail comes in."""

    step: timedelta
    at: datetime = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    def view(self, **_: object) -> object:
        return OPEN


@dataclass
class Path:
    """The path of an e-mail, from the raw message to the mail server, on a table of conversations in memory."""

    clock: Wall
    policy: Policy = POLICY
    band: str = "auto"
    mailbox: Mailbox = MAILBOX
    outcomes: list[Outcome] = field(default_factory=list)
    rules: list[str] = field(default_factory=list)

    async def open(self, port: int) -> None:
        switch = ScriptedSwitchTable()
        armed = SwitchSet(scope=Scope(), state=SwitchState.AUTO, why="t", actor="t", set_at=self.clock.at, lifts=Stop())
        await switch.set(armed, offset=None)
        self.conversations = ScriptedConversations(self.clock, switch)
        key = TokenKey(self.mailbox.account, self.mailbox.secret)
        head = Letterhead("Shop", "support@shop.example", key, Disclosure("An AI system wrote this answer.", "A note."))
        self.smtp = SmtpReplies(SmtpServer("127.0.0.1", port, "none"), head, self.clock)

    async def receive(self, raw: bytes) -> None:
        self.clock.at += self.clock.step
        ticket = receive_email(raw, mailbox=self.mailbox, received_at=self.clock.at, language=lambda _: "en")
        admission = await self.conversations.admit(ticket)
        intent = "delivery_time" if self.band == "auto" else "account_closure"
        route = DRAFTED.route.model_copy(update={"intent": intent})
        drafted = DRAFTED.model_copy(update={"ticket": ticket, "admission": admission, "route": route})
        decision = decide(
            drafted,
            supported(drafted),
            switch=OPEN,
            policy=self.policy,
            threshold=0.3,
            floor=0.92,
            verifier_name="v",
            config_hash="c",
            now=self.clock.at,
        )
        self.rules.append(decision.rule)
        event = leave(drafted, decision, self.policy)
        ports = {"conversations": self.conversations, "helpdesk": self, "clock": self.clock, "deadline": 5.0}
        if isinstance(event, ReplyApproved):
            done = await deliver(event, switch=self.clock, lease=30.0, email=self.policy.email, **ports)  # type: ignore[arg-type]
            if done.divert is not None:
                self.rules[-1] = done.divert.decision.rule
                done = await hand_over(done.divert, **ports)  # type: ignore[arg-type]
        else:
            done = await hand_over(event, **ports)  # type: ignore[arg-type]
            await acknowledge(
                event,
                WORDS,
                switch=self.clock,
                email=self.policy.email,
                **ports,  # type: ignore[arg-type]
            )
        assert done.settled is not None
        self.outcomes.append(done.settled.outcome)

    # the helpdesk: replies leave by SMTP, hand-overs go nowhere

    async def reply(self, *given: object) -> str:
        return await self.smtp.reply(*given)  # type: ignore[arg-type]

    async def hand_over(self, *_: object) -> str:
        return "on the queue"


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    server = MailServer()
    listener = await server.listen()
    server.port = listener.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    yield server
    listener.close()


async def meet(path: Path, server: MailServer, manner: Manner) -> int:
    """Let a customer's mailbox write once and answer everything from then on; how many mails we sent."""
    await path.open(server.port)  # type: ignore[attr-defined]
    await path.receive(mail("How long does standard delivery take?"))
    for number in range(MOST):
        if len(server.taken) == number:
            break
        await path.receive(answer_of(server.taken[number], manner, number))
    return len(server.taken)


@pytest.mark.parametrize("manner", list(Manner))
@pytest.mark.parametrize("pause", [0.2, 90, 3600, 5 * 3600])
async def test_two_answering_machines_exchange_one_message(server: MailServer, manner: Manner, pause: float) -> None:
    path = Path(Wall(timedelta(seconds=pause)))
    assert await meet(path, server, manner) == 1
    assert path.outcomes == [Outcome.SENT, Outcome.SUGGESTED]


@pytest.mark.parametrize("manner", list(Manner))
async def test_a_machine_that_answers_before_we_know_that_it_is_sent_gets_no_more(
    server: MailServer, manner: Manner
) -> None:
    path, numbers = Path(Wall(timedelta(seconds=0.2))), count(1)

    async def answering(taken: Taken) -> None:
        if len(server.taken) < MOST:
            await path.receive(answer_of(taken, manner, next(numbers)))

    server.answering = answering
    await path.open(server.port)  # type: ignore[attr-defined]
    await path.receive(mail("How long does standard delivery take?"))
    await server.quiet()
    assert sorted(path.outcomes) == [Outcome.SENT, Outcome.SUGGESTED]


@pytest.mark.parametrize("manner", list(Manner))
async def test_an_acknowledgement_is_one_message_as_well(server: MailServer, manner: Manner) -> None:
    path = Path(Wall(timedelta(seconds=600)), band="escalate")
    assert await meet(path, server, manner) == 1


@pytest.mark.parametrize(
    ("manner", "rule"),
    [
        (Manner.MARKED, "machine-written"),
        (Manner.CHANGING, "answered-at-once"),
        (Manner.BLUNT, "answers-unknown"),
        (Manner.FRESH, "outcome-too-much-mail"),
    ],
)
async def test_the_decision_names_the_rule_that_stopped_it(server: MailServer, manner: Manner, rule: str) -> None:
    path = Path(Wall(timedelta(seconds=5)))
    await meet(path, server, manner)
    assert path.rules == ["all-clear", rule]


@pytest.mark.parametrize(("manner", "most"), [(Manner.ECHOING, 1), (Manner.THREADED, 2), (Manner.CHANGING, 3)])
async def test_a_looser_policy_still_ends(server: MailServer, manner: Manner, most: int) -> None:
    loose = POLICY.model_copy(update={"email": POLICY.email.model_copy(update={"replies": 3})})
    path = Path(Wall(timedelta(seconds=300)), policy=loose)
    assert await meet(path, server, manner) == most
