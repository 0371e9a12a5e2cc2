"""The live guard: audits and later acts stop a scope by both paths, whatever is away, and only a person lifts it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from infra.clock import SystemClock
from infra.kafka.producer import Producer, Published
from infra.scripted.conversations import ScriptedConversations
from infra.scripted.labels import ScriptedGuardMemory, ScriptedLabels
from infra.scripted.switch import ScriptedSwitchTable
from processors.errors import DependencyDown
from processors.guard import Feedback
from processors.policy import GuardPolicy
from processors.ports import AuditorKind, CountedLabels
from schemas.control import Scope, Stop, SwitchSet, SwitchState
from schemas.ingress import Channel
from schemas.outcome import Outcome
from schemas.topics import Topic
from streams.guard import Heard, LiveGuard, OutcomeReader, scopes_in_words
from streams.metrics import Metrics
from tests.unit.test_guard import settled

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
INTENT = Scope.parse("intent:refund_status")
AUTO, SUGGEST, OFF = SwitchState.AUTO, SwitchState.SUGGEST, SwitchState.OFF
BAD_AMONG_GOOD = ("refund_status", True), *[("gift_card", False)] * 40


class Memory(ScriptedGuardMemory):
    """The guard's memory, beside labels that a test writes down."""

    def __init__(self) -> None:
        super().__init__(ScriptedLabels(ScriptedConversations(SystemClock(), ScriptedSwitchTable())))
        self.told: list[tuple[AuditorKind, Feedback]] = []

    async def labels(self, after: int, *, machines: bool, limit: int = 500) -> CountedLabels:
        new = self.told[after : after + limit]
        found = tuple(feedback for kind, feedback in new if machines or kind is AuditorKind.PERSON)
        return CountedLabels(found, after + len(new))


@dataclass
class Acts:
    """What happened on the topic; away while it has a failure."""

    found: list[Feedback] = field(default_factory=list)
    failure: DependencyDown | None = None

    async def read(self, offsets: dict[int, int]) -> Heard:
        if self.failure:
            raise self.failure
        return Heard(tuple(self.found[offsets.get(0, 0) :]), {0: len(self.found)})

    async def aclose(self) -> None:
        return None


class World:
    """A guard with everything around it in memory."""

    def __init__(self, policy: GuardPolicy | None = None) -> None:
        self.memory, self.table, self.acts = Memory(), ScriptedSwitchTable(), Acts()
        self.metrics = Metrics(CollectorRegistry())
        self.topic: list[SwitchSet] = []
        self.kafka_down = False
        self.policy = policy or GuardPolicy()
        self.guard = self.another()

    def another(self) -> LiveGuard:
        return LiveGuard(
            self.memory,
            self.table,
            self.acts,
            self.publish,
            policy=self.policy,
            clock=SystemClock(),
            metrics=self.metrics,
        )

    async def publish(self, topic: str, key: Any, event: Any, headers: Any) -> Published:
        if self.kafka_down:
            raise DependencyDown("Kafka")
        self.topic.append(event)
        return Published(0, len(self.topic) - 1)

    def audit(self, *found: tuple[str, bool], kind: AuditorKind = AuditorKind.PERSON) -> None:
        now = datetime.now(UTC)
        self.memory.told += [(kind, Feedback(intent=intent, bad=bad, answered_at=now)) for intent, bad in found]

    async def set(self, state: SwitchState, scope: Scope, actor: str = "mia") -> None:
        rows = {row.scope: row.stop for row in await self.table.rows()}
        record = SwitchSet(
            scope=scope, state=state, why="w", actor=actor, set_at=datetime.now(UTC), lifts=rows.get(scope, Stop())
        )
        assert await self.table.set(record, offset=None) is not None

    async def states(self) -> dict[str, tuple[SwitchState, str]]:
        return {str(row.scope): (row.state, row.actor) for row in await self.table.rows()}

    async def scopes(self) -> dict[str, str]:
        """The audits' state of each scope."""
        lines = scopes_in_words((await self.memory.load()).watch)
        return {str(line["scope"]): str(line["state"]) for line in lines if line["detector"] == "audits"}


