"""The layers wired to each other, with everything around them in memory: what one publishes, the next reads."""

from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from infra.helpdesk.scripted import Fault, ScriptedHelpdesk
from infra.models.scripted import ScriptedModel
from infra.scripted.conversations import ScriptedConversations
from infra.scripted.ledger import ScriptedLedger
from infra.scripted.switch import ScriptedSwitchTable
from processors.certificate import Certification, fingerprint
from processors.errors import DependencyDown, ModelFailed, SluiceError, TryLater, Undeliverable
from processors.outside import LEFT
from processors.policy import Auto, Policy, waiving
from processors.ports import Classification, ItemKind, Spoken, SwitchView
from processors.resolution import DraftReply, DraftSentence, load_prompt
from processors.selective import Certified
from schemas.codec import EVENT_ON, decode, encode
from schemas.control import Scope, Stop, SwitchSet, SwitchState
from schemas.event import Event, Stage
from schemas.gate import SentenceCheck
from schemas.ingress import Channel, Identity, Proof, TicketReceived, ticket_id
from schemas.outcome import Outcome, TicketSettled
from schemas.resolution import Sentence
from schemas.retrieval import Fact, Passage
from schemas.router import Tier
from schemas.topics import EVERY_STAGE, STAGES, Topic, retry_topic
from streams.metrics import Metrics
from streams.outage import Outages
from streams.stage import topics_of
from streams.step import DeadLimit, Record, Tools, step
from streams.worker import LAYERS
from tests.unit.test_gate import BY_WORST, CERTIFICATE

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
QUOTE = "You can return an item within 30 days of delivery."
TOML = waiving((Path(__file__).parents[2] / "infra" / "policy.toml").read_text())
POLICY = Policy.parse(TOML)


class Clock:
    """A time that passes only when it is asked for."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        self.seconds += 0.001
        return self.seconds


class Classifier:
    """Knows one topic."""

    name, prompt_hash = "scripted/classifier", None

    async def classify(self, text: str) -> Classification:
        return Classification("return_policy", 0.99, 0.99, True, self.name)


@dataclass
class Knowledge:
    """One section, or a failure."""

    failure: SluiceError | None = None

    async def search(
        self, query: str, *, at: datetime, limit: int, context: str = "", spoken: Spoken | None = None
    ) -> tuple[Passage, ...]:
        if self.failure:
            raise self.failure
        section = {"article_id": "returns", "section_id": "window", "version": 1, "title": "Returns"}
        return (Passage(**section, heading="Window", text=QUOTE, score=0.9),)


class Customers:
    """Nobody has any records."""

    async def facts(self, customer_id: str, intent: str) -> tuple[Fact, ...]:
        return ()


class Verifier:
    """Finds everything supported."""

    name, floor = "scripted/verifier", 0.92

    async def verify(
        self, question: str, sentences: Sequence[Sentence], sources: Sequence[Any]
    ) -> tuple[SentenceCheck, ...]:
        return tuple(SentenceCheck(text=each.text, supported=True, score=0.99) for each in sentences)


@dataclass
class FixedSwitch:
    """A switch in one state."""

    state: SwitchState = SwitchState.AUTO

    def view(self, *, channel: Channel, intent: str, customer_id: str | None) -> SwitchView:
        return SwitchView(self.state, 3, Scope(), "the test says so")


def answer(*failures: SluiceError) -> ScriptedModel:
    reply = DraftReply(sentences=(DraftSentence(text=QUOTE, article_id="returns", section_id="window", quote=QUOTE),))
    left = list(failures)
    return ScriptedModel(lambda prompt: left.pop(0) if left else reply)


class Listener:
    """A system outside that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[TicketSettled] = []
        self.failures: list[Exception] = []

    async def tell(self, settled: TicketSettled, deadline: float) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.told.append(settled)


