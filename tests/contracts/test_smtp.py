"""Replies by SMTP against a mail server that refuses, dawdles and breaks off: what is certain, and what is not."""

import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from infra.clock import SystemClock
from infra.helpdesk.smtp import SmtpReplies, SmtpServer
from infra.scripted.smtp_server import Faults, MailServer
from processors.errors import DependencyDown, TryLater, Undeliverable
from processors.ports import Reply
from schemas.ingress import Channel
from tests.unit.test_mail_reply import HEAD, TICKET

REPLY = Reply("k:1", TICKET, "Tomorrow.\n.\nA line with one dot stands above.", ())
HOST = "127.0.0.1"


@asynccontextmanager
async def sending(server: MailServer, **listening: object) -> AsyncIterator[SmtpReplies]:
    """The adapter, on a server that listens."""
    listener = await server.listen(HOST, **listening)  # type: ignore[arg-type]
    port = listener.sockets[0].getsockname()[1]
    try:
        yield SmtpReplies(SmtpServer(HOST, port, "none"), HEAD, SystemClock())
    finally:
        listener.close()


def over(adapter: SmtpReplies, **changes: object) -> SmtpReplies:
    """The same adapter with other settings."""
    return SmtpReplies(replace(adapter._server, **changes), HEAD, SystemClock())  # type: ignore[arg-type]


async def test_a_reply_arrives_whole_under_its_message_id() -> None:
    server = MailServer()
    async with sending(server) as mail:
        reference = await mail.reply(REPLY, 5.0)
    (taken,) = server.taken
    assert taken.message["Message-ID"] == f"<{reference}>"
    assert taken.recipient == "ada@example.net"
    assert taken.sender == taken.message["Reply-To"].addresses[0].addr_spec
    assert taken.message.get_content().splitlines()[:3] == REPLY.text.splitlines()


async def test_a_local_part_that_needs_quotes_is_written_to() -> None:
    server, ticket = MailServer(), TICKET.model_copy(update={"sender": "a..b@docomo.example"})
    async with sending(server) as mail:
        await mail.reply(replace(REPLY, ticket=ticket), 5.0)
    assert [taken.recipient for taken in server.taken] == ["a..b@docomo.example"]  # the server has read the quotes


async def test_a_second_try_carries_the_same_message_id() -> None:
    server = MailServer()
    async with sending(server) as mail:
        assert await mail.reply(REPLY, 5.0) == await mail.reply(REPLY, 5.0)
    first, second = server.taken
    assert first.message["Message-ID"] == second.message["Message-ID"]


@pytest.mark.parametrize("at", ["mail", "rcpt", "data"])
@pytest.mark.parametrize(
    ("status", "error"), [(421, TryLater), (450, TryLater), (452, TryLater), (550, Undeliverable), (554, Undeliverable)]
)
async def test_a_code_says_later_or_never(at: str, status: int, error: type[Exception]) -> None:
    server = MailServer(faults=Faults(at=at, status=status))  # type: ignore[arg-type]
    async with sending(server) as mail:
        with pytest.raises(error, match=str(status)):
            await mail.reply(REPLY, 5.0)
        assert server.taken == []
        assert await mail.reply(REPLY, 5.0)


@pytest.mark.parametrize(("at", "untouched"), [("mail", True), ("rcpt", True), ("data", False)])
@pytest.mark.parametrize("fault", [{"drop": True}, {"delay": 30.0}])
async def test_only_what_breaks_off_after_the_text_is_unclear(
    at: str, untouched: bool, fault: dict[str, float]
) -> None:
    server = MailServer(faults=Faults(at=at, **fault))  # type: ignore[arg-type]
    async with sending(server) as mail:
        with pytest.raises(DependencyDown) as down:
            await mail.reply(REPLY, 0.5)
    assert down.value.untouched is untouched
    assert len(server.taken) == (0 if untouched or "delay" in fault else 1)


async def test_a_server_that_is_not_there_has_certainly_done_nothing() -> None:
    closed = SmtpReplies(SmtpServer(HOST, 1, "none"), HEAD, SystemClock())
    with pytest.raises(DependencyDown, match="SMTP_HOST") as down:
        await closed.reply(REPLY, 5.0)
    assert down.value.untouched


async def test_a_login_is_not_tried_where_the_server_has_none() -> None:
    async with sending(MailServer()) as mail:
        with pytest.raises(DependencyDown, match="SMTP_USERNAME"):
            await over(mail, username="sluice", password="secret").reply(REPLY, 5.0)


# -- TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for the address of the server, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=mail -keyout key.pem -out cert.pem"
    subject = ["-addext", f"subjectAltName=IP:{HOST}"]
    subprocess.run([*command.split(), *subject], cwd=folder, check=True, capture_output=True, timeout=60)
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture
def tls(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    return context


@pytest.mark.parametrize(("security", "from_first_byte"), [("starttls", False), ("tls", True)])
async def test_it_sends_over_tls_to_a_server_it_can_trust(
    tls: ssl.SSLContext, certificate: tuple[Path, Path], security: str, from_first_byte: bool
) -> None:
    server, trusting = MailServer(), ssl.create_default_context(cafile=certificate[0])
    async with sending(server, tls=tls, from_first_byte=from_first_byte) as mail:
        assert await over(mail, security=security, tls=trusting).reply(REPLY, 5.0)
        with pytest.raises(DependencyDown, match="SMTP_SECURITY") as down:
            await over(mail, security=security).reply(REPLY, 5.0)
    assert down.value.untouched
    assert len(server.taken) == 1


async def test_it_logs_in_with_the_right_password_only(tls: ssl.SSLContext, certificate: tuple[Path, Path]) -> None:
    server, trusting = MailServer(), ssl.create_default_context(cafile=certificate[0])
    async with sending(server, tls=tls, login=("sluice", "secret")) as mail:
        safe = over(mail, security="starttls", tls=trusting)
        assert await over(safe, username="sluice", password="secret").reply(REPLY, 5.0)
        for wrong in ({"username": "sluice", "password": "guess"}, {}):
            with pytest.raises(DependencyDown, match="SMTP_USERNAME and SMTP_PASSWORD") as down:
                await over(safe, **wrong).reply(REPLY, 5.0)
            assert down.value.untouched
            assert "guess" not in str(down.value)


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_it_never_falls_back_to_plain_text(security: str) -> None:
    server = MailServer()
    async with sending(server) as mail:
        with pytest.raises(DependencyDown, match="SMTP_SECURITY") as down:
            await over(mail, security=security).reply(REPLY, 2.0)
    assert down.value.untouched
    assert server.taken == []


async def test_a_mail_server_cannot_be_asked() -> None:
    async with sending(MailServer()) as mail:
        with pytest.raises(LookupError):
            await mail.find("k:1", Channel.EMAIL)
