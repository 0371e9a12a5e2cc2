"""A mail server and the mailboxes behind it: keeps what it takes, refuses, dawdles, breaks off, and answers by itself.

GET /messages   everything taken: envelope and headers
PUT /faults     {"at": "rcpt", "status": 450, "times": 3, "delay": 0.5, "drop": false}: how the next commands fail
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from enum import StrEnum
from itertools import count
from typing import Literal

import httpx
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from pydantic import BaseModel, Field, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

OK = "250 OK"


class Faults(BaseModel):
    """How the next commands of one kind fail."""

    at: Literal["mail", "rcpt", "data"] = "data"
    status: int = Field(250, ge=250, le=599)  # 250: only the delay
    times: int = Field(1, ge=0)
    delay: float = Field(0.0, ge=0)  # seconds
    drop: bool = False  # the connection is cut instead of answered; at `data` the message is kept all the same


@dataclass(frozen=True)
class Taken:
    """A message the server took, with its envelope."""

    sender: str
    recipient: str
    content: bytes

    @property
    def message(self) -> EmailMessage:
        """The message, parsed."""
        parsed = message_from_bytes(self.content, policy=policy.default)
        assert isinstance(parsed, EmailMessage)
        return parsed


Answering = Callable[[Taken], Awaitable[None]]


async def silent(_: Taken) -> None:
    """No mailbox answers."""


@dataclass
class MailServer:
    """The server's memory, and what it does with each command; a handler of aiosmtpd."""

    answering: Answering = silent  # called with each message once the server has said that it has it
    taken: list[Taken] = field(default_factory=list)
    faults: Faults = field(default_factory=lambda: Faults(times=0))
    _busy: set["asyncio.Task[None]"] = field(default_factory=set)

    async def listen(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        tls: ssl.SSLContext | None = None,
        from_first_byte: bool = False,
        login: tuple[str, str] | None = None,
    ) -> asyncio.Server:
        """Listen; close what it returns. With `tls` it offers STARTTLS, or speaks TLS from the first byte.

        A `login` (name and password) is taken after STARTTLS only.
        """
        wanted = None if login is None else LoginPassword(login[0].encode(), login[1].encode())

        def check(server: SMTP, session: Session, envelope: Envelope, mechanism: str, given: object) -> AuthResult:
            return AuthResult(success=given == wanted, handled=False)

        def connection() -> SMTP:
            return SMTP(
                self,
                hostname="scripted.example",
                tls_context=None if from_first_byte else tls,
                authenticator=check,
                auth_required=wanted is not None,
            )

        return await asyncio.get_running_loop().create_server(
            connection, host, port, ssl=tls if from_first_byte else None
        )

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """MAIL FROM."""
        failure = await self._fault("mail", server)
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return failure or OK

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """RCPT TO."""
        failure = await self._fault("rcpt", server)
        if failure is None:
            envelope.rcpt_tos.append(address)
        return failure or OK

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """The end of the text."""
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        taken = [Taken(envelope.mail_from or "", recipient, content) for recipient in envelope.rcpt_tos]
        if self.faults.times and self.faults.at == "data" and self.faults.drop:
            self.taken += taken
        failure = await self._fault("data", server)
        if failure is not None:
            return failure
        self.taken += taken
        for one in taken:
            task = asyncio.ensure_future(self.answering(one))
            self._busy.add(task)
            task.add_done_callback(self._busy.discard)
        return OK

    async def quiet(self) -> None:
        """Wait until every mailbox has answered."""
        while self._busy:
            await asyncio.gather(*self._busy)

    async def _fault(self, at: str, server: SMTP) -> str | None:
        fault = self.faults
        if fault.times == 0 or fault.at != at:
            return None
        self.faults = fault.model_copy(update={"times": fault.times - 1})
        await asyncio.sleep(fault.delay)
        if fault.drop:
            assert server.transport is not None
            server.transport.close()
            return "421 gone"
        return None if fault.status == 250 else f"{fault.status} as it was told"