@dataclass
class World:
    """Everything the stages need (worker.Parts), and the topics between them."""

    clock: Clock = field(default_factory=Clock)
    switch: FixedSwitch = field(default_factory=FixedSwitch)
    switch_table: ScriptedSwitchTable = field(default_factory=ScriptedSwitchTable)
    helpdesk: ScriptedHelpdesk = field(default_factory=ScriptedHelpdesk)
    knowledge: Knowledge = field(default_factory=Knowledge)
    model: ScriptedModel = field(default_factory=answer)
    policy: Policy = POLICY
    config_hash: str = "c"
    classifier: Classifier = field(default_factory=Classifier)
    customers: Customers = field(default_factory=Customers)
    verifier: Verifier = field(default_factory=Verifier)
    retrieval_threshold: float = 0.3
    retrieval_limit: int = 5
    retrieval_timeout: float = 0.05
    model_deadline: float = 5.0
    gate_floor: float = 0.92
    certified: Certified | None = None
    claim_lease: float = 30.0
    helpdesk_deadline: float = 10.0
    outside_channels: frozenset[Channel] = frozenset()
    listener: Listener = field(default_factory=Listener)
    published: list[Record] = field(default_factory=list)
    offsets: dict[str, int] = field(default_factory=dict)
    pauses: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.admissions = self.conversations = self.reopenings = ScriptedConversations(self.clock, self.switch_table)
        self.ledger = self.router_ledger = ScriptedLedger(self.clock)
        self.prompt = load_prompt("Answer from the passages.")
        self.models = {Tier.COMMODITY: [self.model]}
        self.metrics = Metrics(CollectorRegistry())
        self.unread: deque[Record] = deque()

    async def publish(self, topic: str, key: Any, event: Any, headers: Any = ()) -> None:
        offset = self.offsets[topic] = self.offsets.get(topic, -1) + 1
        value = encode(event) if isinstance(event, Event) else event
        key = key.encode() if isinstance(key, str) else key
        record = Record(str(topic), 0, offset, key, value, tuple(headers), NOW)
        self.published.append(record)
        self.unread.append(record)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        yield

    async def sleep(self, seconds: float) -> None:
        """Whatever is down is back after one pause."""
        self.pauses.append(seconds)
        self.knowledge.failure = None

    async def run(self) -> None:
        """Let every stage handle what it reads, until nothing is left."""
        definitions = [LAYERS[stage](self, self.switch, self.metrics) for stage in EVERY_STAGE]
        while self.unread:
            record = self.unread.popleft()
            for definition in definitions:
                if record.topic in topics_of(definition):
                    outages = Outages(definition.stage, self.metrics, self.sleep)
                    tools = Tools(self.publish, self.clock, self.metrics, outages, self.slot, DeadLimit())
                    await step(record, definition, tools)

    def settled(self) -> list[TicketSettled]:
        return [self.read(record) for record in self.published if record.topic == Topic.OUTCOME]  # type: ignore[misc]

    def read(self, record: Record) -> Event:
        return decode(EVENT_ON[Topic(record.topic)], record.value)

    def topics(self) -> list[str]:
        return [record.topic for record in self.published]


def ticket(body: str = "How long do I have to return an item?", number: str = "1") -> TicketReceived:
    return TicketReceived(
        ticket_id=ticket_id("api", "shop", number),
        conversation="api:shop::1",
        channel=Channel.API,
        provider="api",
        account="shop",
        provider_message_id=number,
        identity=Identity(proof=Proof.API_KEY, value="cus_0001"),
        body=body,
        body_full=body,
        language="en",
        received_at=NOW,
    )


async def armed() -> World:
    world = World()
    record = SwitchSet(scope=Scope(), state=SwitchState.AUTO, why="w", actor="a", set_at=NOW, lifts=Stop())
    await world.switch_table.set(record, offset=0)
    return world


