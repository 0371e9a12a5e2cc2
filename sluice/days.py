"""Days as commands take them: in UTC, the last one whole."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta


@dataclass(frozen=True)
class Days:
    """From a moment until before another."""

    since: datetime
    until: datetime

    def __str__(self) -> str:
        return f"{self.since:%Y-%m-%d} to {self.until - timedelta(days=1):%Y-%m-%d} UTC"


def days(first: date, last: date) -> Days:
    """The time of these days.

    Raises:
        ValueError: the first is after the last.
        OverflowError: the last is the calendar's last.
    """
    if first > last:
        raise ValueError("the first day is after the last")
    return Days(_midnight(first), _midnight(last + timedelta(days=1)))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
