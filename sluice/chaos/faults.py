"""The faults of the common world: each is applied, lasts for some seconds, and is taken back."""

import os
import random
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import httpx
import psycopg
from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from infra.kafka.local import LocalKafka
from schemas.codec import encode
from schemas.control import SwitchState
from schemas.event import Stage
from schemas.topics import MAX_TOPIC_BYTES, dead_topic
from sluice.chaos.drive import Driver
from sluice.chaos.world import SESSION, Worker, World, WorldFailed

BEYOND = SESSION + 3.0  # seconds: longer than a session
STRUCK_WITHIN = 45.0  # seconds a worker has to start and to reach a failpoint
EVERY = 1.0  # seconds between two looks whether it has
FAULTY_CALLS = 30  # of the model, at most
REFUSING = dead_topic(Stage.ROUTER)  # the topic that is made to take nothing


@dataclass
class Scene:
    """What a fault works with."""

    world: World
    driver: Driver
    dice: random.Random
    number: int  # of the next ticket it sends itself

    def numbers(self, count: int) -> range:
        """Numbers for so many tickets of the fault's own."""
        self.number += count
        return range(self.number - count, self.number)

    def worker(self) -> Worker:
        """One of the workers."""
        return self.dice.choice(self.world.workers)


Apply = Callable[[Scene], str]  # what was done, in words


# -- workers


def _kill(scene: Scene) -> str:
    worker = scene.worker()
    with scene.world.hold(worker):
        code = scene.world.stop(worker, signal.SIGKILL)
        time.sleep(scene.dice.uniform(0.0, 3.0))
    return f"{worker.name} ended with {code}"


def _term(scene: Scene) -> str:
    worker = scene.worker()
    with scene.world.hold(worker):
        began = time.monotonic()
        code = scene.world.stop(worker)
    return f"{worker.name} ended with {code} after {time.monotonic() - began:.1f} s"


class NotReached(Exception):
    """A failpoint was not met, so nothing was broken: the fault does not count as applied."""


def _failpoint(text: str, *, lasts: float = 0.0) -> Apply:
    """A worker that meets a failpoint; tickets are sent until it does. `lasts`: seconds until the harm is done."""

    def apply(scene: Scene) -> str:
        worker = scene.worker()
        with scene.world.hold(worker):
            scene.world.stop(worker)
            try:
                _until_struck(scene, worker, text)
            except NotReached:
                scene.world.stop(worker, signal.SIGKILL)
                raise
            if text.endswith("=exit"):
                scene.world.stop(worker, signal.SIGKILL)  # it is ending
            time.sleep(lasts)
        return f"{worker.name}: {text}"

    return apply


def _until_struck(scene: Scene, worker: Worker, text: str) -> None:
    """Run a worker with a failpoint until its log says that it struck: it may also end of another lane's fault.

    Raises:
        NotReached: it did not strike in time.
    """
    log = scene.world.home / f"{worker.name}.log"
    known = log.stat().st_size if log.exists() else 0
    deadline = time.monotonic() + STRUCK_WITHIN
    while time.monotonic() < deadline:
        if not worker.alive:
            scene.world.start(worker, SLUICE_FAILPOINT=text)
        elif worker.port is not None:
            (number,) = scene.numbers(1)
            scene.driver.send(scene.driver.ticket(number, number))
        time.sleep(EVERY)
        if f"failpoint {text}".encode() in log.read_bytes()[known:]:
            return
    raise NotReached(f"{worker.name} did not meet {text} in {STRUCK_WITHIN:.0f} s")


def _pause(scene: Scene) -> str:
    worker = scene.worker()
    with scene.world.hold(worker):
        if worker.process is not None and worker.alive:
            os.killpg(worker.process.pid, signal.SIGSTOP)
            time.sleep(BEYOND)
            os.killpg(worker.process.pid, signal.SIGCONT)
    return f"{worker.name} for {BEYOND:.0f} s"


