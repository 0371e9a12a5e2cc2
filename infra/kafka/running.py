"""The Kafka to use: the configured one, else a local Apache Kafka, else, where allowed, the in-process broker."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from infra.kafka.local import KafkaUnavailable, find_kafka, kafka_available, start_kafka
from infra.kafka.memory import find_memory_kafka, start_memory_kafka
from infra.kafka.security import NO_SECURITY, Brokers, Security, security_of
from infra.settings import Settings

Kind = Literal["configured", "local", "memory"]

logger = logging.getLogger(__name__)


def _leave_alone() -> None:
    """Somebody else's brokers are not ours to stop."""


@dataclass(frozen=True)
class RunningKafka:
    """Brokers that answer, and how to end them."""

    bootstrap: str  # host:port,host:port
    kind: Kind
    stop: Callable[[], None] = _leave_alone
    security: Security = NO_SECURITY

    @property
    def brokers(self) -> Brokers:
        """What a client needs to reach them."""
        return Brokers(self.bootstrap, self.security)

    @property
    def keeps_data(self) -> bool:
        """Whether what it acknowledged survives it. False: memory only, never for a reliability claim."""
        return self.kind != "memory"


def ensure_kafka(settings: Settings, *, allow_memory: bool = False) -> RunningKafka:
    """The brokers of the settings; without any, a local broker in `SLUICE_HOME/kafka`, started if need be.

    `allow_memory` takes librdkafka's in-process broker where Java or Maven is missing, and says so.
    Raises KafkaUnavailable, which names what to install or set, and SettingsError for a certificate it cannot read.
    """
    if (configured := _configured(settings)) is not None:
        return configured
    directory = settings.home / "kafka"
    reason = kafka_available()
    if reason is None:
        local = start_kafka(directory)
        return RunningKafka(local.bootstrap, "local", local.stop)
    if not allow_memory:
        raise KafkaUnavailable(f"{reason}, or set KAFKA_BOOTSTRAP_SERVERS to your own Kafka")
    logger.warning(
        "Memory only: the in-process broker stands in for Kafka, and everything is gone when it ends. %s", reason
    )
    memory = start_memory_kafka(directory)
    return RunningKafka(memory.bootstrap, "memory", memory.stop)


def running_kafka(settings: Settings) -> RunningKafka | None:
    """The Kafka `ensure_kafka` would join without starting anything, if there is one. Raises SettingsError."""
    if (configured := _configured(settings)) is not None:
        return configured
    directory = settings.home / "kafka"
    if (local := find_kafka(directory)) is not None:
        return RunningKafka(local.bootstrap, "local", local.stop)
    if (memory := find_memory_kafka(directory)) is not None:
        return RunningKafka(memory.bootstrap, "memory", memory.stop)
    return None


def _configured(settings: Settings) -> RunningKafka | None:
    if settings.kafka_bootstrap_servers is None:
        return None
    return RunningKafka(settings.kafka_bootstrap_servers, "configured", security=security_of(settings))
