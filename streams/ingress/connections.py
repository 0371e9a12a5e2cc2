"""Connections that say nothing are closed: they hold a place that a customer's message needs.

uvicorn has a limit of connections and closes idle ones after a request; before the first, and in the middle of a
request's head, it would wait for ever.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_WITHIN = 10.0  # seconds; for the head of a request, and between requests


class Impatient(H11Protocol):
    """Closes a connection that began no request for a while."""

    _watch: asyncio.TimerHandle | None = None
    _seen: object = None  # the request that was answered when last looked

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - as uvicorn has it
        """Begin to watch."""
        super().connection_made(transport)
        self._watch = self.loop.call_later(HEAD_WITHIN, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """Watch no longer."""
        if self._watch is not None:
            self._watch.cancel()
        super().connection_lost(exc)

    def _look(self) -> None:
        busy = self.cycle is not None and not self.cycle.response_complete
        if not busy and self.cycle is self._seen:
            self.transport.close()
            return
        self._seen = None if busy else self.cycle
        self._watch = self.loop.call_later(HEAD_WITHIN, self._look)
