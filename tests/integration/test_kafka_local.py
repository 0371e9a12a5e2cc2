"""The local broker is a real Kafka: it keeps what it acknowledged, and is found, stopped and replaced by its folder."""

import os
import signal
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer

from infra.kafka.admin import Admin, with_partitions
from infra.kafka.lag import Lags
from infra.kafka.local import KafkaUnavailable, LocalKafka, find_kafka, kafka_available, start_cluster, start_kafka
from infra.kafka.memory import find_memory_kafka, start_memory_kafka
from infra.kafka.running import ensure_kafka, running_kafka
from infra.settings import Settings
from schemas.topics import Topic, TopicSpec, all_topics


def publish(bootstrap: str, value: bytes, topic: str = Topic.INBOUND) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all"})
    producer.produce(topic, value, b"conversation")
    assert producer.flush(20) == 0


def consume(bootstrap: str, count: int = 1, group: str = "tests") -> list[bytes | None]:
    """Read and commit, as a group of its own."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "auto.offset.reset": "earliest"})
    consumer.subscribe([Topic.INBOUND])
    try:
        messages = consumer.consume(count, timeout=20)
        consumer.commit(asynchronous=False)
        return [message.value() for message in messages]
    finally:
        consumer.close()


# -- the broker


def test_a_killed_broker_comes_back_at_the_same_address_with_what_it_acknowledged(own_kafka: LocalKafka) -> None:
    publish(own_kafka.bootstrap, b"kept")
    own_kafka.kill()
    assert find_kafka(own_kafka.daemon.directory) is None
    again = start_kafka(own_kafka.daemon.directory)
    assert again.bootstrap == own_kafka.bootstrap
    assert consume(again.bootstrap) == [b"kept"]
    again.kill()


def test_a_second_start_finds_the_running_broker(own_kafka: LocalKafka) -> None:
    assert start_kafka(own_kafka.daemon.directory) == own_kafka
    assert find_kafka(own_kafka.daemon.directory) == own_kafka


def test_a_stale_pid_is_never_killed(own_kafka: LocalKafka) -> None:
    own_kafka.kill()
    (own_kafka.daemon.directory / "broker.json").write_text(f'{{"pid": {os.getpid()}, "port": 1, "controller": 1}}')
    survived = []
    signal.signal(signal.SIGTERM, lambda *_: survived.append(False))
    own_kafka.stop()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    assert survived == []


def test_stopping_twice_is_stopping_once(own_kafka: LocalKafka) -> None:
    own_kafka.stop()
    own_kafka.stop()
    assert find_kafka(own_kafka.daemon.directory) is None


# -- several brokers


def test_three_brokers_lose_nothing_when_one_is_killed_and_it_comes_back(tmp_path: Path) -> None:
    cluster = start_cluster(tmp_path)
    try:
        Admin(cluster.bootstrap).create_topics([TopicSpec(Topic.INBOUND.value, 1, 86_400_000, "delete")])
        publish(cluster.bootstrap, b"replicated")
        for broker in cluster.brokers[:2]:  # the leader is one of the three, so each is killed in turn
            broker.kill()
            assert consume(cluster.bootstrap, group=f"without {broker.bootstrap}") == [b"replicated"]
            assert start_cluster(tmp_path).bootstrap == cluster.bootstrap
    finally:
        cluster.kill()


# -- the ladder


def test_without_java_the_reason_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    assert "openjdk-17-jre-headless maven" in (kafka_available() or "")
    with pytest.raises(KafkaUnavailable, match="KAFKA_BOOTSTRAP_SERVERS"):
        ensure_kafka(Settings(home=tmp_path))


def test_without_maven_the_reason_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    java = Path(os.environ.get("JAVA_HOME") or "/usr", "bin", "java")
    (tmp_path / "java").symlink_to(java)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert (kafka_available() or "").startswith("Maven is missing")


def test_configured_brokers_are_used_and_never_stopped(kafka: str, tmp_path: Path) -> None:
    running = ensure_kafka(Settings(kafka_bootstrap_servers=kafka, home=tmp_path))
    running.stop()
    assert (running.bootstrap, running.kind, running.keeps_data) == (kafka, "configured", True)
    assert Admin(kafka).brokers() == (kafka,)


def test_without_java_a_demo_gets_the_in_process_broker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    settings = Settings(home=tmp_path)
    running = ensure_kafka(settings, allow_memory=True)
    try:
        assert (running.kind, running.keeps_data) == ("memory", False)
        found = running_kafka(settings)
        assert found is not None
        assert found.bootstrap == running.bootstrap
        publish(running.bootstrap, b"fleeting")
        assert consume(running.bootstrap) == [b"fleeting"]
    finally:
        running.stop()
    assert running_kafka(settings) is None


def test_the_in_process_broker_has_every_topic_from_the_start(tmp_path: Path) -> None:
    broker = start_memory_kafka(tmp_path)
    try:
        topics = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "tests"}).list_topics(timeout=10).topics
        assert {spec.name for spec in all_topics()} <= set(topics)
    finally:
        broker.stop()


def test_the_in_process_broker_is_one_per_folder(tmp_path: Path) -> None:
    broker = start_memory_kafka(tmp_path)
    try:
        assert start_memory_kafka(tmp_path) == broker
        assert find_memory_kafka(tmp_path) == broker
    finally:
        broker.stop()
    assert find_memory_kafka(tmp_path) is None


# -- topics and lag


def test_every_topic_is_created_once_as_specified(kafka_topics: str) -> None:
    admin = Admin(kafka_topics)
    specs = with_partitions(all_topics(), 3)
    assert admin.create_topics(specs) == ()
    states = admin.describe_topics(specs)
    assert len(states) == len(all_topics())
    assert [state.differences for state in states if state.differences] == []


def test_a_topic_that_differs_from_its_specification_says_how(kafka_topics: str) -> None:
    spec = TopicSpec(Topic.INBOUND.value, partitions=5, retention_ms=1, cleanup="delete")
    missing = TopicSpec("nowhere", partitions=1, retention_ms=1, cleanup="delete")
    different, absent = Admin(kafka_topics).describe_topics([spec, missing])
    assert different.differences == ("retention.ms is 604800000, not 1", "it has 3 partitions, not 5")
    assert (absent.exists, absent.differences) == (False, ("it does not exist",))


def test_topics_take_a_message_of_almost_two_megabytes(kafka_topics: str) -> None:
    producer = Producer({"bootstrap.servers": kafka_topics, "message.max.bytes": 3_000_000})
    faults: list[object] = []
    producer.produce(Topic.ROUTER, b"x" * 2_000_000, on_delivery=lambda error, _: faults.append(error))
    producer.flush(20)
    assert faults == [None]


def test_lag_is_what_the_group_has_not_done(kafka_topics: str) -> None:
    for number in range(3):
        publish(kafka_topics, bytes([number]))
    lags = Lags(kafka_topics)
    assert sum(lag.messages for lag in lags.on("tests", [Topic.INBOUND])) == 3
    assert len(consume(kafka_topics, 1)) == 1
    begun = [lag for lag in lags.on("tests", [Topic.INBOUND, "nowhere"]) if lag.committed >= 0]
    assert [(lag.committed, lag.end, lag.messages) for lag in begun] == [(1, 3, 2)]
    assert {lag.committed for lag in lags.on("nobody", [Topic.INBOUND])} == {-1}


def test_fresh_topics_have_no_messages_and_no_groups_of_the_test_before(kafka_topics: str) -> None:
    lags = Lags(kafka_topics).on("tests", [Topic.INBOUND, Topic.ROUTER])
    assert {(lag.committed, lag.end) for lag in lags} == {(-1, 0)}
