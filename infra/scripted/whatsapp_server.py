"""Meta's side of WhatsApp as a server: takes replies as the Cloud API does, and sends signed webhooks to the edge.

POST /{version}/{phone number id}/messages   a text: its id, or an error of Meta's
GET  /sent                                   every message it took
POST /customers/{number}/messages            {"text": "..."} or any message of Meta's: a customer writes, which opens
                                             their window and calls the webhook; "times": 2 delivers it again,
                                             "age": seconds that it is old, "forged": true signs it wrongly
POST /webhooks                               {"messages": [...], "statuses": [...], "times", "forged"}: a batch
POST /statuses                               calls the webhook with a "delivered" for everything it took
PUT  /faults                                 {"code": 130429, "status": 429, "times": 3, "delay", "done", "retry_after"}
"""

import asyncio
import hashlib
import hmac
import json
import secrets
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx
from pydantic import BaseModel, Field, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from processors.ports import Clock

WINDOW = timedelta(hours=24)
MAX_TEXT = 4096  # characters
DISPLAYED = "15550199000"  # the number that the customers see

Json = Mapping[str, object]


class Faults(BaseModel):
    """How the next calls fail."""

    code: int = 0  # of Meta's; 0 and status 200: only the delay
    status: int = Field(200, ge=200, le=599)
    times: int = Field(1, ge=0)
    delay: float = Field(0.0, ge=0)  # seconds
    done: bool = False  # the message goes out all the same, as when an answer is lost
    retry_after: int | None = None  # seconds


class Written(BaseModel):
    """What a customer writes, and how the webhook tells of it."""

    text: str | None = None
    message: dict[str, Any] = Field(default_factory=dict)  # any message of Meta's, such as {"type": "image", ...}
    times: int = Field(1, ge=1)  # deliveries: Meta may send a webhook again
    age: float = Field(0.0, ge=0)  # seconds
    forged: bool = False


class Batch(BaseModel):
    """A webhook as it stands."""

    messages: list[dict[str, Any]] = Field(default_factory=list)
    statuses: list[dict[str, Any]] = Field(default_factory=list)
    times: int = Field(1, ge=1)
    forged: bool = False


@dataclass(frozen=True)
class Account:
    """The business's account at Meta, and where its webhook is."""

    token: str
    secret: str  # of the app: it signs the webhooks
    number: str = "106540352242922"  # phone number id
    webhook: str = "http://127.0.0.1:8700/v1/whatsapp"
    pair_limit: int = 10  # messages to one customer within a minute
    limit: int = 80  # messages within a second


@dataclass
class Memory:
    """What the server remembers."""

    sent: list[dict[str, Any]] = field(default_factory=list)
    heard: dict[str, datetime] = field(default_factory=dict)  # a customer's last message, by number
    paces: dict[str, list[datetime]] = field(default_factory=lambda: defaultdict(list))
    faults: Faults = field(default_factory=lambda: Faults(times=0))


def webhook_of(number: str, messages: Iterable[Json] = (), statuses: Sequence[Json] = ()) -> bytes:
    """A webhook as Meta writes it: every message in a change of its own, the statuses in one more."""
    metadata = {"display_phone_number": DISPLAYED, "phone_number_id": number}
    values: list[dict[str, object]] = [
        {"contacts": [{"profile": {"name": "A customer"}, "wa_id": message.get("from")}], "messages": [message]}
        for message in messages
    ]
    if statuses:
        values.append({"statuses": [*statuses]})
    changes = [
        {"field": "messages", "value": {"messaging_product": "whatsapp", "metadata": metadata, **value}}
        for value in values
    ]
    body = {"object": "whatsapp_business_account", "entry": [{"id": "102290129340398", "changes": changes}]}
    return json.dumps(body, ensure_ascii=True, separators=(",", ":")).encode()


def signed(body: bytes, secret: str) -> dict[str, str]:
    """The headers of a webhook: its signature is over the very bytes."""
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"content-type": "application/json", "x-hub-signature-256": f"sha256={digest}"}


def create_whatsapp(account: Account, clock: Clock, client: httpx.AsyncClient | None = None) -> Starlette:
    """The ASGI app; `app.state.memory` is what it remembers. Its control routes are open: bind it to loopback."""
    meta = _Meta(account, clock, client or httpx.AsyncClient(), Memory())

    @asynccontextmanager
    async def closing(_: Starlette) -> AsyncIterator[None]:
        async with meta.client:
            yield

    routes = [
        Route("/customers/{customer}/messages", meta.write, methods=["POST"]),
        Route("/{version}/{number}/messages", meta.messages, methods=["POST"]),
        Route("/webhooks", meta.webhooks, methods=["POST"]),
        Route("/statuses", meta.statuses, methods=["POST"]),
        Route("/sent", meta.sent),
        Route("/faults", meta.faults, methods=["PUT"]),
    ]
    app = Starlette(routes=routes, exception_handlers={ValidationError: _unreadable}, lifespan=closing)
    app.state.memory = meta.memory
    return app


