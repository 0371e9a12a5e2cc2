"""A broker that refuses whatever is not listed: every principal on every topic and group, and a ticket under them."""

import asyncio
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import confluent_kafka
import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.fetch import FetchRequest
from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic, ResourceType
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from typer.testing import CliRunner

from infra.clock import SystemClock
from infra.kafka.acls import HELPDESK, READER, Deployable, deployables, grants
from infra.kafka.admin import Admin, binding, with_partitions
from infra.kafka.lag import Lags
from infra.kafka.local import start_kafka
from infra.kafka.producer import Producer
from infra.kafka.reader import Reader
from infra.kafka.security import Brokers, Security
from schemas.control import Scope, Stop, SwitchSet, SwitchState
from schemas.event import Stage
from schemas.outcome import Outcome
from schemas.topics import EVERY_STAGE, INPUTS, Topic, all_topics
from sluice.topics import app
from streams.ingress.outcomes import OutcomeReader, OutcomeView
from streams.metrics import Metrics
from streams.stage import Surroundings, build, group_of
from streams.switch import SwitchReader
from streams.worker import LAYERS
from tests.integration.test_kafka_security import free_port
from tests.streams.test_layers import World, ticket

T = TypeVar("T")
STRANGER = Deployable("stranger", "a login that nothing was granted")
TOPICS = sorted(spec.name for spec in all_topics())
GROUPS = sorted({*(group_of(stage) for stage in EVERY_STAGE), HELPDESK, READER})
EVERYBODY = deployables()
DENIED = {KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED}
LOGIN = "org.apache.kafka.common.security.plain.PlainLoginModule required"
NODE = 1  # the only broker
SOON = 20.0  # seconds
# Whoever comes by the open listener, the broker itself among them, is the administrator.
PROPERTIES = """\
listeners=PLAINTEXT://127.0.0.1:{{port}},LOGIN://127.0.0.1:{secure},CONTROLLER://127.0.0.1:{{controller}}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,LOGIN:SASL_PLAINTEXT
listener.name.login.sasl.enabled.mechanisms=PLAIN
listener.name.login.plain.sasl.jaas.config={login} {users};
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
"""


@dataclass(frozen=True)
class Guarded:
    """A running broker: open to its administrator, and by login to everybody else."""

    administrator: str
    door: str

    def brokers(self, name: str) -> Brokers:
        security = Security("SASL_PLAINTEXT", "PLAIN", f"sluice-{name}", SecretStr(f"{name}-password"))
        return Brokers(self.door, security)

    def client(self, name: str) -> dict[str, object]:
        return {**self.brokers(name).for_librdkafka(), "log_level": 0}


def renew(guarded: Guarded) -> None:
    """Empty every topic; who may use them stays."""
    admin = Admin(guarded.administrator)
    admin.delete_groups()
    admin.delete_topics(TOPICS)
    admin.create_topics(with_partitions(all_topics(), 1))


@pytest.fixture(scope="module")
def guarded() -> Iterator[Guarded]:
    with tempfile.TemporaryDirectory(prefix="sluice-kafka-", ignore_cleanup_errors=True) as folder:
        port = free_port()
        users = " ".join(f'user_sluice-{each.name}="{each.name}-password"' for each in (*EVERYBODY, STRANGER))
        broker = start_kafka(Path(folder), PROPERTIES.format(secure=port, login=LOGIN, users=users))
        try:
            Admin(broker.bootstrap).create_topics(with_partitions(all_topics(), 1))
            environ = {"KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap}
            applied = CliRunner().invoke(app, ["acls", "--apply", "--json"], env=environ)
            assert f'"applied": {len(grants())}' in applied.stdout, applied.output
            yield Guarded(broker.bootstrap, f"127.0.0.1:{port}")
        finally:
            broker.kill()


def each(ask: Callable[[Deployable], T]) -> dict[str, T]:
    """What comes of asking as every principal, several at once."""
    everybody = (*EVERYBODY, STRANGER)
    with ThreadPoolExecutor(5) as pool:
        return dict(zip((found.name for found in everybody), pool.map(ask, everybody), strict=True))


def refused(error: KafkaError | None) -> bool:
    """Whether the broker refused the login; any other fault is one of the test."""
    code = KafkaError.NO_ERROR if error is None else error.code()
    assert code in {KafkaError.NO_ERROR, *DENIED}, error
    return code in DENIED


def lax(topic: str) -> ConfigResource:
    """Forget what the topic holds after a second."""
    entry = ConfigEntry("retention.ms", "1000", incremental_operation=AlterConfigOpType.SET)
    return ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])


def writes(guarded: Guarded, name: str) -> set[str]:
    """The topics the principal can write."""
    told: dict[str, bool] = {}
    producer = confluent_kafka.Producer({**guarded.client(name), "message.timeout.ms": 15_000})
    for topic in TOPICS:
        note = partial(lambda topic, error, _: told.__setitem__(topic, refused(error)), topic)
        producer.produce(topic, b"?", key=b"?", partition=0, on_delivery=note)
    producer.flush(SOON)
    assert sorted(told) == TOPICS
    return {topic for topic, no in told.items() if not no}


async def reads(guarded: Guarded, found: Deployable) -> set[str]:
    """The topics the principal can read: one request of all, as clients wait half a minute for a topic they miss."""
    client = AIOKafkaClient(**guarded.brokers(found.name).for_aiokafka())
    await client.bootstrap()
    try:
        ask = [(topic, [(0, 0, 1024)]) for topic in TOPICS]
        answer = await client.send(NODE, FetchRequest(10, 0, 1 << 20, 0, ask))
    finally:
        await client.close()
    told = {topic: refused(KafkaError(partition[1])) for topic, (partition, *_) in answer.topics}
    assert sorted(told) == TOPICS
    return {topic for topic, no in told.items() if not no}