async def walk(world: World, *tickets: TicketReceived | bytes) -> list[Outcome]:
    """Where the tickets end."""
    for each in tickets:
        await world.publish(Topic.INBOUND, "api:shop::1", each)
        await world.run()
    return [settled.outcome for settled in world.settled()]


async def test_a_ticket_walks_the_whole_path_and_is_answered() -> None:
    world = await armed()
    assert await walk(world, ticket()) == [Outcome.SENT]
    assert world.topics() == [
        "tickets.inbound",
        "tickets.router",
        "tickets.retrieval",
        "audit.heads",
        "tickets.resolution",
        "tickets.auto-send",
        "tickets.outcome",
    ]


@pytest.mark.parametrize(
    ("frozen", "outcome"), [("now", Outcome.SENT), ("changed", Outcome.SUGGESTED), (None, Outcome.SUGGESTED)]
)
async def test_the_workers_send_under_a_certificate_that_is_in_force(frozen: str | None, outcome: Outcome) -> None:
    world = await armed()
    world.policy = world.policy.model_copy(update={"auto": Auto(certificate="required")})
    covering = CERTIFICATE.model_copy(update={"intents": tuple(world.policy.intents)})
    certification = Certification(certificates=(covering,), sections=frozenset({fingerprint(QUOTE)}))
    world.certified = Certified(BY_WORST, certification, frozen) if frozen else None
    assert await walk(world, ticket()) == [outcome]


async def test_every_stage_adds_its_step() -> None:
    world = await armed()
    await walk(world, ticket())
    (settled,) = world.settled()
    assert [taken.stage for taken in settled.steps] == list(STAGES)


async def test_the_head_of_the_ledger_is_published_by_chain() -> None:
    world = await armed()
    await walk(world, ticket())
    (head,) = [record for record in world.published if record.topic == Topic.AUDIT_HEADS]
    assert head.key == world.ledger.rows[-1].chain.encode()
    assert world.ledger.rows[-1].hash.encode() in (head.value or b"")


async def test_the_same_message_twice_is_answered_once() -> None:
    world = await armed()
    assert await walk(world, ticket(), ticket()) == [Outcome.SENT, Outcome.SENT]
    assert len(world.helpdesk.deliveries) == 1


async def test_the_same_id_with_another_body_is_a_conflict_a_person_sees() -> None:
    world = await armed()
    assert await walk(world, ticket(), ticket("Give me all my money back")) == [Outcome.SENT, Outcome.CONFLICT]
    assert [item.kind for item in world.conversations.items] == [ItemKind.CONFLICT]


async def test_what_nobody_can_read_is_on_a_person_s_list() -> None:
    world = await armed()
    assert await walk(world, b"\x00junk") == [Outcome.DEAD]
    assert [item.kind for item in world.conversations.items] == [ItemKind.DEAD]


@pytest.mark.parametrize(
    ("state", "outcome"), [(SwitchState.SUGGEST, Outcome.SUGGESTED), (SwitchState.OFF, Outcome.HANDED_OFF)]
)
async def test_the_switch_decides_at_the_gate(state: SwitchState, outcome: Outcome) -> None:
    world = await armed()
    world.switch.state = state
    assert await walk(world, ticket()) == [outcome]


async def test_a_stop_between_gate_and_claim_diverts_the_reply() -> None:
    world = World()  # the table was never armed
    assert await walk(world, ticket()) == [Outcome.SUGGESTED]
    assert world.topics()[-3:] == ["tickets.auto-send", "tickets.escalation", "tickets.outcome"]


async def test_a_hand_over_succeeds_with_retrieval_down() -> None:
    world = await armed()
    world.knowledge.failure = DependencyDown("Postgres")
    assert await walk(world, ticket("My lawyer will sue you over this return")) == [Outcome.HANDED_OFF]
    assert (world.model.shown, world.pauses) == ([], [])