@dataclass(frozen=True)
class _Meta:
    account: Account
    clock: Clock
    client: httpx.AsyncClient
    memory: Memory

    async def messages(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {self.account.token}":
            return _error(401, 190, "Invalid OAuth access token.")
        if request.path_params["number"] != self.account.number:
            return _error(400, 33, "Unsupported post request. Object does not exist.")
        fault = await _next_fault(self.memory)
        if fault is not None and not fault.done:
            return _failure(fault)
        answer = _take(self.account, self.memory, await request.body(), self.clock.now())
        return answer if fault is None else _failure(fault)

    async def write(self, request: Request) -> Response:
        written = Written.model_validate_json(await request.body())
        sender, at = request.path_params["customer"], self.clock.now() - timedelta(seconds=written.age)
        self.memory.heard[sender] = max(at, self.memory.heard.get(sender, at))
        message = _message(sender, at, written)
        batch = Batch(messages=[message], times=written.times, forged=written.forged)
        return JSONResponse({"id": message["id"], "answers": await self._call(batch)})

    async def webhooks(self, request: Request) -> Response:
        batch = Batch.model_validate_json(await request.body())
        return JSONResponse({"answers": await self._call(batch)})

    async def statuses(self, _: Request) -> Response:
        at = _seconds(self.clock.now())
        told = [
            {"id": message["id"], "status": "delivered", "timestamp": at, "recipient_id": message["to"]}
            for message in self.memory.sent
        ]
        return JSONResponse({"answers": await self._call(Batch(statuses=told))})

    async def sent(self, _: Request) -> Response:
        return JSONResponse(self.memory.sent)

    async def faults(self, request: Request) -> Response:
        self.memory.faults = Faults.model_validate_json(await request.body())
        return Response(status_code=204)

    async def _call(self, batch: Batch) -> Sequence[int]:
        """Deliver a webhook as often as asked; the statuses it was answered with, 0 for no answer."""
        body = webhook_of(self.account.number, batch.messages, batch.statuses)
        headers = signed(body, "forged" if batch.forged else self.account.secret)
        return [await _deliver(self.client, self.account.webhook, body, headers) for _ in range(batch.times)]


async def _unreadable(_: Request, error: Exception) -> Response:
    faults = error.errors(include_url=False) if isinstance(error, ValidationError) else []
    return JSONResponse({"faults": [fault["msg"] for fault in faults]}, 422)


# -- replies


def _take(account: Account, memory: Memory, body: bytes, now: datetime) -> Response:
    """Send a text, as far as Meta's rules let it."""
    told = _text_of(body)
    if told is None:
        return _error(400, 100, "Invalid parameter")
    to = str(told["to"])
    if (limit := _limit(account, memory, to, now)) is not None:
        return limit
    if now - memory.heard.get(to, datetime.min.replace(tzinfo=now.tzinfo)) >= WINDOW:
        return _error(400, 131047, "Re-engagement message")
    memory.paces[to].append(now)
    message = {**told, "id": f"wamid.{secrets.token_urlsafe(24)}"}
    memory.sent.append(message)
    contacts = [{"input": to, "wa_id": to}]
    return JSONResponse(
        {"messaging_product": "whatsapp", "contacts": contacts, "messages": [{"id": message["id"]}]},
    )


def _text_of(body: bytes) -> dict[str, Any] | None:
    """The message, where it is a text that Meta would take."""
    try:
        told = json.loads(body)
        text = told["text"]["body"]
        valid = told["messaging_product"] == "whatsapp" and told["type"] == "text" and str(told["to"]).isdecimal()
    except (ValueError, KeyError, TypeError):
        return None
    return told if valid and isinstance(text, str) and 0 < len(text) <= MAX_TEXT else None


def _limit(account: Account, memory: Memory, to: str, now: datetime) -> Response | None:
    second = [at for pace in memory.paces.values() for at in pace if at > now - timedelta(seconds=1)]
    if len(second) >= account.limit:
        return _error(429, 130429, "Rate limit hit")
    if len([at for at in memory.paces[to] if at > now - timedelta(minutes=1)]) >= account.pair_limit:
        return _error(400, 131056, "(Business Account, Consumer Account) pair rate limit hit")
    return None


def _error(status: int, code: int, title: str, headers: Mapping[str, str] | None = None) -> Response:
    error = {
        "message": f"(#{code}) {title}",
        "type": "OAuthException",
        "code": code,
        "error_data": {"messaging_product": "whatsapp", "details": title},
        "fbtrace_id": secrets.token_hex(8),
    }
    return JSONResponse({"error": error}, status, headers)


async def _next_fault(memory: Memory) -> Faults | None:
    fault = memory.faults
    if fault.times == 0:
        return None
    memory.faults = fault.model_copy(update={"times": fault.times - 1})
    await asyncio.sleep(fault.delay)
    return None if fault.status == 200 else fault


def _failure(fault: Faults) -> Response:
    headers = {} if fault.retry_after is None else {"retry-after": str(fault.retry_after)}
    return _error(fault.status, fault.code, "A fault on demand", headers)


# -- webhooks


def _message(sender: str, at: datetime, written: Written) -> dict[str, Any]:
    said = written.message or {"type": "text", "text": {"body": written.text or ""}}
    return {"from": sender, "id": f"wamid.{secrets.token_urlsafe(24)}", "timestamp": _seconds(at), **said}


def _seconds(at: datetime) -> str:
    return str(int(at.timestamp()))


async def _deliver(client: httpx.AsyncClient, url: str, body: bytes, headers: Mapping[str, str]) -> int:
    try:
        return (await client.post(url, content=body, headers=headers, timeout=10.0)).status_code
    except httpx.HTTPError:
        return 0