def create_control(server: MailServer) -> Starlette:
    """The ASGI app that shows what was taken and sets the faults. It is open: bind it to loopback."""

    async def messages(_: Request) -> Response:
        return JSONResponse([_shown(taken) for taken in server.taken])

    async def faults(request: Request) -> Response:
        try:
            server.faults = Faults.model_validate_json(await request.body())
        except ValidationError as error:
            return JSONResponse({"faults": [fault["msg"] for fault in error.errors()]}, 422)
        return Response(status_code=204)

    return Starlette(routes=[Route("/messages", messages), Route("/faults", faults, methods=["PUT"])])


def _shown(taken: Taken) -> dict[str, object]:
    message = taken.message
    headers = {name: str(value) for name, value in message.items()}
    return {"from": taken.sender, "to": taken.recipient, "headers": headers, "text": message.get_content()}


# -- mailboxes that answer by themselves


class Manner(StrEnum):
    """How an answering machine behaves. All but the first break RFC 3834, as real ones do."""

    MARKED = "marked"  # sets Auto-Submitted
    THREADED = "threaded"  # sets In-Reply-To and References, and nothing else; always the same text
    CHANGING = "changing"  # threaded, with another text each time
    QUOTING = "quoting"  # threaded, with the whole message quoted below
    ECHOING = "echoing"  # threaded, sends back what it got
    HEADLESS = "headless"  # no thread headers; answers to Reply-To
    BOUNCING = "bouncing"  # no thread headers; answers to the envelope's sender, as RFC 3834 §4 asks
    BLUNT = "blunt"  # no thread headers; answers to From
    FRESH = "fresh"  # a new mail each time: other subject, other words, another spelling of its address


def posting(edge: str, key: str, manner: Manner) -> Answering:
    """Mailboxes that answer each message by a mail to the edge's `POST /v1/email`, as the receiving mail server."""
    numbers = count(1)
    headers = {"authorization": f"Bearer {key}", "content-type": "message/rfc822"}

    async def answering(taken: Taken) -> None:
        async with httpx.AsyncClient() as client:
            await client.post(edge, content=answer_of(taken, manner, next(numbers)), headers=headers)

    return answering


def answer_of(taken: Taken, manner: Manner, number: int) -> bytes:
    """The answering machine's mail to a message; `number` makes its id, and the text of one that changes it."""
    got = taken.message
    answer = EmailMessage(policy=policy.SMTP)
    answer["From"], answer["To"] = _own_address(taken.recipient, manner, number), _addressee(taken, got, manner)
    answer["Subject"] = f"Order question {number}" if manner is Manner.FRESH else str(got["Subject"])
    answer["Message-ID"] = f"<auto-{number}@{taken.recipient.rpartition('@')[2]}>"
    if manner is Manner.MARKED:
        answer["Auto-Submitted"] = "auto-replied"
    if manner not in (Manner.HEADLESS, Manner.BOUNCING, Manner.BLUNT, Manner.FRESH):
        answer["In-Reply-To"] = str(got["Message-ID"])
        answer["References"] = f"{got['References'] or ''} {got['Message-ID']}".strip()
    answer.set_content(_words(got.get_content(), manner, number))
    return answer.as_bytes()


def _own_address(address: str, manner: Manner, number: int) -> str:
    local, _, domain = address.partition("@")
    return f"{local.title()}+{number}@{domain}" if manner is Manner.FRESH else address


def _addressee(taken: Taken, got: EmailMessage, manner: Manner) -> str:
    match manner:
        case Manner.BOUNCING:
            return taken.sender
        case Manner.BLUNT | Manner.FRESH:
            return str(got["From"])
        case _:
            return str(got["Reply-To"] or got["From"])


def _words(text: str, manner: Manner, number: int) -> str:
    asking = "How long do I have to return something I bought?"
    match manner:
        case Manner.ECHOING:
            return text
        case Manner.QUOTING:
            quoted = "\n".join(f"> {line}" for line in text.splitlines())
            return f"{asking}\n\nOn Friday Support wrote:\n{quoted}\n"
        case Manner.CHANGING | Manner.FRESH:
            return f"{asking} This is thought number {number}, and it is new."
        case _:
            return asking
