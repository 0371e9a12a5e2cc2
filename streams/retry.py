"""What becomes of a failed ticket, as a value: a retry topic with its delay, or nothing more to try."""

from dataclasses import dataclass

from processors.errors import TryLater
from schemas.event import Stage
from schemas.topics import RETRY_DELAYS, retry_topic

TRIES = 8  # the first included: about six minutes in all, longer than any lease
LONGEST_PAUSE = 30.0  # seconds


@dataclass(frozen=True)
class RetryIn:
    """Try again after the delay of this topic."""

    seconds: int
    topic: str


@dataclass(frozen=True)
class GiveUp:
    """The ticket goes to a person."""

    reason: str  # the type of the error: its text may be a customer's


def retry(stage: Stage, tries: int, error: Exception) -> RetryIn | GiveUp:
    """What follows when a ticket's `tries`-th try (from 1) ended in this error.

    A passing fault (TryLater, or a try that ran out of time) goes on with growing delays, at least as long as the
    error asks for where a topic is that long. Everything else cannot succeed by trying again.
    """
    passing = isinstance(error, TryLater | TimeoutError)
    if not passing or tries >= TRIES:
        return GiveUp(type(error).__name__)
    wanted = getattr(error, "after", None) or RETRY_DELAYS[min(tries, len(RETRY_DELAYS)) - 1]
    return RetryIn(seconds := _tier(wanted), retry_topic(stage, seconds))


def retry_for_ever(stage: Stage) -> RetryIn:
    """The longest delay, however often it was tried: for a dead letter, behind which there is nobody else."""
    return RetryIn(RETRY_DELAYS[-1], retry_topic(stage, RETRY_DELAYS[-1]))


def delay_of(stage: Stage, topic: str) -> int | None:
    """The seconds a message waits on this topic; None for a topic that is no retry topic of the stage."""
    return next((delay for delay in RETRY_DELAYS if retry_topic(stage, delay) == topic), None)


def pause(probes: int) -> float:
    """Seconds before a dependency that is down is asked again, having been asked `probes` times: 0.5, 1, 2 … 30."""
    return float(min(LONGEST_PAUSE, 0.5 * 2 ** min(probes, 10)))


def _tier(seconds: float) -> int:
    """The shortest delay of at least this many seconds, else the longest there is."""
    return next((delay for delay in RETRY_DELAYS if delay >= seconds), RETRY_DELAYS[-1])


def patient(tries: int) -> bool:
    """Whether a stage that can go on without should still try again: once on each retry topic."""
    return tries <= len(RETRY_DELAYS)
