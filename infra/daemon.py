"""Processes that outlive the command that started them, found again and stopped by their folder.

Standard library only: set-up uses it before any package is installed.
"""

import fcntl
import json
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

POLL = 0.05  # seconds
KILL_TIMEOUT = 20.0  # seconds the system may need to clear a killed process away


@dataclass(frozen=True)
class Daemon:
    """One background process of a folder: `<name>.lock`, `<name>.json` (pid and what it was told) and `<name>.log`.

    The process inherits the lock and holds it exactly as long as it lives, so no stale pid is ever trusted.
    """

    directory: Path
    name: str

    @property
    def log(self) -> Path:
        return self.directory / f"{self.name}.log"

    def alive(self) -> bool:
        """Whether the process runs, or somebody is starting it."""
        try:
            file = os.open(self._lock_file, os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(file)
        return False

    def state(self) -> dict[str, int]:
        """What the last start noted, `pid` included; empty before the first."""
        with suppress(FileNotFoundError, ValueError):
            return dict(json.loads(self._state_file.read_text()))
        return {}

    @contextmanager
    def lock(self) -> Iterator[int | None]:
        """The right to start the process, as the lock's file descriptor; None where it runs already."""
        self.directory.mkdir(parents=True, exist_ok=True)
        file = os.open(self._lock_file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            yield file if _took(file) else None
        finally:
            os.close(file)

    def spawn(self, command: Sequence[str], lock: int, note: Mapping[str, int]) -> int:
        """Start the process in a session of its own, its output appended to the log; its pid."""
        self._state_file.unlink(missing_ok=True)
        os.set_inheritable(lock, True)
        out = (os.POSIX_SPAWN_OPEN, 1, str(self.log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        files = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0), out, (os.POSIX_SPAWN_DUP2, 1, 2)]
        pid = os.posix_spawn(command[0], list(command), os.environ, file_actions=files, setsid=True)
        self._state_file.write_text(json.dumps({"pid": pid, **note}))
        return pid

    def stop(self, timeout: float) -> None:
        """End the process and wait: SIGTERM, and SIGKILL after `timeout` seconds."""
        self._end(signal.SIGTERM, timeout)
        self.kill()

    def kill(self) -> None:
        """End the process at once, as a crash would."""
        self._end(signal.SIGKILL, KILL_TIMEOUT)

    def tail(self, lines: int = 20) -> str:
        """The end of the log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.is_file() else ""

    def _end(self, how: signal.Signals, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        pid = self.state().get("pid")
        if pid is None or not self.alive():
            return
        with suppress(ProcessLookupError):
            os.kill(pid, how)
        while self.alive() and time.monotonic() < deadline:
            time.sleep(POLL)
        with suppress(ChildProcessError):  # a child of another process is that one's to reap
            os.waitpid(pid, os.WNOHANG)

    @property
    def _lock_file(self) -> Path:
        return self.directory / f"{self.name}.lock"

    @property
    def _state_file(self) -> Path:
        return self.directory / f"{self.name}.json"


def _took(lock: int) -> bool:
    for _ in range(3):  # somebody else's glance at the lock lasts microseconds, a process's hold its life
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(POLL)
    return False
