"""Posting to an edge that refuses, or is not there: one message, whatever was in flight."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from loadtest.traffic import Posting, Refused, post

POSTINGS = [Posting(f"t{number}", "/v1/tickets", b"{}", {}, f"lane-{number}") for number in range(4)]


class Refusing(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.send_error(401)

    def log_message(self, format: str, *args: object) -> None:
        """No access log."""


@pytest.fixture
def refusing() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


async def test_a_refusal_is_one_message(refusing: str) -> None:
    with pytest.raises(Refused, match=r"^t\d: 401"):
        await post(refusing, "key", POSTINGS, rate=1000, on_accept=lambda _: None)


async def test_an_edge_that_is_away_is_one_message_too() -> None:
    with pytest.raises(Refused, match=r"^t\d: the edge does not answer: ConnectError"):
        await post("http://127.0.0.1:1", "key", POSTINGS, rate=1000, on_accept=lambda _: None)
