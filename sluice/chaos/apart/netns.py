"""A network namespace for a process, with a cable that can be cut: packets then vanish, as in a partition.

Linux, root and iproute2 (`ip netns`, `ip link`); Unix sockets go on working, only the cable carries TCP.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

OUTSIDE, INSIDE = "10.213.77.1", "10.213.77.2"


class NoNamespaces(Exception):
    """This machine does not let us make one; the message says why."""


@dataclass(frozen=True)
class Cable:
    """Between this machine (`OUTSIDE`) and the namespace (`INSIDE`)."""

    namespace: str
    device: str  # the other end, in the namespace

    def inside(self, command: Sequence[str]) -> list[str]:
        """The command line that runs a command in the namespace."""
        return ["ip", "netns", "exec", self.namespace, *command]

    def cut(self) -> None:
        """Let every packet vanish, silently: nobody is told that the other side is away."""
        _ip("-n", self.namespace, "link", "set", self.device, "down")

    def mend(self) -> None:
        """Let packets pass again."""
        _ip("-n", self.namespace, "link", "set", self.device, "up")


@contextmanager
def cable() -> Iterator[Cable]:
    """A namespace and its cable for as long as the context lasts.

    Raises:
        NoNamespaces: they cannot be had here.
    """
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("ip") is None:
        raise NoNamespaces("a network namespace needs Linux, root and iproute2")
    name = f"sluice-{os.getpid()}"
    end, other = f"sl{os.getpid()}o", f"sl{os.getpid()}i"
    with ExitStack() as undo:
        _ip("netns", "add", name)
        undo.callback(_ip, "netns", "delete", name)
        _ip("link", "add", end, "type", "veth", "peer", "name", other, "netns", name)
        _ip("addr", "add", f"{OUTSIDE}/30", "dev", end)
        _ip("link", "set", end, "up")
        for words in (("addr", "add", f"{INSIDE}/30", "dev", other), ("link", "set", other, "up")):
            _ip("-n", name, *words)
        _ip("-n", name, "link", "set", "lo", "up")
        yield Cable(name, other)


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoNamespaces(f"ip {' '.join(words)}: {done.stderr.strip()}")
