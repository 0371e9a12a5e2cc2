"""One chaos run: traffic, faults lane by lane, quiet, and the history of it all."""

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import UUID

from confluent_kafka import KafkaException

from infra.kafka.reader import Reader
from loadtest.chaos.faults import lanes
from loadtest.chaos.history import Applied, History
from loadtest.chaos.schedule import Turn, arrivals, turns
from schemas.codec import Undecodable, decode
from schemas.outcome import TERMINAL, TicketSettled
from schemas.topics import Topic
from sluice.chaos.drive import Driver
from sluice.chaos.faults import APPLY, Apply, Scene, settled_world
from sluice.chaos.read import read_history
from sluice.chaos.watch import Watch
from sluice.chaos.world import Layout, World, workers, world
from sluice.stack import Say
from sluice.suite import SHOP, open_suite

QUIET_WITHIN = 240.0  # seconds after the faults until everything has to be settled
FLUSH_WITHIN = 60.0
OWN = 100_000  # numbers of the tickets that a lane's faults send: nobody else's


@dataclass(frozen=True)
class Plan:
    """What a run is asked for."""

    seed: int
    minutes: float
    rate: float = 5.0  # tickets a second, beside the bursts
    workers: int = 3
    faults: tuple[str, ...] = ()  # these alone, in turn; empty: all of the common world


@dataclass
class Progress:
    """How far a run is, for whoever looks."""

    began: float = field(default_factory=time.monotonic)
    driver: Driver | None = None
    applied: list[Applied] = field(default_factory=list)
    now: dict[str, str] = field(default_factory=dict)  # lane → the fault that is on
    over: threading.Event = field(default_factory=threading.Event)  # no more tickets and faults, and nobody waits
    failed: list[str] = field(default_factory=list)  # faults that could not be applied or taken back, and why


Act = Callable[[Scene], None]  # what one lane does until the time is over


def run(plan: Plan, home: Path, progress: Progress, say: Say) -> History:
    """Run it in a world of its own.

    Raises:
        WorldFailed: the world did not come up.
        DependencyDown: it did not come back after the faults.
    """
    planned = turns(plan.seed, {"chosen": plan.faults} if plan.faults else lanes())
    acts = {lane: partial(_lane, lane, order, plan.minutes * 60, progress) for lane, order in planned.items()}
    with world(home, Layout(workers(plan.workers)), say) as made:
        return observe(made, plan, acts, progress, say)


def observe(made: World, plan: Plan, acts: Mapping[str, Act], progress: Progress, say: Say) -> History:
    """Send a plan's tickets while hands act side by side, wait for quiet, and read what happened."""
    driver = progress.driver = Driver(made.kafka.bootstrap, open_suite(SHOP), plan.seed)
    watch, watched = Watch(made), threading.Event()
    began = datetime.now(UTC)
    progress.began = time.monotonic()
    tickets = arrivals(plan.seed, plan.minutes * 60, plan.rate)
    traffic = threading.Thread(target=driver.run, args=(tickets, progress.over))
    looking = threading.Thread(target=watch.run, args=(watched,), daemon=True)
    hands = [
        threading.Thread(
            target=act, args=(Scene(made, driver, random.Random(f"{lane} {plan.seed} faults"), OWN * place),)
        )
        for place, (lane, act) in enumerate(sorted(acts.items()), 1)
    ]
    for thread in (looking, traffic, *hands):
        thread.start()
    for thread in (traffic, *hands):
        thread.join()
    settled_world(made)
    say("the faults are over; waiting for quiet")
    left = driver.flush(FLUSH_WITHIN)
    if left:
        say(f"{left} deliveries are not acknowledged: promised to nobody")
    _quiet(made, driver, watch, progress.over)
    watched.set()
    looking.join(10)
    return read_history(made, driver, watch, tuple(progress.applied), began, datetime.now(UTC))


def _lane(lane: str, order: Sequence[Turn], seconds: float, progress: Progress, scene: Scene) -> None:
    """Apply one fault after the other until the time is over."""
    for turn in order:
        if progress.over.wait(turn.gap) or time.monotonic() - progress.began > seconds:
            return
        progress.now[lane] = turn.fault
        try:
            progress.applied.append(applied(turn.fault, APPLY[turn.fault], scene))
        except Exception as error:  # noqa: BLE001  another lane's fault may stand in its way: then it was not applied
            progress.failed.append(f"{turn.fault}: {type(error).__name__}: {error}")
        progress.now.pop(lane, None)


def applied(fault: str, apply: Apply, scene: Scene) -> Applied:
    """Apply a fault, and note when and what."""
    begin = datetime.now(UTC)
    detail = apply(scene)
    return Applied(fault, begin, datetime.now(UTC), detail)


def _quiet(made: World, driver: Driver, watch: Watch, over: threading.Event) -> None:
    """Wait until everything is settled and no stage is behind, or for as long as a run may take."""
    wanted = {record.ticket_id for record in driver.acknowledged if record.ticket_id is not None}
    deadline = time.monotonic() + QUIET_WITHIN
    with Reader(made.kafka.bootstrap, [Topic.OUTCOME]) as reader:
        while time.monotonic() < deadline and not over.is_set():
            wanted -= {ticket for record in reader.poll(1.0, 5000) if (ticket := _settled(record.value)) is not None}
            try:
                if not wanted and not any(watch.lag().values()):
                    return
            except (KafkaException, TimeoutError):
                continue


def _settled(value: bytes | None) -> UUID | None:
    """The ticket that a record of `tickets.outcome` ends."""
    try:
        event = decode(TicketSettled, value)
    except Undecodable:
        return None
    return event.ticket_id if event.outcome in TERMINAL else None