@pytest.fixture
async def world() -> World:
    found = World()
    await found.set(AUTO, Scope())
    return found


async def test_bad_audits_of_an_intent_stop_it_by_both_paths_and_nothing_else(world: World) -> None:
    world.audit(*BAD_AMONG_GOOD * 6)
    await world.guard.look()
    assert await world.states() == {"all": (AUTO, "mia"), "intent:refund_status": (SUGGEST, "guard")}
    (record,) = world.topic
    (row,) = [row for row in await world.table.rows() if row.scope == INTENT]
    assert (record.scope, record.state, record.actor, record.lifts) == (INTENT, SUGGEST, "guard", None)
    assert (record.sequence, record.set_at, record.why) == (row.stop.sequence, row.set_at, row.why)
    assert record.why.startswith("the live guard: 6 of 6 audited answers were bad")


async def test_bad_audits_across_intents_stop_everything(world: World) -> None:
    world.audit(*((f"intent_{number}", True) for number in range(6)))
    await world.guard.look()
    assert await world.states() == {"all": (SUGGEST, "guard")}


async def test_good_audits_stop_nothing(world: World) -> None:
    world.audit(*[("gift_card", False)] * 700)
    for _ in range(2):
        await world.guard.look()
    assert (world.topic, await world.scopes()) == ([], {"all": "quiet", "intent:gift_card": "quiet"})
    assert (await world.memory.load()).watch.labels == 700


async def test_it_warns_before_it_trips(world: World) -> None:
    world.audit(*[("gift_card", True)] * 3)
    await world.guard.look()
    counted = {"detector": "audits", "scope": "intent:gift_card", "alarm": "warn"}
    assert world.metrics.registry.get_sample_value("sluice_guard_alarms_total", counted) == 1
    assert (world.topic, await world.scopes()) == ([], {"all": "warn", "intent:gift_card": "warn"})


@pytest.mark.parametrize(("obeyed", "stops"), [(False, set()), (True, {"all", "intent:gift_card"})])
async def test_a_machines_audit_counts_only_where_the_policy_says_so(obeyed: bool, stops: set[str]) -> None:
    world = World(GuardPolicy(machine_audits=obeyed))
    world.audit(*[("gift_card", True)] * 6, kind=AuditorKind.MACHINE)
    await world.guard.look()
    assert {str(record.scope) for record in world.topic} == stops


async def test_what_was_reopened_and_mended_may_stop_too(world: World) -> None:
    world.acts.found = [Feedback(intent="gift_card", bad=True)] * 12
    await world.guard.look()
    assert {str(record.scope) for record in world.topic} == {"all", "intent:gift_card"}
    assert "by reopened tickets and edits" in world.topic[0].why
    assert await world.scopes() == {}


async def test_it_never_loosens_what_is_off(world: World) -> None:
    await world.set(OFF, INTENT)
    world.audit(*BAD_AMONG_GOOD * 6)
    for _ in range(2):
        await world.guard.look()
    assert (await world.states())["intent:refund_status"] == (OFF, "mia")
    assert world.topic == []


async def test_a_persons_arming_starts_the_scope_anew_and_others_go_on(world: World) -> None:
    world.audit(*BAD_AMONG_GOOD * 6)
    await world.guard.look()
    await world.guard.look()
    assert (await world.scopes())["intent:refund_status"] == "tripped"
    await world.set(AUTO, INTENT, actor="ben")
    await world.guard.look()
    assert await world.states() == {"all": (AUTO, "mia"), "intent:refund_status": (AUTO, "ben")}
    watch = (await world.memory.load()).watch
    assert watch.audits["intent:refund_status"].guard.feedbacks == 0
    assert watch.audits["all"].guard.feedbacks == 6 * 41
    assert len(world.topic) == 1