async def test_an_answer_waits_for_retrieval() -> None:
    world = await armed()
    world.knowledge.failure = DependencyDown("Postgres")
    assert await walk(world, ticket()) == [Outcome.SENT]
    assert world.pauses == [0.5]


async def test_one_ticket_s_model_failure_goes_on_to_a_person() -> None:
    world = await armed()
    world.models = {Tier.COMMODITY: [answer(ModelFailed("cut off"))]}
    assert await walk(world, ticket()) == [Outcome.HANDED_OFF]


async def test_a_model_that_is_busy_is_asked_again_and_then_done_without() -> None:
    world = await armed()
    world.models = {Tier.COMMODITY: [answer(*[TryLater("429")] * 3)]}
    assert await walk(world, ticket()) == [Outcome.HANDED_OFF]
    assert [topic for topic in world.topics() if "retry" in topic] == [
        retry_topic(Stage.RESOLUTION, 5),
        retry_topic(Stage.RESOLUTION, 60),
    ]


@pytest.mark.parametrize(
    ("age", "asked", "outcome"), [(0, Tier.FRONTIER, Outcome.SENT), (2, Tier.COMMODITY, Outcome.SUGGESTED)]
)
async def test_what_waited_too_long_is_drafted_cheaply_for_a_person(age: int, asked: Tier, outcome: Outcome) -> None:
    world = await armed()
    shedding = TOML.replace("# shed_after_seconds", "shed_after_seconds")
    world.policy = Policy.parse('frontier = ["return_policy"]\n' + shedding)
    models = {tier: answer() for tier in Tier}
    for tier, model in models.items():
        model.name, world.models[tier] = f"scripted/{tier}", [model]
    late = ticket().model_copy(update={"received_at": NOW - timedelta(hours=age)})
    assert await walk(world, late) == [outcome]
    assert [tier for tier, model in models.items() if model.shown] == [asked]


async def test_a_helpdesk_that_asks_to_wait_is_asked_again() -> None:
    world = await armed()
    world.helpdesk.fail(Fault(TryLater("429")))
    assert await walk(world, ticket()) == [Outcome.SENT]
    assert "outcome.retry-5s" in world.topics()


async def test_a_dead_letter_that_cannot_be_opened_is_tried_again_and_never_dead_twice() -> None:
    world, calls = await armed(), list[object]()
    opened = world.conversations.open_item

    async def fails_once(item: Any) -> Any:
        calls.append(item)
        if len(calls) == 1:
            raise ZeroDivisionError
        return await opened(item)

    world.conversations.open_item = fails_once  # type: ignore[method-assign]
    assert await walk(world, b"junk") == [Outcome.DEAD]
    assert [topic for topic in world.topics() if topic.startswith("outcome.")] == ["outcome.retry-60s"]
    assert calls[0] == calls[1]


async def test_an_outcome_is_told_outside_in_the_words_of_the_topic() -> None:
    world = await armed()
    await walk(world, ticket())
    assert world.listener.told == world.settled()


async def test_a_listener_that_asks_to_wait_is_told_later_and_in_order() -> None:
    world = await armed()
    world.listener.failures = [TryLater("busy")]
    await walk(world, ticket())
    assert retry_topic(Stage.NOTIFY, 5) not in world.topics()
    assert world.listener.told == world.settled()


async def test_what_a_listener_refuses_for_good_is_dead_and_opens_no_item() -> None:
    world = await armed()
    world.listener.failures = [Undeliverable("no")]
    assert await walk(world, ticket()) == [Outcome.SENT]
    assert world.topics().count("notify.dead") == 1
    assert world.conversations.items == ()


async def test_what_a_helpdesk_outside_delivers_is_left_for_it() -> None:
    world = await armed()
    world.outside_channels = frozenset({Channel.API})
    assert await walk(world, ticket()) == [Outcome.SUGGESTED]
    assert world.helpdesk.deliveries == []
    assert [item.reason for item in world.conversations.items] == [LEFT]
