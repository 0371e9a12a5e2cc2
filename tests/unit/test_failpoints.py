"""A failpoint strikes once, at its step, and is refused where it is misspelt."""

import subprocess
import sys

import pytest

from infra.clock import SystemClock
from infra.scripted.failpoints import KILLED, Failpoint, failing, skewed
from infra.settings import SettingsError


class Port:
    def __init__(self) -> None:
        self.calls = 0

    async def claim(self, more: int = 0) -> int:
        self.calls += 1 + more
        return self.calls


async def test_without_one_the_port_is_untouched() -> None:
    port = Port()
    assert await failing(port, None).claim() == 1
    assert "claim" not in vars(failing(port, "mark_sent:after=raise"))


@pytest.mark.parametrize(("when", "calls"), [("before", 0), ("after", 1)])
async def test_it_strikes_once_before_or_after_the_call(when: str, calls: int) -> None:
    port = failing(Port(), f"claim:{when}=raise")
    with pytest.raises(Failpoint):
        await port.claim()
    assert port.calls == calls
    assert await port.claim(more=1) == calls + 2


def test_exit_ends_the_process_as_a_kill_would() -> None:
    script = (
        "import asyncio\nfrom infra.scripted.failpoints import failing\n"
        "class Port:\n    async def claim(self): print('claimed', flush=True)\n"
        "try: asyncio.run(failing(Port(), 'claim:after=exit').claim())\nfinally: print('cleaned up')\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (KILLED, "claimed\n")


@pytest.mark.parametrize(
    "text", ["claim", "claim:after", "claim:later=exit", "claim:after=sleep", "claim:after=block:"]
)
def test_a_misspelt_one_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="SLUICE_FAILPOINT"):
        failing(Port(), text)


def test_a_clock_may_be_wrong_by_so_many_seconds_and_nothing_else_is() -> None:
    true = SystemClock()
    wrong = skewed(true, "clock=-600")
    assert abs((true.now() - wrong.now()).total_seconds() - 600) < 5
    assert abs(true.monotonic() - wrong.monotonic()) < 5
    assert skewed(true, None) is skewed(true, "claim:after=exit") is true
    assert vars(failing(Port(), "clock=+600")) == {"calls": 0}
