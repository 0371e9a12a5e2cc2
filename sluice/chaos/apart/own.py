"""Cases that need another world than the common one, judged by the same oracle."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from infra.kafka.local import LocalCluster
from loadtest.chaos.history import History
from loadtest.chaos.oracle import Bounds, judge
from loadtest.chaos.report import recoveries, story
from sluice.chaos.apart.case import Finding
from sluice.chaos.apart.netns import INSIDE, OUTSIDE, NoNamespaces, cable
from sluice.chaos.faults import Scene
from sluice.chaos.run import Plan, Progress, applied, observe
from sluice.chaos.watch import Watch
from sluice.chaos.world import SESSION, Layout, Worker, workers, world
from sluice.stack import Say

RATE = 4.0  # tickets a second
DISK_MB = 256
CABLE = """\
listeners=PLAINTEXT://127.0.0.1:{{port}},CABLE://{cable},CONTROLLER://127.0.0.1:{{controller}}
advertised.listeners=PLAINTEXT://127.0.0.1:{{port}},CABLE://{cable}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,CABLE:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
"""  # of a broker that can be reached by the cable as well

Act = Callable[[Scene], str]


def _case(
    name: str, act: Act, layout: Layout, home: Path, say: Say, *, minutes: float = 1.0, bounds: Bounds = Bounds()
) -> Finding:
    """Send tickets for some minutes while `act` does its worst once, and let the oracle judge."""
    progress = Progress()

    def hand(scene: Scene) -> None:
        time.sleep(10.0)
        progress.applied.append(applied(name, act, scene))
        say(f"{name}: {progress.applied[-1].detail}")

    with world(home, layout, say) as made:
        history = observe(made, Plan(1, minutes, RATE), {name: hand}, progress, say)
    return _finding(name, history, bounds, {"what": progress.applied[-1].detail if progress.applied else "failed"})


def _finding(name: str, history: History, bounds: Bounds, more: dict[str, Any]) -> Finding:
    verdict = judge(history, bounds)
    counts = {key: value for key, value in vars(verdict).items() if key != "breaches"}
    waited = recoveries(history, history.applied)
    figures = {**counts, "recovery_seconds": waited[0] if waited else "none", **more}
    told = [f"{breach.invariant}: {breach.what}" for breach in verdict.breaches]
    told += [f"  {line}" for breach in verdict.breaches[:1] for line in story(history, breach)]
    return Finding(name, figures, tuple(told if history.applied else (f"{name} could not be applied", *told)))


# -- new groups under live traffic


def fresh_group(home: Path, say: Say) -> Finding:
    """Everything is read again by groups that have never committed, while tickets come."""

    def act(scene: Scene) -> str:
        made = scene.world
        time.sleep(15.0)
        for worker in made.workers:
            worker.held = True
        for worker in made.workers:
            made.stop(worker)
        made.environ["SLUICE_GROUP_PREFIX"] = "fresh"
        made.settings = made.settings.model_copy(update={"group_prefix": "fresh"})
        for worker in made.workers:
            made.start(worker)
            worker.held = False
        return "the workers read everything again, as new groups"

    return _case("fresh-group", act, Layout(workers(2)), home, say)


# -- three brokers


def leader_kill(home: Path, say: Say) -> Finding:
    """Each of three brokers is killed in turn, so each partition loses its leader once."""

    def act(scene: Scene) -> str:
        cluster = scene.world.kafka
        assert isinstance(cluster, LocalCluster)
        for broker in cluster.brokers:
            broker.kill()
            time.sleep(8.0)
            scene.world.revive_kafka()
            time.sleep(6.0)
        return "three brokers killed, one after the other, 8 s each"

    return _case("leader-kill", act, Layout(workers(2), brokers=3), home, say, minutes=1.5)


# -- a cut cable


def network_cut(home: Path, say: Say) -> Finding:
    """Packets between one worker and Kafka vanish for longer than a session."""
    try:
        with cable() as line:
            apart = Worker("worker-apart", prefix=line.inside([]), host=INSIDE)

            def act(scene: Scene) -> str:
                line.cut()
                time.sleep(3 * SESSION)
                line.mend()
                return f"one worker of three was cut off from Kafka, the model and the helpdesk for {3 * SESSION:.0f} s"

            with socket.create_server((OUTSIDE, 0)) as free:
                address = f"{OUTSIDE}:{free.getsockname()[1]}"
            # Postgres it reaches by its Unix socket, which no cable carries.
            apart.environ = {"SLUICE_EDGE_HOST": INSIDE, "KAFKA_BOOTSTRAP_SERVERS": address}
            layout = Layout((*workers(2), apart), properties=CABLE.format(cable=address), host=OUTSIDE)
            return _case("network-cut", act, layout, home, say)
    except NoNamespaces as reason:
        return Finding("network-cut", not_run=str(reason))


# -- clocks


def clock_skew(home: Path, say: Say) -> Finding:
    """One worker's clock is ten minutes ahead, another's ten behind; the third's is right."""

    def act(scene: Scene) -> str:
        time.sleep(30.0)
        return "one worker ten minutes ahead, one ten minutes behind"

    crew = list(workers(3))
    for worker, shift in zip(crew, ("clock=+600", "clock=-600"), strict=False):
        worker.environ = {"SLUICE_FAILPOINT": shift}
    return _case("clock-skew", act, Layout(crew), home, say)


# -- full disks


def disk_full(home: Path, say: Say) -> Finding:
    """The disks of Kafka and of Postgres run full, one after the other, and get space again."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return Finding("disk-full", not_run="a disk of its own (tmpfs) needs Linux and root")

    def act(scene: Scene) -> str:
        made = scene.world
        with _full(made.home / "kafka"):
            time.sleep(12.0)
        made.revive_kafka()
        time.sleep(8.0)
        with _full(made.home / "postgres"):
            time.sleep(10.0)
        made.revive_postgres()
        return "Kafka's disk was full for 12 s, Postgres's for 10 s"

    try:
        return _case("disk-full", act, Layout(workers(2), before=_disks), home, say, minutes=1.2)
    finally:
        for name in ("kafka", "postgres"):
            subprocess.run(["umount", "-l", str(home / name)], check=False, capture_output=True)


def _disks(home: Path) -> None:
    for name in ("kafka", "postgres"):
        (home / name).mkdir()
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m,mode=755", "tmpfs", str(home / name)], check=True
        )


@contextmanager
def _full(folder: Path) -> Iterator[None]:
    """Take all the space of a disk for as long as the context lasts."""
    filler = folder / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(b"\0" * 4096)
    try:
        yield
    finally:
        filler.unlink()


# -- a long outage


def model_down_long(home: Path, say: Say) -> Finding:
    """The model server is away for two minutes: an hour at the pace at which a breaker asks and a lag grows."""
    lag: list[int] = []

    def act(scene: Scene) -> str:
        made = scene.world
        made.servers["model"].send_signal(signal.SIGKILL)
        made.servers["model"].wait(10)
        for _ in range(24):
            time.sleep(5.0)
            lag.append(Watch(made).lag()["resolution"])
        made.restart_server("model")
        return f"away for 120 s; resolution was {max(lag)} tickets behind"

    finding = _case("model-down-long", act, Layout(workers(2)), home, say, minutes=2.5)
    dead = finding.figures.get("dead")
    told = () if not dead else (f"I1: {dead} tickets were dead letters for an outage",)
    grown = () if max(lag, default=0) > 100 else ("the lag did not grow: nothing waited in place",)
    return replace(finding, breaches=(*finding.breaches, *told, *grown))