def _storm(scene: Scene) -> str:
    members = [Worker(f"guest-{place}", stages=scene.dice.choice(["outcome", "gate"])) for place in range(2)]
    joins = 0
    try:
        for _ in range(2):
            for member in members:
                scene.world.start(member)
                joins += 1
                time.sleep(scene.dice.uniform(1.0, 4.0))
            for member in members:
                scene.world.stop(member, scene.dice.choice([signal.SIGTERM, signal.SIGKILL]))
    finally:
        for member in members:
            scene.world.stop(member, signal.SIGKILL)
    return f"{joins} members joined and left"


def _black_hole(scene: Scene) -> str:
    worker = scene.worker()
    hole = socket.create_server(("127.0.0.1", 0), backlog=512)
    address = f"http://127.0.0.1:{hole.getsockname()[1]}"
    with scene.world.hold(worker):
        scene.world.stop(worker)
        scene.world.start(worker, OTEL_EXPORTER_OTLP_ENDPOINT=address)
        time.sleep(12.0)
        scene.world.stop(worker)
    hole.close()
    return f"{worker.name} told its traces to nobody"


# -- around


def broker_of(world: World) -> LocalKafka:
    """The broker, as it runs now; of several the first."""
    kafka = world.kafka
    first = kafka if isinstance(kafka, LocalKafka) else kafka.brokers[0]
    return replace(first, pid=first.daemon.state()["pid"])


def _broker_kill(scene: Scene) -> str:
    seconds = scene.dice.uniform(1.0, 12.0)
    scene.world.kafka.kill()
    time.sleep(seconds)
    scene.world.revive_kafka()
    return f"away for {seconds:.0f} s"


def _broker_pause(seconds: float) -> Apply:
    def apply(scene: Scene) -> str:
        pid = broker_of(scene.world).pid
        os.kill(pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(pid, signal.SIGCONT)
        return f"for {seconds:.0f} s"

    return apply


def _postgres_restart(scene: Scene) -> str:
    seconds = scene.dice.uniform(0.0, 5.0)
    pid = scene.world.postgres.pid
    os.kill(pid, signal.SIGQUIT)  # pg_ctl stop -m immediate
    with suppress(ProcessLookupError):
        for _ in range(100):
            os.kill(pid, 0)
            time.sleep(0.1)
    time.sleep(seconds)
    scene.world.revive_postgres()
    return f"away for {seconds:.0f} s"


def _postgres_backends(scene: Scene) -> str:
    cut = 0
    for _ in range(4):
        with psycopg.connect(scene.world.postgres.url(), autocommit=True) as connection:
            rows = connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where usename like 'sluice_%'"
            ).fetchall()
            cut += len(rows)
        time.sleep(1.0)
    return f"{cut} connections cut"


def _postgres_exhausted(scene: Scene) -> str:
    taken: list[psycopg.Connection[tuple[object, ...]]] = []
    with suppress(psycopg.OperationalError):
        while True:
            taken.append(psycopg.connect(scene.world.postgres.url(role="sluice_gate")))
    with psycopg.connect(scene.world.postgres.url(), autocommit=True) as connection:  # a place kept for superusers
        connection.execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'sluice_outcome'")
    time.sleep(6.0)
    for held in taken:
        held.close()
    return f"{len(taken)} connections taken for 6 s"


def _model(name: str) -> Apply:
    def apply(scene: Scene) -> str:
        times = scene.dice.randint(3, FAULTY_CALLS)
        scene.world.tell(scene.world.model, name=name, times=times, retry_after=1)
        time.sleep(8.0)
        scene.world.tell(scene.world.model, name="none", times=0)
        return f"at most {times} calls"

    return apply


def _model_away(scene: Scene) -> str:
    seconds = scene.dice.uniform(4.0, 10.0)
    process = scene.world.servers["model"]
    process.send_signal(signal.SIGSTOP)  # it takes connections and is silent; then they are reset
    time.sleep(seconds / 2)
    scene.world.restart_server("model", after=seconds / 2)
    return f"silent, then away, for {seconds:.0f} s"


