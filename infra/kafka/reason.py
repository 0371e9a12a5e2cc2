"""Why a cluster does not let a client in: aiokafka and librdkafka only say that no broker could be reached."""

import time
from contextlib import suppress
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from infra.kafka.security import NO_SECURITY, Address, brokers

PROBE = 3.0  # seconds, until it counts as silent
LOOK = 0.2  # seconds

REASONS = {
    KafkaError._AUTHENTICATION: "the login is refused: KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD, KAFKA_SASL_MECHANISM",
    KafkaError._SSL: "TLS fails: KAFKA_SSL_CA_LOCATION, KAFKA_SSL_CERTIFICATE_LOCATION, KAFKA_SECURITY_PROTOCOL",
}


def reason(address: Address, otherwise: str) -> str:
    """The settings to look at where the brokers answer and refuse, else what is known already. Takes seconds."""
    cluster = brokers(address)
    if cluster.security == NO_SECURITY:
        return otherwise
    told: list[int] = []
    options: dict[str, Any] = {"log_level": 0, "error_cb": lambda error: told.append(error.code())}
    client = AdminClient({**cluster.for_librdkafka(), **options})
    deadline = time.monotonic() + PROBE
    while not REASONS.keys() & told and time.monotonic() < deadline:
        with suppress(KafkaException):
            client.list_topics(timeout=LOOK)
            break
        client.poll(0)
    return next((REASONS[code] for code in told if code in REASONS), otherwise)
