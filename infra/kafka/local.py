"""A real Apache Kafka broker (KRaft, one node) for one machine, from Maven's jars.

Standard library only, so that set-up can prepare the jars while the Python packages are still being installed.
"""

import fcntl
import hashlib
import logging
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from infra.daemon import Daemon

VERSION = "4.3.1"  # as in pom.xml
JAVA_NEEDED = 17
START_TIMEOUT = 90.0  # seconds; a cold start on a busy machine takes five
STOP_TIMEOUT = 20.0  # seconds until SIGKILL; what Kafka has acknowledged survives either
POLL = 0.05  # seconds
INSTALL = "install Java 17 or newer and Maven (Debian: apt-get install openjdk-17-jre-headless maven)"

CLUSTER_ID = "c2x1aWNlLWxvY2FsLWthZg"
PROPERTIES = """\
process.roles=broker,controller
node.id=1
# Voters named here, not stored in the log, so that a later start may take other ports.
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dir={data}
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# A killed broker may register again only when its last session has run out.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
file.delete.delay.ms=1000
log.index.size.max.bytes=1048576
log.cleaner.dedupe.buffer.size=8388608
"""

CLUSTERED = """\
node.id={number}
controller.quorum.voters={voters}
default.replication.factor={size}
min.insync.replicas={least}
offsets.topic.replication.factor={size}
transaction.state.log.replication.factor={size}
transaction.state.log.min.isr={least}
share.coordinator.state.topic.replication.factor={size}
share.coordinator.state.topic.min.isr={least}
"""

logger = logging.getLogger(__name__)


class KafkaUnavailable(Exception):
    """No broker can be started on this machine; the message says what to install."""


class KafkaFailed(Exception):
    """The broker was started and did not come up; its last log lines are in the message."""


@dataclass(frozen=True)
class LocalKafka:
    """A running broker. It lives on when the process that started it ends, until somebody calls `stop`."""

    bootstrap: str  # host:port
    pid: int
    daemon: Daemon

    def stop(self, timeout: float = STOP_TIMEOUT) -> None:
        """End the broker and wait: SIGTERM, and SIGKILL after `timeout` seconds."""
        self.daemon.stop(timeout)

    def kill(self) -> None:
        """End the broker at once, as a crash would. What it has acknowledged survives."""
        self.daemon.kill()


@dataclass(frozen=True)
class LocalCluster:
    """Brokers that replicate to each other, each in its own folder; `start_cluster` brings back those that ended."""

    brokers: tuple[LocalKafka, ...]

    @property
    def bootstrap(self) -> str:
        """All of them, host:port,host:port,..."""
        return ",".join(broker.bootstrap for broker in self.brokers)

    def kill(self) -> None:
        """End them all at once."""
        for broker in self.brokers:
            broker.kill()


def kafka_available() -> str | None:
    """None if a broker can be started here, else the reason why not and what to install."""
    version = _java_version(_java_executable())
    if version is None:
        return f"Java is missing: {INSTALL}"
    if int(version.split(".")[0]) < JAVA_NEEDED:
        return f"Java {version} is too old: {INSTALL}"
    if not _libs().is_dir() and shutil.which("mvn") is None:
        return f"Maven is missing, which fetches Kafka: {INSTALL}"
    return None


def start_kafka(directory: Path, properties: str = "") -> LocalKafka:
    """Start the broker that keeps its data in `directory`, or find it running, and wait until it answers.

    `properties` are lines for its server.properties, which win over ours; {port} and {controller} are filled in.
    Raises KafkaUnavailable without Java or Maven, KafkaFailed if the broker does not come up.
    """
    prepare()
    return _launch(_daemon(directory), _shared_archive(), properties)


