"""The settings of Kafka's security, as each client library is told them."""

from pathlib import Path

import pytest

from infra.kafka.security import Brokers, brokers, security_of
from infra.settings import Settings, SettingsError, load_settings

KAFKA = {"KAFKA_BOOTSTRAP_SERVERS": "k:9092"}
LOGIN = {
    **KAFKA,
    "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
    "KAFKA_SASL_MECHANISM": "SCRAM-SHA-256",
    "KAFKA_SASL_USERNAME": "me",
    "KAFKA_SASL_PASSWORD": "hunter2",
}


def settings(**given: str) -> Settings:
    return load_settings({**KAFKA, **given})


def test_by_default_nothing_is_proved() -> None:
    assert security_of(settings()).for_librdkafka() == {"security.protocol": "PLAINTEXT"}
    assert security_of(settings()).for_aiokafka() == {"security_protocol": "PLAINTEXT", "ssl_context": None}


def test_a_login_reaches_both_libraries() -> None:
    found = Brokers("k:9092", security_of(load_settings(LOGIN)))
    assert found.for_aiokafka() == {
        "bootstrap_servers": "k:9092",
        "security_protocol": "SASL_PLAINTEXT",
        "ssl_context": None,
        "sasl_mechanism": "SCRAM-SHA-256",
        "sasl_plain_username": "me",
        "sasl_plain_password": "hunter2",
    }
    assert found.for_librdkafka() == {
        "bootstrap.servers": "k:9092",
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "SCRAM-SHA-256",
        "sasl.username": "me",
        "sasl.password": "hunter2",
    }


def test_the_password_is_never_shown() -> None:
    assert "hunter2" not in repr(Brokers("k:9092", security_of(load_settings(LOGIN))))


def test_tls_checks_the_brokers_name_against_the_systems_authorities() -> None:
    security = security_of(settings(KAFKA_SECURITY_PROTOCOL="SSL"))
    assert security.tls is not None
    assert security.tls.check_hostname
    assert security.for_librdkafka() == {"security.protocol": "SSL"}


def test_a_file_without_a_certificate_is_named(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.touch()
    with pytest.raises(SettingsError, match="KAFKA_SSL_CA_LOCATION"):
        security_of(settings(KAFKA_SECURITY_PROTOCOL="SSL", KAFKA_SSL_CA_LOCATION=str(empty)))
    own = {"KAFKA_SSL_CERTIFICATE_LOCATION": str(empty), "KAFKA_SSL_KEY_LOCATION": str(empty)}
    with pytest.raises(SettingsError, match="KAFKA_SSL_KEY_LOCATION"):
        security_of(settings(KAFKA_SECURITY_PROTOCOL="SSL", **own))


def test_a_plain_address_is_a_cluster_that_asks_for_nothing() -> None:
    assert brokers("k:9092") == Brokers("k:9092")
    assert str(brokers(Brokers("k:9092"))) == "k:9092"
