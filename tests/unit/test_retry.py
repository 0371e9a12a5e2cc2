"""A retry is a value: which topic, how long, or nothing more."""

import pytest

from processors.errors import Conflict, ModelFailed, TryLater
from schemas.codec import Undecodable
from schemas.event import Stage
from schemas.topics import RETRY_DELAYS
from streams.retry import TRIES, GiveUp, RetryIn, delay_of, pause, retry, retry_for_ever

SHORT = RetryIn(5, "outcome.retry-5s")
LONG = RetryIn(60, "outcome.retry-60s")


@pytest.mark.parametrize(
    ("tries", "error", "expected"),
    [
        (1, TryLater("leased"), SHORT),
        (2, TryLater("leased"), LONG),
        (TRIES - 1, TryLater("leased"), LONG),
        (TRIES, TryLater("leased"), GiveUp("TryLater")),
        (1, TryLater("rate limit", after=2), SHORT),
        (1, TryLater("rate limit", after=6), LONG),
        (1, TryLater("rate limit", after=999), LONG),
        (3, TryLater("rate limit", after=1), SHORT),
        (1, TimeoutError(), SHORT),
        (1, Conflict("another body"), GiveUp("Conflict")),
        (1, ModelFailed("cut off"), GiveUp("ModelFailed")),
        (1, Undecodable("wrong marker"), GiveUp("Undecodable")),
        (1, ZeroDivisionError(), GiveUp("ZeroDivisionError")),
    ],
)
def test_what_follows_a_failed_try(tries: int, error: Exception, expected: RetryIn | GiveUp) -> None:
    assert retry(Stage.OUTCOME, tries, error) == expected


def test_a_dead_letter_is_tried_for_ever() -> None:
    assert retry_for_ever(Stage.OUTCOME) == LONG


@pytest.mark.parametrize("delay", RETRY_DELAYS)
def test_a_stage_waits_on_its_own_retry_topics_only(delay: int) -> None:
    assert delay_of(Stage.GATE, f"gate.retry-{delay}s") == delay
    assert delay_of(Stage.GATE, f"router.retry-{delay}s") is None
    assert delay_of(Stage.GATE, "tickets.resolution") is None


def test_pauses_grow_to_a_limit() -> None:
    assert [pause(probes) for probes in (0, 1, 2, 3, 6, 500)] == [0.5, 1, 2, 4, 30, 30]
