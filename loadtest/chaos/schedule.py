"""What a chaos run does and when, from a seed and nothing else: its tickets, and the order of its faults by lane."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

NEW = 0.7  # share of the tickets that begin a conversation; the others follow one, by Zipf's law
AGAIN = 0.05  # share that a channel delivers twice
BURST_EVERY, BURST = 40.0, 12  # seconds between bursts, and tickets at once in each
GAP = (1.0, 4.0)  # seconds between two faults of a lane


@dataclass(frozen=True)
class Arrival:
    """One delivery of a ticket."""

    number: int  # of the ticket, from 0; a second delivery has the number of the first
    at: float  # seconds after the start
    conversation: int  # the number of the ticket that began it


@dataclass(frozen=True)
class Turn:
    """The next fault of a lane."""

    fault: str
    gap: float  # seconds before it, after the one before has ended


def arrivals(seed: int, seconds: float, rate: float) -> tuple[Arrival, ...]:
    """The deliveries in their order, `rate` a second beside the bursts. The same arguments give the same plan."""
    dice = random.Random(f"tickets {seed}")
    times = sorted([*_steady(dice, seconds, rate), *_bursts(dice, seconds)])
    plan: list[Arrival] = []
    begun: list[int] = []
    for number, at in enumerate(times):
        if not begun or dice.random() < NEW:
            begun.append(number)
            conversation = number
        else:
            conversation = begun[_zipf(dice, len(begun))]
        plan.append(Arrival(number, at, conversation))
        if dice.random() < AGAIN:
            plan.append(Arrival(number, at + dice.uniform(0.0, 8.0), conversation))
    return tuple(sorted(plan, key=lambda arrival: arrival.at))


def _steady(dice: random.Random, seconds: float, rate: float) -> list[float]:
    at, times = 0.0, []
    while (at := at + dice.expovariate(rate)) < seconds:
        times.append(at)
    return times


def _bursts(dice: random.Random, seconds: float) -> list[float]:
    count = int(seconds // BURST_EVERY)
    return [begin for begin in (dice.uniform(0, seconds) for _ in range(count)) for _ in range(BURST)]


def _zipf(dice: random.Random, size: int) -> int:
    """A place among `size`, the first ones most often (Zipf's law, exponent 1)."""
    return dice.choices(range(size), weights=[1 / rank for rank in range(1, size + 1)])[0]


def turns(seed: int, lanes: Mapping[str, Sequence[str]], count: int = 200) -> dict[str, tuple[Turn, ...]]:
    """For each lane its faults in a random order, round after round, so that none is left out for long.

    Seeds begin their first round at different faults, so that short runs of several seeds try them all.
    """
    found = {}
    for lane, names in sorted(lanes.items()):
        dice = random.Random(f"{lane} {seed}")
        base = sorted(names)
        random.Random(lane).shuffle(base)
        shift = (seed * 5) % len(base)
        order = base[shift:] + base[:shift]
        while len(order) < count:
            order += dice.sample(base, len(base))
        found[lane] = tuple(Turn(name, dice.uniform(*GAP)) for name in order[:count])
    return found