def start_cluster(directory: Path, size: int = 3) -> LocalCluster:
    """Start brokers, each a controller as well, or those of them that do not run, and wait until each answers.

    Topics are replicated to all, and what is acknowledged is on a majority. Raises as `start_kafka` does.
    """
    prepare()
    daemons = [_daemon(directory / f"broker-{number}") for number in range(1, size + 1)]
    known = [daemon.state() for daemon in daemons]
    ports = [(state["port"], state["controller"]) for state in known] if all(known) else _free_ports(size)
    voters = ",".join(f"{number}@127.0.0.1:{controller}" for number, (_, controller) in enumerate(ports, 1))

    def start(number: int) -> LocalKafka:
        own = CLUSTERED.format(number=number, voters=voters, size=size, least=size // 2 + 1)
        return _launch(daemons[number - 1], _shared_archive(), own, ports[number - 1])

    with ThreadPoolExecutor(size) as pool:  # together: alone, none of them has a quorum
        return LocalCluster(tuple(pool.map(start, range(1, size + 1))))


def find_kafka(directory: Path) -> LocalKafka | None:
    """The broker already running on `directory`, if there is one."""
    daemon = _daemon(directory)
    return _join(daemon) if daemon.alive() else None


def prepare() -> None:
    """Fetch the jars into the user's cache and write the class archive that halves the start, unless done.

    Raises KafkaUnavailable without Java or Maven, or if Maven fails.
    """
    if (reason := kafka_available()) is not None:
        raise KafkaUnavailable(reason)
    _cache().mkdir(parents=True, exist_ok=True)
    with _locked(_cache() / "prepare.lock"):
        if not _libs().is_dir():
            _fetch_jars()
        if not _archive().is_file():
            _write_archive()


# -- the installation


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "sluice" / f"kafka-{VERSION}"


def _libs() -> Path:
    return _cache() / "libs"


def _fetch_jars() -> None:
    logger.info("fetching Apache Kafka %s with Maven", VERSION)
    target = _cache() / "libs.part"
    shutil.rmtree(target, ignore_errors=True)
    pom = Path(__file__).with_name("pom.xml")
    # -C refuses an artefact whose checksum differs; by default Maven only warns.
    command = ["mvn", "-q", "-B", "-C", "-f", str(pom), "dependency:copy-dependencies", f"-DoutputDirectory={target}"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise KafkaUnavailable(
            f"Maven could not fetch Kafka {VERSION}:\n{result.stdout[-2000:]}{result.stderr[-2000:]}"
        )
    target.rename(_libs())


def _archive() -> Path:
    """The class archive (AppCDS, JEP 350): valid for one JVM and one set of jars."""
    version = hashlib.sha256(f"{_java_executable()} {_java_version(_java_executable())}".encode()).hexdigest()[:12]
    return _cache() / f"classes-{version}.jsa"


def _shared_archive() -> list[str]:
    return [f"-XX:SharedArchiveFile={_archive()}", "-Xlog:disable", "-Xlog:all=error:stderr"]


def _write_archive() -> None:
    """Let a throw-away broker record its classes as it ends; an empty archive only makes the start slower."""
    logger.info("recording Kafka's classes, once, to start faster")
    part = _archive().with_suffix(".part")
    part.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="sluice-kafka-") as folder:
        _launch(_daemon(Path(folder)), [f"-XX:ArchiveClassesAtExit={part}", "-Xlog:disable"]).stop(timeout=60)
    part.touch()
    part.rename(_archive())


# -- Java


def _java_executable() -> str | None:
    home = os.environ.get("JAVA_HOME")
    return shutil.which("java", path=str(Path(home) / "bin") if home else None)


@cache
def _java_version(executable: str | None) -> str | None:
    """Such as 17.0.15; None without a Java that runs."""
    if executable is None:
        return None
    text = subprocess.run([executable, "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "([\d.]+)', text)
    return found[1] if found else None


def _java() -> list[str]:
    """The command without its main class. 256 MB of heap are too few to format (KAFKA-19890)."""
    jars = os.pathsep.join(str(jar) for jar in sorted(_libs().glob("*.jar")))
    logging_config = Path(__file__).with_name("log4j2.yaml").resolve()
    tuning = ["-XX:+IgnoreUnrecognizedVMOptions", "-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
    return [str(_java_executable()), *tuning, f"-Dlog4j2.configurationFile={logging_config}", "-cp", jars]


# -- one broker's folder


def _daemon(directory: Path) -> Daemon:
    return Daemon(directory.resolve(), "broker")


def _launch(
    daemon: Daemon, options: list[str], properties: str = "", ports: tuple[int, int] | None = None
) -> LocalKafka:
    """Start a broker unless one holds the folder, and wait until it answers. By default it chooses its ports."""
    with daemon.lock() as lock:
        if lock is not None:
            port, controller = ports or _ports(daemon.state())
            config = _configure(daemon.directory, port, controller, properties)
            command = [*_java(), *options, "kafka.Kafka", str(config)]
            daemon.spawn(command, lock, {"port": port, "controller": controller})
    return _join(daemon)


def _configure(directory: Path, port: int, controller: int, properties: str) -> Path:
    """Write the broker's properties, and format its data folder the first time."""
    config, data = directory / "server.properties", directory / "data"
    config.write_text((PROPERTIES + properties).format(port=port, controller=controller, data=data))
    if not (data / "meta.properties").is_file():
        shared = _shared_archive() if _archive().is_file() else []
        tool = [*_java(), *shared, "kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(config)]
        result = subprocess.run(tool, capture_output=True, text=True, check=False)
        if result.returncode:
            raise KafkaFailed(f"Kafka could not format {data}:\n{result.stdout[-2000:]}{result.stderr[-2000:]}")
    return config


def _ports(last: Mapping[str, int]) -> tuple[int, int]:
    """The ports of the last start where they are free still, so that clients find the broker again."""
    if last and _is_free(last["port"]) and _is_free(last["controller"]):
        return last["port"], last["controller"]
    return _free_ports()[0]


def _free_ports(pairs: int = 1) -> list[tuple[int, int]]:
    with ExitStack() as stack:
        servers = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2 * pairs)]
        numbers = [server.getsockname()[1] for server in servers]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def _join(daemon: Daemon) -> LocalKafka:
    """Wait until the broker that holds the folder answers."""
    deadline = time.monotonic() + START_TIMEOUT
    while daemon.alive() and time.monotonic() < deadline:
        state = daemon.state()
        if state and _answers(state["port"]):
            return LocalKafka(f"127.0.0.1:{state['port']}", state["pid"], daemon)
        time.sleep(POLL)
    raise KafkaFailed(f"Kafka did not come up; {daemon.log} ends:\n{daemon.tail()}")


def _answers(port: int) -> bool:
    """Whether the broker can say who coordinates a group (FindCoordinator, version 0).

    The first such question makes Kafka create its offsets topic; librdkafka gives up before that is done.
    """
    body = struct.pack(">hhih6sh6s", 10, 0, 1, 6, b"sluice", 6, b"sluice")
    with suppress(OSError, struct.error), socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
        connection.sendall(struct.pack(">i", len(body)) + body)
        _length, _correlation, error = struct.unpack(">iih", connection.recv(10, socket.MSG_WAITALL))
        return bool(error == 0)
    return False


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        prepare()
    except KafkaUnavailable as error:
        sys.exit(str(error))
