"""What a process writes to its log, and what it keeps out."""

import logging
from collections.abc import Iterator

import httpx
import pytest

from streams.process import configure_logging


@pytest.fixture
def logging_as_before() -> Iterator[None]:
    root, names = logging.getLogger(), ("mode", "faust", "aiokafka", "httpx", "httpcore")
    handlers, level, levels = root.handlers[:], root.level, [logging.getLogger(name).level for name in names]
    root.handlers = []
    yield
    root.handlers = handlers
    root.setLevel(level)
    for name, before in zip(names, levels, strict=True):
        logging.getLogger(name).setLevel(before)


@pytest.mark.usefixtures("logging_as_before")
@pytest.mark.parametrize("level", ["DEBUG", "INFO"])
async def test_the_address_of_a_call_is_not_logged(level: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(level)
    answering = httpx.MockTransport(lambda _: httpx.Response(200))
    async with httpx.AsyncClient(transport=answering) as client:
        await client.post("https://desk.example/hook?token=hunter2")
    logging.getLogger("streams").info("a line of ours")
    written = capsys.readouterr().err
    assert "a line of ours" in written
    assert "hunter2" not in written
