"""A worker process: its services and stages on one event loop, until a signal or a crash."""

import asyncio
import json
import logging
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import mode
from aiokafka.errors import KafkaError
from mode.threads import WorkerThread
from mode.types import ServiceT

from processors.errors import DependencyDown
from streams.transport import App

QUIET = dict.fromkeys(("mode", "faust", "aiokafka", "httpx", "httpcore"), logging.WARNING)
LINES = 5  # of one kind
PER = 10.0  # seconds
THREADS_END_WITHIN = 10.0  # seconds

logger = logging.getLogger(__name__)


class Together(mode.Service):
    """Starts stages at the same time: one after the other, they would join their groups one after the other."""

    mundane_level = "debug"

    def __init__(self, apps: Sequence[App], **options: Any) -> None:  # noqa: ANN401
        self._apps = apps
        super().__init__(**options)

    async def on_start(self) -> None:
        """Wait until each is up; those that are, are passed over when their own turn comes."""
        await asyncio.gather(*(app.maybe_start() for app in self._apps))


class Process(mode.Worker):
    """Starts the services in their order, then all stages; stops all stages, then the services."""

    mundane_level = "debug"

    def __init__(self, services: Sequence[ServiceT], apps: Sequence[App], **options: Any) -> None:  # noqa: ANN401
        self.apps = apps
        # Logging is ours: mode's own set-up, at the level warn, sets the root logger to DEBUG.
        children = (*services, Together(apps), *apps)
        super().__init__(*children, override_logging=False, redirect_stdouts=False, quiet=True, **options)

    def install_signal_handlers(self) -> None:
        """SIGTERM and SIGINT drain. mode would also open a debugger on SIGUSR2."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self.loop.add_signal_handler(number, self._schedule_shutdown, number)

    async def stop(self) -> None:
        """Drain the stages together: one after the other, their deadlines would add up."""
        await asyncio.gather(*(app.stop() for app in self.apps if app.started))
        await super().stop()

    async def until_done(self) -> int:
        """Run until a signal (0) or a crash (1).

        Raises:
            DependencyDown: a dependency does not answer at the start.
        """
        try:
            await self.start()
        except KafkaError as error:
            raise DependencyDown("Kafka", type(error).__name__) from error
        finally:
            await (self._signal_stop_future or self.stop())
            await _threads_ended()
        return 1 if self.crash_reason else 0


async def _threads_ended() -> None:
    """Wait for the consumers' threads: they speak to this event loop to their last moment, also after a crash."""
    for thread in threading.enumerate():
        if isinstance(thread, WorkerThread):
            await asyncio.to_thread(thread.join, THREADS_END_WITHIN)


async def operate(services: Sequence[ServiceT], apps: Sequence[App]) -> int:
    """Run stages, after the services they need, and return the exit code."""
    code = await Process(services, apps, loop=asyncio.get_running_loop()).until_done()
    logger.info("stopped with exit code %d", code)
    return code


def configure_logging(level: str, *, as_json: bool = False) -> None:
    """One line an event on standard error.

    Kafka's client is held back, it writes a hundred a second in an outage; and the HTTP client, which writes the
    address of each call: a webhook's may hold a secret.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(
        JsonLines() if as_json else logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    )
    handler.addFilter(Rarely())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name, least in QUIET.items():
        logging.getLogger(name).setLevel(least)


class JsonLines(logging.Formatter):
    """A line of JSON an event: at, level, logger, message, and the traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """One event on one line."""
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class Rarely(logging.Filter):
    """Lets a library's line through a few times per interval, then once more with the number left out."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[tuple[str, str], tuple[float, int]] = defaultdict(lambda: (0.0, 0))

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is written."""
        if not record.name.startswith("aiokafka"):
            return True
        kind, now = (record.name, str(record.msg)), time.monotonic()
        since, count = self._seen[kind]
        if now - since > PER:
            if count > LINES:
                record.msg = f"{record.msg} (and {count - LINES} more like it)"
            since, count = now, 0
        self._seen[kind] = (since, count + 1)
        return count < LINES
