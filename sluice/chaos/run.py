"""One chaos run: traffic, faults lane by lane, quiet, and the history of it all."""

import logging
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from confluent_kafka import KafkaException

from infra.kafka.history import entries
from loadtest.chaos.faults import lanes
from loadtest.chaos.history import Applied, History
from loadtest.chaos.schedule import Turn, arrivals, turns
from processors.errors import DependencyDown
from schemas.outcome import TERMINAL, TicketSettled
from schemas.topics import Topic
from sluice.chaos.drive import Driver
from sluice.chaos.faults import APPLY, Scene, settled_world
from sluice.chaos.read import read_history
from sluice.chaos.watch import Watch
from sluice.chaos.world import World, world
from sluice.stack import Say
from sluice.suite import SHOP, open_suite

QUIET_WITHIN = 240.0  # seconds after the faults until everything has to be settled
FLUSH_WITHIN = 60.0
OWN = 100_000

logger = logging.getLogger(__name__)


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
    failed: list[str] = field(default_factory=list)  # faults that could not be applied or taken back, and why


def run(plan: Plan, home: Path, progress: Progress, say: Say) -> History:
    """Run it in a world of its own.

    Raises:
        WorldFailed: the world did not come up.
        DependencyDown: it did not come back after the faults.
    """
    with world(home, plan.workers, say) as made:
        return _run_in(made, plan, progress, say)


def _run_in(made: World, plan: Plan, progress: Progress, say: Say) -> History:
    driver = progress.driver = Driver(made.kafka.bootstrap, open_suite(SHOP), plan.seed)
    watch, over, watched = Watch(made), threading.Event(), threading.Event()
    began, seconds = datetime.now(UTC), plan.minutes * 60
    progress.began = time.monotonic()
    traffic = threading.Thread(target=driver.run, args=(arrivals(plan.seed, seconds, plan.rate), over))
    looking = threading.Thread(target=watch.run, args=(watched,), daemon=True)
    planned = turns(plan.seed, {"chosen": plan.faults} if plan.faults else lanes())
    hands = [
        threading.Thread(target=_lane, args=(lane, order, made, driver, plan.seed, seconds, progress))
        for lane, order in planned.items()
    ]
    for thread in (looking, traffic, *hands):
        thread.start()
    try:
        for thread in (traffic, *hands):
            thread.join()
    finally:
        over.set()
    settled_world(made)
    say("the faults are over; waiting for quiet")
    left = driver.flush(FLUSH_WITHIN)
    if left:
        say(f"{left} deliveries are not acknowledged: promised to nobody")
    _quiet(made, driver, watch)
    watched.set()
    looking.join(10)
    return read_history(made, driver, watch, tuple(progress.applied), began, datetime.now(UTC))


def _lane(
    lane: str, order: Sequence[Turn], made: World, driver: Driver, seed: int, seconds: float, progress: Progress
) -> None:
    """Apply one fault after the other until the time is over."""
    number = OWN * (1 + (*sorted(lanes()), lane).index(lane))  # tickets of this lane's faults are nobody else's
    scene = Scene(made, driver, random.Random(f"{lane} {seed} faults"), number)
    for turn in order:
        time.sleep(turn.gap)
        if time.monotonic() - progress.began > seconds:
            return
        progress.now[lane] = turn.fault
        begin = datetime.now(UTC)
        try:
            detail = APPLY[turn.fault](scene)
        except Exception as error:
            progress.failed.append(f"{turn.fault}: {type(error).__name__}: {error}")
            logger.warning("%s could not be applied", turn.fault, exc_info=True)
        else:
            progress.applied.append(Applied(turn.fault, begin, datetime.now(UTC), detail))
        progress.now.pop(lane, None)


def _quiet(made: World, driver: Driver, watch: Watch) -> None:
    """Wait until everything is settled and no stage is behind, or for as long as a run may take."""
    deadline = time.monotonic() + QUIET_WITHIN
    while time.monotonic() < deadline:
        try:
            if not any(watch.lag().values()) and not _unsettled(made, driver):
                return
        except (KafkaException, TimeoutError, DependencyDown):
            pass
        time.sleep(1.0)


def _unsettled(made: World, driver: Driver) -> bool:
    wanted = {record.ticket_id for record in driver.acknowledged if record.ticket_id is not None}
    for entry in entries(made.kafka.bootstrap, (Topic.OUTCOME.value,), None):
        if isinstance(entry.event, TicketSettled) and entry.event.outcome in TERMINAL:
            wanted.discard(entry.event.ticket_id)
    return bool(wanted)
