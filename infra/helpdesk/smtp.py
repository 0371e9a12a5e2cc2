"""Replies to e-mail by SMTP (RFC 5321), one connection a message.

Whether a message went out is certain until its text is on the way: every failure before is known to have done nothing.
"""

import asyncio
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

from aiosmtplib import (
    SMTP,
    SMTPAuthenticationError,
    SMTPConnectError,
    SMTPConnectTimeoutError,
    SMTPException,
    SMTPResponseException,
)

from processors.errors import DependencyDown, TryLater, Undeliverable
from processors.mail_reply import Letter, Letterhead, letter_of
from processors.ports import Clock, Reply
from schemas.ingress import Channel

NAME = "mail server"
CONNECT_WITHIN = 5.0  # seconds
GOODBYE_WITHIN = 1.0  # seconds
LOGIN_NEEDED = 530  # RFC 4954 §6

Security = Literal["starttls", "tls", "none"]


@dataclass(frozen=True)
class SmtpServer:
    """The server that takes our mail."""

    host: str
    port: int
    security: Security = "starttls"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = None  # None: the system's authorities, and the host's name must fit


class SmtpReplies:
    """Replies as e-mails. The reference of a reply is its Message-ID, the same for every try."""

    def __init__(self, server: SmtpServer, head: Letterhead, clock: Clock) -> None:
        self._server, self._head, self._clock = server, head, clock

    async def reply(self, reply: Reply, deadline: float) -> str:
        """Hand the message to the server; its Message-ID."""
        letter = letter_of(reply, self._head, self._clock.now())
        client = self._client()
        try:
            await self._submit(client, letter, deadline)
            with suppress(SMTPException, OSError, TimeoutError):  # it is sent: a bad goodbye changes nothing
                async with asyncio.timeout(GOODBYE_WITHIN):
                    await client.quit()
        finally:
            client.close()
        return letter.message_id

    async def find(self, key: str, channel: Channel) -> str | None:
        """A mail server does not tell what it was given.

        Raises:
            LookupError: always.
        """
        raise LookupError("a mail server cannot be asked what it has sent")

    def _client(self) -> SMTP:
        server = self._server
        return SMTP(
            hostname=server.host,
            port=server.port,
            local_hostname=self._head.domain,
            timeout=None,  # one deadline for all of it
            use_tls=server.security == "tls",
            start_tls=server.security == "starttls",
            tls_context=server.tls,
        )

    async def _submit(self, client: SMTP, letter: Letter, deadline: float) -> None:
        sending = False
        try:
            async with asyncio.timeout(deadline):
                await self._open(client, min(CONNECT_WITHIN, deadline / 2))
                await client.mail(letter.sender)
                await client.rcpt(letter.recipient)
                sending = True
                await client.data(letter.content)
        except SMTPResponseException as answer:
            raise _judged(answer, untouched=not sending) from None
        except (SMTPException, OSError, TimeoutError) as error:
            raise DependencyDown(NAME, type(error).__name__, untouched=not sending) from None

    async def _open(self, client: SMTP, within: float) -> None:
        """Connect, encrypt and log in. Each failure names the settings it is about.

        Raises:
            DependencyDown: one of them failed; nothing was sent.
        """
        step = "SMTP_HOST, SMTP_PORT and SMTP_SECURITY"
        try:
            async with asyncio.timeout(within):
                await client.connect()
                if self._server.username is not None:
                    step = "SMTP_USERNAME and SMTP_PASSWORD"
                    await client.login(self._server.username, self._server.password or "")
        except SMTPAuthenticationError as refused:
            raise _down(f"{refused.code} at the login", "SMTP_USERNAME and SMTP_PASSWORD") from None
        except (SMTPConnectError, SMTPConnectTimeoutError) as error:
            raise _down(type(error.__cause__ or error).__name__, step) from None
        except (SMTPException, OSError, TimeoutError) as error:  # OSError: TLS among others
            raise _down(type(error).__name__, step) from None


def _judged(answer: SMTPResponseException, *, untouched: bool) -> DependencyDown | TryLater | Undeliverable:
    """What a reply code means (RFC 5321 §4.2.1): 4xx later, 5xx never, and the message was certainly not taken."""
    if answer.code == LOGIN_NEEDED:
        return _down(f"{answer.code} before the message", "SMTP_USERNAME and SMTP_PASSWORD")
    if 400 <= answer.code < 500:
        return TryLater(f"{NAME}: {answer.code}")
    if 500 <= answer.code < 600:
        return Undeliverable(f"{NAME}: {answer.code}")
    return DependencyDown(NAME, f"unexpected code {answer.code}", untouched=untouched)


def _down(detail: str, settings: str) -> DependencyDown:
    return DependencyDown(NAME, f"{detail}; look at {settings}", untouched=True)