async def test_while_kafka_is_away_the_table_is_stopped_and_the_topic_later(world: World) -> None:
    world.kafka_down, world.acts.failure = True, DependencyDown("Kafka")
    world.audit(*[("gift_card", True)] * 6)
    for _ in range(2):
        with pytest.raises(DependencyDown):
            await world.guard.look()
    assert await world.states() == {"all": (SUGGEST, "guard"), "intent:gift_card": (SUGGEST, "guard")}
    sequences = {row.stop.sequence for row in await world.table.rows()}
    world.kafka_down, world.acts.failure = False, None
    await world.another().look()
    assert {record.sequence for record in world.topic} == sequences


async def test_a_stop_that_a_person_lifted_meanwhile_is_not_published(world: World) -> None:
    world.kafka_down = True
    world.audit(*BAD_AMONG_GOOD * 6)
    with pytest.raises(DependencyDown):
        await world.guard.look()
    await world.set(AUTO, INTENT, actor="ben")
    world.kafka_down = False
    await world.guard.look()
    assert (world.topic, (await world.scopes())["intent:refund_status"]) == ([], "quiet")


async def test_of_two_guards_that_stop_at_once_the_table_s_last_word_is_published(world: World) -> None:
    world.kafka_down = True
    world.audit(*BAD_AMONG_GOOD * 6)
    with pytest.raises(DependencyDown):
        await world.guard.look()
    await world.set(SUGGEST, INTENT, actor="guard")
    world.kafka_down = False
    await world.guard.look()
    (row,) = [row for row in await world.table.rows() if row.scope == INTENT]
    assert [record.sequence for record in world.topic] == [row.stop.sequence]


async def test_two_guards_count_an_audit_once(world: World) -> None:
    world.audit(*[("gift_card", False)] * 3)
    for guard in (world.guard, world.another()):
        await guard.look()
    assert (await world.memory.load()).watch.audits["all"].guard.feedbacks == 3


# -- on the real broker


async def read_all(
    reader: OutcomeReader, offsets: dict[int, int], wanted: int
) -> tuple[list[Feedback], dict[int, int]]:
    found: list[Feedback] = []
    while len(found) < wanted:
        heard = await reader.read(offsets)
        found, offsets = [*found, *heard.found], heard.offsets
    return found, offsets


async def publish(bootstrap: str, events: Sequence[Any]) -> None:
    async with Producer(bootstrap) as producer:
        for number, event in enumerate(events):
            await producer.publish(Topic.OUTCOME, f"k{number}", event)


async def test_acts_are_read_once_from_where_the_last_guard_was(kafka_topics: str) -> None:
    sent, reopened = settled(Outcome.SENT, actor="bot", channel=Channel.API), settled(Outcome.REOPENED)
    await publish(kafka_topics, [sent, b"\xc3\x01 junk", settled(Outcome.RATED), sent])
    reader = OutcomeReader(kafka_topics)
    first, offsets = await read_all(reader, {}, 2)
    await publish(kafka_topics, [reopened])
    second, _ = await read_all(reader, offsets, 1)
    await reader.aclose()
    another = OutcomeReader(kafka_topics)
    again, _ = await read_all(another, offsets, 1)
    await another.aclose()
    assert [feedback.bad for feedback in first] == [False, False]
    assert [feedback.bad for feedback in second] == [feedback.bad for feedback in again] == [True]


async def test_a_round_that_was_not_kept_is_read_again(kafka_topics: str) -> None:
    await publish(kafka_topics, [settled(Outcome.REOPENED)] * 3)
    reader = OutcomeReader(kafka_topics)
    first, _ = await read_all(reader, {}, 3)
    again, _ = await read_all(reader, {}, 3)
    await reader.aclose()
    assert len(first) == len(again) == 3
