"""How every client proves itself to Kafka: the settings, as each client library wants them said.

TLS checks the brokers' names, always. See https://kafka.apache.org/documentation/#security.
"""

import ssl
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from infra.settings import Settings, SettingsError


@dataclass(frozen=True)
class Security:
    """The protocol, and what it needs; by default none. `Settings` sees to it that the parts fit together."""

    protocol: str = "PLAINTEXT"  # PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL
    mechanism: str | None = None  # PLAIN, SCRAM-SHA-256, SCRAM-SHA-512
    username: str | None = None
    password: SecretStr | None = None
    ca: Path | None = None  # PEM; None: the system's
    certificate: Path | None = None  # PEM
    key: Path | None = None  # PEM
    key_password: SecretStr | None = None
    tls: ssl.SSLContext | None = None  # made of the four above, once for all clients of aiokafka

    @property
    def login(self) -> bool:
        """Whether the client logs in by name and password."""
        return self.protocol.startswith("SASL")

    def for_aiokafka(self) -> dict[str, Any]:
        """Arguments of a consumer or producer of aiokafka."""
        options: dict[str, Any] = {"security_protocol": self.protocol, "ssl_context": self.tls}
        if self.login:
            options["sasl_mechanism"] = self.mechanism
            options |= {"sasl_plain_username": self.username, "sasl_plain_password": _text(self.password)}
        return options

    def for_librdkafka(self) -> dict[str, str]:
        """Configuration of a client of confluent-kafka."""
        options: dict[str, str | Path | None] = {
            "security.protocol": self.protocol,
            "sasl.mechanism": self.mechanism if self.login else None,
            "sasl.username": self.username,
            "sasl.password": _text(self.password),
            "ssl.ca.location": self.ca,
            "ssl.certificate.location": self.certificate,
            "ssl.key.location": self.key,
            "ssl.key.password": _text(self.key_password),
        }
        return {name: str(value) for name, value in options.items() if value is not None}


NO_SECURITY = Security()


@dataclass(frozen=True)
class Brokers:
    """A cluster: where it is, and how to prove oneself to it."""

    servers: str  # host:port,host:port
    security: Security = NO_SECURITY

    def __str__(self) -> str:
        return self.servers

    def for_aiokafka(self) -> dict[str, Any]:
        """What any client of aiokafka needs to reach it."""
        return {"bootstrap_servers": self.servers, **self.security.for_aiokafka()}

    def for_librdkafka(self) -> dict[str, str]:
        """What any client of confluent-kafka needs to reach it."""
        return {"bootstrap.servers": self.servers, **self.security.for_librdkafka()}


Address = Brokers | str  # a str: brokers that ask for nothing, such as those of this machine


def brokers(address: Address) -> Brokers:
    """The cluster at an address."""
    return Brokers(address) if isinstance(address, str) else address


def security_of(settings: Settings) -> Security:
    """What the settings say.

    Raises:
        SettingsError: a certificate or key cannot be read; it names the setting.
    """
    found = Security(
        protocol=settings.kafka_security_protocol,
        mechanism=settings.kafka_sasl_mechanism,
        username=settings.kafka_sasl_username,
        password=settings.kafka_sasl_password,
        ca=settings.kafka_ssl_ca_location,
        certificate=settings.kafka_ssl_certificate_location,
        key=settings.kafka_ssl_key_location,
        key_password=settings.kafka_ssl_key_password,
    )
    return _with_tls(found) if found.protocol.endswith("SSL") else found


def _with_tls(security: Security) -> Security:
    try:
        context = ssl.create_default_context(cafile=security.ca)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"KAFKA_SSL_CA_LOCATION {security.ca}: {_fault(error)}") from None
    if security.certificate is not None:
        try:
            context.load_cert_chain(security.certificate, security.key, lambda: _text(security.key_password) or "")
        except (OSError, ssl.SSLError) as error:
            names = "KAFKA_SSL_CERTIFICATE_LOCATION, KAFKA_SSL_KEY_LOCATION or KAFKA_SSL_KEY_PASSWORD"
            raise SettingsError(f"{names}: {_fault(error)}") from None
    return replace(security, tls=context)


def _fault(error: OSError) -> str:
    return error.strerror or getattr(error, "reason", None) or "it cannot be read"


def _text(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