def _helpdesk(*, done: bool, status: int) -> Apply:
    def apply(scene: Scene) -> str:
        times = scene.dice.randint(2, 12)
        scene.world.tell(scene.world.helpdesk, status=status, times=times, done=done)
        time.sleep(8.0)
        scene.world.tell(scene.world.helpdesk, status=200, times=0)
        return f"at most {times} calls"

    return apply


def _switch(scene: Scene) -> str:
    state = scene.dice.choice([SwitchState.SUGGEST, SwitchState.OFF])
    scene.world.flip(state, "chaos")
    time.sleep(scene.dice.uniform(2.0, 8.0))
    scene.world.flip(SwitchState.AUTO, "chaos is over")
    return f"{state.value}, and armed again"


# -- tickets


def poison(scene: Scene) -> Sequence[tuple[bytes | None, bytes | None, Sequence[tuple[str, bytes]]]]:
    """Ten kinds of records that are no ticket: value, key, headers."""
    key = b"poison-%d" % scene.dice.randrange(10**6)
    good = encode(scene.driver.ticket(0, 0).model_copy(update={"conversation": key.decode()}))
    return [
        (scene.dice.randbytes(200), key, ()),
        (b"", key, ()),
        (None, key, ()),
        (b"\xc3\x01" + scene.dice.randbytes(8) + good[10:], key, ()),  # a schema nobody has released
        (b"\xc3\x02" + good[2:], key, ()),
        (good[: len(good) // 2], key, ()),
        (b'{"ticket_id": "no id"}', key, ()),
        (b'{"ticket_id":', None, ()),
        (b"[" * 5000, key, ()),
        (scene.dice.randbytes(50), key, [("traceparent", b"\xff\xfe"), ("source-offset", b"many"), ("stage", b"\x80")]),
    ]


def _poison(scene: Scene) -> str:
    kinds = poison(scene)
    for value, key, headers in kinds:
        scene.driver.put(value, key, headers=headers)
    time.sleep(3.0)
    return f"{len(kinds)} kinds"


def _dead_refused(scene: Scene) -> str:
    _limit(scene.world, REFUSING, 1)
    try:
        scene.driver.put(scene.dice.randbytes(300), b"refused-%d" % scene.number)
        time.sleep(8.0)
    finally:
        _limit(scene.world, REFUSING, MAX_TOPIC_BYTES)
    return f"{REFUSING} took nothing for 8 s"


def _limit(world: World, topic: str, size: int) -> None:
    """Set the size of the largest message a topic takes.

    Raises:
        WorldFailed: Kafka did not take it, tried again and again.
    """
    entry = ConfigEntry("max.message.bytes", str(size), incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    for _ in range(20):
        try:
            for future in world.admin_client.incremental_alter_configs([resource]).values():
                future.result(10)
            return
        except (KafkaException, TimeoutError):  # the broker may be away at this moment, by another fault
            time.sleep(1.0)
    raise WorldFailed(f"{topic} could not be told to take {size} bytes")


def _duplicates(scene: Scene) -> str:
    tickets = [scene.driver.ticket(number, number) for number in scene.numbers(5)]
    deliveries = tickets * 6
    scene.dice.shuffle(deliveries)
    for ticket in deliveries:
        scene.driver.send(ticket)
        time.sleep(0.02)
    return f"{len(tickets)} tickets {len(deliveries)} times"


def _other_body(scene: Scene) -> str:
    for number in scene.numbers(3):
        scene.driver.send(scene.driver.ticket(number, number))
        time.sleep(0.3)
        scene.driver.send(scene.driver.ticket(number, number, body="This is not what the message said before."))
    return "3 ids with two bodies"


def _oversized(scene: Scene) -> str:
    (large, below) = scene.numbers(2)
    scene.driver.put(b"x" * (MAX_TOPIC_BYTES + 1000), b"oversized")  # refused before it is promised
    scene.driver.send(scene.driver.ticket(below, below, body="long " * 40_000))
    scene.driver.send(scene.driver.ticket(large, large, body="word " * 300_000))
    time.sleep(2.0)
    return "one above the limit, two far above what a channel takes"


def _hot_key(scene: Scene) -> str:
    numbers = scene.numbers(60)
    for number in numbers:
        scene.driver.send(scene.driver.ticket(number, numbers[0]))
        time.sleep(0.05)
    return f"{len(numbers)} tickets in one conversation"


def _newer_revision(scene: Scene) -> str:
    first = scene.numbers(12)
    scene.world.tell(scene.world.model, name="rate-limit", times=6, retry_after=3)
    for number in first[::2]:
        scene.driver.send(scene.driver.ticket(number, number))
    time.sleep(2.0)
    for number in first[1::2]:
        scene.driver.send(scene.driver.ticket(number, number - 1))
    time.sleep(2.0)
    return "6 follow-ups"


def _control_records(scene: Scene) -> str:
    tickets = [scene.driver.ticket(number, number) for number in scene.numbers(6)]
    bootstrap = scene.world.kafka.bootstrap
    scene.driver.transaction(bootstrap, tickets[:3], commit=True)
    scene.driver.transaction(bootstrap, tickets[3:], commit=False)
    return "3 tickets committed, 3 taken back"


APPLY: Mapping[str, Apply] = {
    "worker-kill": _kill,
    "crash-before-claim": _failpoint("claim:before=exit"),
    "crash-claimed": _failpoint("claim:after=exit"),
    "crash-sent": _failpoint("reply:after=exit"),
    "crash-marked": _failpoint("mark_sent:after=exit"),
    "crash-admitted": _failpoint("admit:after=exit"),
    "crash-item": _failpoint("open_item:after=exit"),
    "crash-published": _failpoint("publish:after=exit"),
    "worker-term": _term,
    "unexpected-exception": _failpoint("admit:before=raise"),
    "worker-paused": _pause,
    "rebalance-storm": _storm,
    "loop-blocked": _failpoint(f"admit:after=block:{BEYOND:.0f}", lasts=BEYOND + 2.0),
    "telemetry-black-hole": _black_hole,
    "broker-kill": _broker_kill,
    "broker-paused": _broker_pause(BEYOND),
    "broker-paused-short": _broker_pause(2.0),
    "postgres-restart": _postgres_restart,
    "postgres-backends": _postgres_backends,
    "postgres-exhausted": _postgres_exhausted,
    "model-error": _model("error"),
    "model-rate-limit": _model("rate-limit"),
    "model-away": _model_away,
    "model-hang": _model("hang"),
    "model-drip": _model("drip"),
    "model-truncated": _model("truncated"),
    "model-content-type": _model("content-type"),
    "model-garbage": _model("garbage"),
    "model-schema": _model("schema"),
    "model-huge": _model("huge"),
    "model-no-choices": _model("no-choices"),
    "helpdesk-down": _helpdesk(done=False, status=503),
    "helpdesk-lost-answer": _helpdesk(done=True, status=500),
    "switch": _switch,
    "poison": _poison,
    "dead-topic-refused": _dead_refused,
    "duplicates": _duplicates,
    "other-body": _other_body,
    "oversized": _oversized,
    "hot-key": _hot_key,
    "newer-revision": _newer_revision,
    "control-records": _control_records,
}


def settled_world(world: World) -> None:
    """Take back whatever a fault that was broken off may have left.

    Raises:
        WorldFailed: it could not be.
    """
    for server, faults in ((world.model, {"name": "none", "times": 0}), (world.helpdesk, {"status": 200, "times": 0})):
        with suppress(httpx.HTTPError):
            world.tell(server, **faults)
    _limit(world, REFUSING, MAX_TOPIC_BYTES)
