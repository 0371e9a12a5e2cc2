"""A day of support traffic as a plan: when which ticket is meant to be sent, from a seed and nothing else."""

import random
from collections.abc import Mapping
from dataclasses import dataclass

from schemas.ingress import Channel

MINUTES = 24 * 60
# Tickets by hour of the day, in the shape of a shop's: quiet nights, a peak before noon, a second one in the evening.
CURVE = (1, 1, 1, 1, 1, 2, 4, 7, 11, 14, 15, 14, 12, 12, 13, 13, 12, 11, 11, 12, 11, 8, 4, 2)
MIX: Mapping[Channel, float] = {Channel.EMAIL: 0.4, Channel.CHAT: 0.25, Channel.API: 0.2, Channel.WHATSAPP: 0.15}
BURST_MINUTES = 6
FOLLOW_UP_WITHIN = 2 * 3600.0  # seconds


@dataclass(frozen=True)
class Arrival:
    """One ticket of the day."""

    number: int  # in the order of the day, from 0
    at: float  # seconds since midnight
    channel: Channel
    follows: int | None = None  # the ticket of the same conversation that it continues


@dataclass(frozen=True)
class Shape:
    """What a day is like."""

    tickets: int = 5000
    bursts: int = 3  # such as a newsletter, an outage, a failed payment run
    burst_factor: float = 10.0  # times the rate of the minute
    follow_ups: float = 0.15  # share of the tickets
    mix: Mapping[Channel, float] | None = None  # share by channel; None: MIX


def plan(seed: int, shape: Shape = Shape()) -> tuple[Arrival, ...]:
    """The arrivals of a day in their order. The same seed and shape give the same day.

    Raises:
        ValueError: a number of the shape is out of range.
    """
    if shape.tickets < 1 or not 0 <= shape.follow_ups < 1 or shape.burst_factor < 1 or shape.bursts < 0:
        raise ValueError("a day needs tickets, a share of follow-ups below 1, and bursts that are no lulls")
    dice = random.Random(seed)
    weights = _weights(dice, shape)
    minutes = dice.choices(range(MINUTES), weights=weights, k=shape.tickets)
    times = sorted(minute * 60 + dice.random() * 60 for minute in minutes)
    mix = shape.mix or MIX
    channels = dice.choices(list(mix), weights=list(mix.values()), k=shape.tickets)
    arrivals: list[Arrival] = []
    for number, (at, channel) in enumerate(zip(times, channels, strict=True)):
        earlier = _continued(dice, arrivals, at) if dice.random() < shape.follow_ups else None
        follows = earlier.number if earlier else None
        arrivals.append(Arrival(number, at, earlier.channel if earlier else channel, follows))
    return tuple(arrivals)


def _weights(dice: random.Random, shape: Shape) -> list[float]:
    """The rate of each minute, up to a factor. Bursts come in the working day, where they hurt."""
    weights = [CURVE[minute // 60] / 60 for minute in range(MINUTES)]
    for begin in dice.sample(range(8 * 60, 20 * 60, BURST_MINUTES), shape.bursts):
        for minute in range(begin, begin + BURST_MINUTES):
            weights[minute] *= shape.burst_factor
    return weights


def _continued(dice: random.Random, arrivals: list[Arrival], at: float) -> Arrival | None:
    """An earlier ticket that this one may continue: a recent one that nobody has continued yet."""
    continued = {arrival.follows for arrival in arrivals[-500:]}
    recent = [
        arrival for arrival in arrivals[-500:] if arrival.at > at - FOLLOW_UP_WITHIN and arrival.number not in continued
    ]
    return dice.choice(recent) if recent else None


def busiest(arrivals: tuple[Arrival, ...]) -> int:
    """The most tickets of any one minute."""
    counts: dict[int, int] = {}
    for arrival in arrivals:
        counts[int(arrival.at // 60)] = counts.get(int(arrival.at // 60), 0) + 1
    return max(counts.values())
