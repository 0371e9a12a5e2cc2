"""Failpoints: let a process die, fail or hang at one exact step of its work, for chaos runs and drills.

`METHOD:WHEN=ACTION`, such as `claim:after=exit`: METHOD is one of a port's, WHEN is before or after, and ACTION is exit
(as kill -9 would end it), raise (an error nobody expects), or block:SECONDS (the event loop stands still). Or the
process's clock is wrong by so many seconds: `clock=+600`.
"""

import logging
import os
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import wraps
from typing import Any, TypeVar

from infra.settings import SettingsError
from processors.ports import Clock

P = TypeVar("P")
FORM = re.compile(r"(?P<method>[a-z_]+):(?P<when>before|after)=(?P<action>exit|raise|block:\d{1,3})")
SKEW = re.compile(r"clock=([+-]\d{1,6})")
KILLED = 137  # what a shell says of a process that SIGKILL ended

logger = logging.getLogger(__name__)


class Failpoint(Exception):
    """The error that a failpoint raises: nobody expects it."""


@dataclass(frozen=True)
class Fail:
    """One failpoint."""

    method: str
    when: str
    action: str

    @classmethod
    def parse(cls, text: str) -> "Fail":
        """Read a failpoint.

        Raises:
            SettingsError: it has another form.
        """
        found = FORM.fullmatch(text)
        if found is None:
            raise SettingsError(
                f"SLUICE_FAILPOINT: {text!r} is no METHOD:before|after=exit|raise|block:SECONDS, nor clock=+SECONDS"
            )
        return cls(**found.groupdict())

    def strike(self) -> None:
        """Do what is asked for."""
        logger.warning("failpoint %s:%s=%s", self.method, self.when, self.action)
        if self.action == "exit":
            os._exit(KILLED)
        if self.action == "raise":
            raise Failpoint(self.method)
        time.sleep(int(self.action.partition(":")[2]))


def failing(port: P, text: str | None) -> P:
    """The port as it is; where a failpoint is set, one whose method strikes on its first call."""
    if text is None or SKEW.fullmatch(text):
        return port
    fail = Fail.parse(text)
    if hasattr(port, fail.method):
        logger.warning("SLUICE_FAILPOINT is set: %s fails on purpose, once", fail.method)
        setattr(port, fail.method, _once(getattr(port, fail.method), fail))
    return port


def skewed(clock: Clock, text: str | None) -> Clock:
    """The clock as it is; where the failpoint says so, one that is wrong."""
    found = SKEW.fullmatch(text or "")
    if found is None:
        return clock
    logger.warning("SLUICE_FAILPOINT is set: the clock is wrong by %s s on purpose", found[1])
    return Skewed(clock, timedelta(seconds=int(found[1])))


@dataclass(frozen=True)
class Skewed:
    """A clock whose time of day is wrong; its monotonic one goes on as ever."""

    true: Clock
    by: timedelta

    def now(self) -> datetime:
        """The wrong time of day."""
        return self.true.now() + self.by

    def monotonic(self) -> float:
        """Seconds since whenever."""
        return self.true.monotonic()


def _once(call: Callable[..., Awaitable[Any]], fail: Fail) -> Callable[..., Awaitable[Any]]:
    struck = False

    def strike(when: str) -> None:
        nonlocal struck
        if fail.when == when and not struck:
            struck = True
            fail.strike()

    @wraps(call)
    async def wrapped(*given: Any, **named: Any) -> Any:  # noqa: ANN401  whatever the port's method takes and gives
        strike("before")
        answer = await call(*given, **named)
        strike("after")
        return answer

    return wrapped
