"""The machine's clock."""

import time
from datetime import UTC, datetime


class SystemClock:
    """Wall time in UTC for records, monotonic time for leases and deadlines (ports.Clock)."""

    def now(self) -> datetime:
        """The wall time."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that never run backwards."""
        return time.monotonic()