def commits(guarded: Guarded, found: Deployable) -> set[str]:
    """The groups in which the principal can commit."""
    client = AdminClient(guarded.client(found.name))
    place = TopicPartition(min(found.reads, default="tickets.outcome"), 0, 0)
    allowed = set()
    for group in GROUPS:
        request = [ConsumerGroupTopicPartitions(group, [place])]
        try:
            (done,) = client.alter_consumer_group_offsets(request)[group].result(SOON).topic_partitions
            error = done.error
        except KafkaException as raised:  # already when it looks for the group
            error = raised.args[0]
        if error is None or error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED or not refused(error):
            allowed.add(group)
    return allowed


@dataclass
class Company(World):
    """What the stages need, by the time of the wall."""

    clock: SystemClock = field(default_factory=SystemClock)  # type: ignore[assignment]


async def workers(guarded: Guarded, company: Company, stack: AsyncExitStack) -> None:
    """Every stage under its own login, with all that a worker has of Kafka."""
    for stage in EVERY_STAGE:
        brokers = guarded.brokers(stage.value)
        producer = await stack.enter_async_context(Producer(brokers))
        metrics = Metrics(CollectorRegistry())
        switch = SwitchReader(brokers, company.clock, metrics, staleness=5.0)
        await switch.maybe_start()
        stack.push_async_callback(switch.stop)
        definition = LAYERS[stage](company, switch, metrics)
        stage_app = build(definition, Surroundings(brokers, producer.publish, company.clock, metrics))
        await stage_app.maybe_start()
        stack.push_async_callback(stage_app.stop)


async def arm(guarded: Guarded, company: Company) -> None:
    """Let replies go out, as the operator does."""
    now = company.clock.now()
    record = SwitchSet(scope=Scope(), state=SwitchState.AUTO, why="test", actor="test", set_at=now, lifts=Stop())
    await company.switch_table.set(record, offset=0)
    async with Producer(guarded.brokers("operator")) as producer:
        await producer.publish(Topic.SWITCH, "all", record)


async def test_a_ticket_is_answered_with_every_stage_under_its_own_login(guarded: Guarded) -> None:
    renew(guarded)
    company = Company()
    asked = ticket().model_copy(update={"received_at": company.clock.now()})
    await arm(guarded, company)
    async with AsyncExitStack() as stack:
        await workers(guarded, company, stack)
        edge = await stack.enter_async_context(Producer(guarded.brokers("edge")))
        await edge.publish(Topic.INBOUND, asked.conversation, asked)
        async with asyncio.timeout(SOON):
            while not company.listener.told:
                await asyncio.sleep(0.1)
    assert [told.outcome for told in company.listener.told] == [Outcome.SENT]
    dead = [name for name in TOPICS if name.endswith(".dead")]
    assert not any(Admin(guarded.administrator).ends(dead).values())


async def test_the_edge_reads_what_became_of_its_tickets(guarded: Guarded) -> None:
    view, metrics = OutcomeView(), Metrics(CollectorRegistry())
    reading = asyncio.create_task(OutcomeReader(guarded.brokers("edge"), view, SystemClock(), metrics).run())
    try:
        async with asyncio.timeout(SOON):
            while not view.caught_up:
                await asyncio.sleep(0.05)
    finally:
        reading.cancel()
        await asyncio.wait([reading])


@pytest.mark.parametrize("stage", EVERY_STAGE)
def test_a_worker_learns_its_lag(guarded: Guarded, stage: Stage) -> None:
    lag = Lags(guarded.brokers(stage.value)).on(group_of(stage), [*INPUTS[stage]])
    assert {behind.topic for behind in lag} == set(INPUTS[stage])


@pytest.mark.parametrize("name", ["auditor", "operator"])
def test_commands_read_every_topic(guarded: Guarded, name: str) -> None:
    administrator = confluent_kafka.Producer({"bootstrap.servers": guarded.administrator})
    for topic in TOPICS:
        administrator.produce(topic, b"?", key=b"?")
    administrator.flush(SOON)
    with Reader(guarded.brokers(name), TOPICS) as reader:
        assert {record.topic for record in reader.until_end()} == set(TOPICS)


def test_the_operator_sees_how_topics_are_configured(guarded: Guarded) -> None:
    states = Admin(guarded.brokers("operator")).describe_topics(with_partitions(all_topics(), 1))
    assert [state.differences for state in states if state.differences] == []


def test_nobody_makes_or_deletes_a_topic_or_grants_anything(guarded: Guarded) -> None:
    def powers(found: Deployable) -> list[str]:
        client = AdminClient(guarded.client(found.name))
        asked: dict[str, Mapping[Any, Future[None]]] = {
            "create": client.create_topics([NewTopic("mine", 1)]),
            "delete": client.delete_topics([Topic.SWITCH.value]),
            "grant": client.create_acls([binding(grants()[0])]),
            "configure": client.incremental_alter_configs([lax(Topic.SWITCH.value)]),
        }
        return [name for name, told in asked.items() for each in told.values() if each.exception(SOON) is None]

    assert set(map(tuple, each(powers).values())) == {()}


def test_only_the_listed_topics_can_be_written(guarded: Guarded) -> None:
    assert each(lambda found: writes(guarded, found.name)) == each(lambda found: set(found.writes))


def test_only_the_listed_topics_can_be_read(guarded: Guarded) -> None:
    assert each(lambda found: asyncio.run(reads(guarded, found))) == each(lambda found: set(found.reads))


def test_only_its_own_group_takes_a_principals_commits(guarded: Guarded) -> None:
    assert each(lambda found: commits(guarded, found)) == each(lambda found: set(found.groups))
