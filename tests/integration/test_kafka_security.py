"""A cluster that wants TLS and a login: every client gets in with the right password, and says why with a wrong one."""

import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from typer.testing import CliRunner

from infra.kafka.admin import Admin, with_partitions
from infra.kafka.local import start_kafka
from infra.kafka.producer import Producer
from infra.kafka.reader import Reader, Record
from infra.kafka.running import running_kafka
from infra.kafka.security import Brokers
from infra.settings import load_settings
from processors.errors import DependencyDown
from schemas.topics import all_topics
from sluice.topics import app
from tests.streams.conftest import Crew, eventually

PASSWORD = "right one"
PROPERTIES = """\
listeners=PLAINTEXT://127.0.0.1:{{port}},SECURE://127.0.0.1:{secure},CONTROLLER://127.0.0.1:{{controller}}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SECURE:SASL_SSL
listener.name.secure.sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.secure.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.keystore.type=PKCS12
ssl.keystore.location={store}
ssl.keystore.password=changeit
"""


@dataclass(frozen=True)
class Secured:
    """A running broker with a listener that wants TLS and SCRAM."""

    environ: dict[str, str]

    def brokers(self, password: str = PASSWORD) -> Brokers:
        running = running_kafka(load_settings({**self.environ, "KAFKA_SASL_PASSWORD": password}))
        assert running is not None
        return running.brokers


def keytool(*arguments: str) -> str:
    command = ["keytool", *arguments, "-alias", "broker", "-storepass", "changeit"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def knows(client: AdminClient, name: str) -> bool:
    try:
        client.describe_user_scram_credentials([name])[name].result(10)  # type: ignore[index]
    except KafkaException:
        return False
    return True


@pytest.fixture(scope="module")
def secured() -> Iterator[Secured]:
    with tempfile.TemporaryDirectory(prefix="sluice-kafka-", ignore_cleanup_errors=True) as name:
        store, authority, port = f"{name}/broker.p12", Path(name) / "authority.pem", free_port()
        keytool("-genkeypair", "-keyalg", "RSA", "-dname", "CN=broker", "-ext", "san=ip:127.0.0.1", "-keystore", store)
        authority.write_text(keytool("-exportcert", "-rfc", "-keystore", store))
        broker = start_kafka(Path(name) / "kafka", PROPERTIES.format(secure=port, store=store))
        try:
            Admin(broker.bootstrap).create_topics(with_partitions(all_topics(), 1))
            info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
            login = UserScramCredentialUpsertion("sluice", info, PASSWORD.encode())
            client = AdminClient({"bootstrap.servers": broker.bootstrap})
            client.alter_user_scram_credentials([login])["sluice"].result(10)
            eventually(lambda: knows(client, "sluice"))
            yield Secured(
                {
                    "KAFKA_SASL_PASSWORD": PASSWORD,
                    "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{port}",
                    "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
                    "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
                    "KAFKA_SASL_USERNAME": "sluice",
                    "KAFKA_SSL_CA_LOCATION": str(authority),
                }
            )
        finally:
            broker.kill()


async def test_the_edges_producer_a_stage_and_a_reader_all_get_in(
    secured: Secured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in secured.environ.items():
        monkeypatch.setenv(name, value)
    crew = Crew(secured.environ["KAFKA_BOOTSTRAP_SERVERS"], tmp_path)
    crew.start()
    try:
        async with Producer(secured.brokers()) as producer:
            await producer.publish("tickets.inbound", "c1", b'{"id": "secret"}')
        (found,) = eventually(lambda: read(secured.brokers(), "tickets.router"))
    finally:
        crew.end()
    assert found.value == b"secret"


async def test_a_wrong_password_is_said_by_the_settings_to_look_at(
    secured: Secured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.kafka.reader.TIMEOUT", 0.5)
    wrong = secured.brokers("wrong one")
    with pytest.raises(DependencyDown, match="the login is refused: KAFKA_SASL_USERNAME"):
        Reader(wrong, ["tickets.inbound"])
    with pytest.raises(DependencyDown, match="the login is refused: KAFKA_SASL_USERNAME"):
        await Producer(wrong).start()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"KAFKA_SASL_PASSWORD": "wrong one"}, "the login is refused: KAFKA_SASL_USERNAME"),
        ({"KAFKA_SSL_CA_LOCATION": ""}, "TLS fails: KAFKA_SSL_CA_LOCATION"),
    ],
)
def test_the_command_line_says_it_too(
    secured: Secured, wrong: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.kafka.admin.TIMEOUT", 0.5)
    ended = CliRunner().invoke(app, ["describe"], env={**secured.environ, **wrong})
    assert ended.exit_code == 3
    assert said in ended.stderr


def read(address: Brokers, topic: str) -> list[Record]:
    with Reader(address, [topic]) as reader:
        return list(reader.until_end())
